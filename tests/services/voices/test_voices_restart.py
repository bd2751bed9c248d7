"""Voices outlive their server, and work that a dead process began is finished by another."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from live import Server, eventually, start
from voices import TONE, create, heard, objects, recording, samples, say, settled


def kill(server: Server) -> None:
    """End a server's Gateway as a crash does, then the rest."""
    server.worker("Gateway").kill()
    server.process.kill()
    server.process.wait(30)


def a_minute_later(folder: Path) -> None:
    """The lease of whoever works on a voice has ended."""
    with closing(sqlite3.connect(folder / "awaaztwin.db", timeout=30)) as database, database:
        database.execute(
            "UPDATE voice_embeddings SET due_at = '2000-01-01 00:00:00.000000' WHERE lease IS NOT NULL"
        )


@pytest.mark.slow
def test_voices_outlive_their_server_and_work_is_finished(tmp_path: Path):
    def run(prepare_ms: int) -> Server:
        engine = {**TONE, "options": {**TONE["options"], "prepare_ms": prepare_ms}}
        return start(tmp_path, {"engines": [engine]})

    server = run(0)
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            voice = create(client, "Lasting", aliases="nova")["id"]
            settled(client, voice)
            tone = heard(client, voice)
    finally:
        server.stop()

    server = run(60_000)
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert heard(client, "nova") == heard(client, "lasting") == tone
            cut = create(client, "Cut off", recording("nova"))["id"]
            added = client.post(f"/voices/{voice}/samples", files=samples(recording("echo")))
            assert added.status_code == 201
            eventually(lambda: client.get(f"/voices/{cut}").json()["state"] == "processing")
            assert heard(client, voice) == tone
        kill(server)
    finally:
        server.stop()
    a_minute_later(tmp_path)

    server = run(0)
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert settled(client, cut)["state"] == "ready"
            assert settled(client, voice)["state"] == "ready"
            assert say(client, cut).status_code == 200
            assert abs(heard(client, cut) - heard(client, voice)) > 1
            eventually(lambda: sum("/embeddings/" in key for key in objects(tmp_path)) == 2)
            for one in (cut, voice):
                assert client.delete(f"/voices/{one}").status_code == 204
        eventually(lambda: objects(tmp_path) == [])
    finally:
        server.stop()
