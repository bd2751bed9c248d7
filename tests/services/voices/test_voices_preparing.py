"""Voices are prepared off the path: again with new samples, never by halves, and failures say why."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

import media
from live import eventually, start
from speaking import speech
from tenants import Tenants
from voices import (
    TONE,
    attest,
    create,
    heard,
    objects,
    ready,
    recording,
    refused,
    samples,
    say,
    settled,
)


def test_a_voice_of_recordings_speaks(client: httpx.Client):
    onyx, nova = ready(client, "Onyx"), ready(client, "Nova", recording("nova"))
    engine = {"engine": "TONE", "state": "ready", "speaks": True, "model": "synthetic/1", "reason": None}
    assert onyx["engines"] == [{**engine, "prepared_at": onyx["engines"][0]["prepared_at"]}]
    assert onyx["quality"]["samples"] == onyx["samples"] == 1
    assert abs(heard(client, onyx["id"]) - heard(client, nova["id"])) > 20
    assert heard(client, "ONYX") == heard(client, onyx["id"])
    for voice in (onyx, nova):
        client.delete(f"/voices/{voice['id']}")


def test_new_samples_are_prepared_while_the_old_go_on_speaking(tmp_path: Path):
    slow = {**TONE, "options": {**TONE["options"], "prepare_ms": 1_500}}
    server = start(tmp_path, {"engines": [slow]})
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            voice = create(client, "Growing")["id"]
            settled(client, voice)
            before = heard(client, voice)
            added = client.post(f"/voices/{voice}/samples", files=samples(recording("nova", 4)))
            assert added.status_code == 201
            assert added.json()["voice"]["state"] == "ready"
            (engine,) = added.json()["voice"]["engines"]
            assert (engine["state"], engine["speaks"]) == ("pending", True)
            assert heard(client, voice) == before
            shown = settled(client, voice)
            assert (shown["state"], shown["samples"]) == ("ready", 2)
            after = heard(client, voice)
            assert after != before
            # The embedding that nobody speaks with any more is gone.
            eventually(lambda: sum("/embeddings/" in key for key in objects(tmp_path)) == 1)

            first, second = client.get(f"/voices/{voice}/samples").json()["data"]
            assert client.delete(f"/voices/{voice}/samples/{second['id']}").status_code == 204
            settled(client, voice)
            assert heard(client, voice) == before
            eventually(lambda: not any(second["id"] in key for key in objects(tmp_path)))

            # A preparation that is not awaited is prepared for those that want to speak.
            waiting = create(client, "Waiting", recording("echo"))
            assert waiting["state"] in {"pending", "processing"}
            assert say(client, waiting["id"]).status_code == 200

            assert client.delete(f"/voices/{voice}/samples/{first['id']}").status_code == 204
            shown = client.get(f"/voices/{voice}").json()
            assert (shown["state"], shown["reason"]) == ("pending", "It has no samples yet.")
            assert shown["engines"] == []
            refused(say(client, voice), 400, "voice_not_ready", "voice")
            nothing = client.post(f"/voices/{voice}/prepare")
            refused(nothing, 409, "no_samples")
            assert nothing.headers["x-should-retry"] == "false"
            prefix = f"org/{voice}"
            eventually(lambda: not any(prefix in key or voice in key for key in objects(tmp_path)))
    finally:
        server.stop()


@pytest.mark.slow
def test_a_new_model_has_voices_prepared_again_by_itself(tmp_path: Path):
    def run(model: str) -> Any:
        engine = {**TONE, "options": {**TONE["options"], "voice_model": model}}
        return start(tmp_path, {"engines": [engine]})

    server = run("synthetic/1")
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            voice, bare = create(client, "Lasting")["id"], create(client, "Bare", recording("echo"))["id"]
            settled(client, voice)
            settled(client, bare)
            before = heard(client, voice)
    finally:
        server.stop()
    (kept,) = [key for key in objects(tmp_path) if "/embeddings/" in key and voice in key]
    with closing(sqlite3.connect(tmp_path / "awaaztwin.db")) as database, database:
        # As retention does.
        database.execute(
            "UPDATE audio_samples SET original_key = NULL, audio_key = NULL WHERE voice_id = ?", [bare]
        )
    server = run("synthetic/2")
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            # Speech that comes before it is prepared waits.
            assert heard(client, voice) == before
            (engine,) = client.get(f"/voices/{voice}").json()["engines"]
            assert (engine["state"], engine["model"]) == ("ready", "synthetic/2")
            eventually(lambda: kept not in objects(tmp_path))
            message = refused(say(client, bare), 400, "voice_not_ready", "voice")
            assert "another model" in message
    finally:
        server.stop()


def test_an_engine_that_refuses_says_why_and_another_speaks(tmp_path: Path):
    fussy = {**TONE, "name": "FUSSY", "options": {"fail_prepare": True}}
    server = start(tmp_path, {"engines": [fussy, TONE]})
    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            voice = create(client, "Halfway")["id"]
            shown = settled(client, voice)
            assert shown["state"] == "ready"
            states = {engine["engine"]: engine["state"] for engine in shown["engines"]}
            assert states == {"FUSSY": "failed", "TONE": "ready"}
            assert say(client, voice).status_code == 200
            assert say(client, voice, model="TONE").status_code == 200
            message = refused(say(client, voice, model="FUSSY"), 400, "voice_not_ready", "voice")
            assert "fail_prepare" in message
            assert "ready for TONE" in message
    finally:
        server.stop()


def test_too_little_speech_says_how_much_there_is(client: httpx.Client):
    short = media.wav(media.pcm16(speech("echo", 1)[: 24_000 * 2]))
    voice = create(client, "Short", short)
    attest(client, voice["id"])
    shown = settled(client, voice["id"])
    assert shown["state"] == "failed"
    assert "s of speech in all; at least 3 s are needed." in shown["reason"]
    assert shown["quality"]["findings"][0]["code"] == "too_little_speech"
    assert shown["engines"] == []
    refused(say(client, voice["id"]), 400, "voice_not_ready", "voice")
    # More of it, and it is a voice.
    assert client.post(f"/voices/{voice['id']}/samples", files=samples(recording("echo"))).status_code == 201
    assert settled(client, voice["id"])["state"] == "ready"
    client.delete(f"/voices/{voice['id']}")


async def test_two_that_want_the_same_at_once(tenants: Tenants, client: httpx.Client):
    kept = ready(client, "Wanted")
    async with httpx.AsyncClient(
        base_url=tenants.server.url, headers=tenants.a.headers(), timeout=60
    ) as many:
        names = await asyncio.gather(*(many.post("/voices", json={"name": "Wanted too"}) for _ in range(6)))
        assert sorted(answer.status_code for answer in names) == [201, *[409] * 5]
        upload = [
            many.post(f"/voices/{kept['id']}/samples", files=samples(recording("echo", 1))) for _ in range(3)
        ]
        added = await asyncio.gather(*upload)
        assert sorted(answer.status_code for answer in added) == [201, 409, 409]
        sample = next(answer for answer in added if answer.status_code == 201).json()["data"][0]["id"]
        path = f"/voices/{kept['id']}/samples/{sample}"
        gone = await asyncio.gather(*(many.delete(path) for _ in range(3)))
        assert sorted(answer.status_code for answer in gone) == [204, 404, 404]
        made = next(answer.json()["id"] for answer in names if answer.status_code == 201)
        for voice in (kept["id"], made):
            assert (await many.delete(f"/voices/{voice}")).status_code == 204
