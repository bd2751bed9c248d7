"""Kept audio and recordings go when their time is over, and only then; on a real database and folder."""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.config import Settings
from services.config.load import load_settings
from services.gate import DatabaseGate
from services.retention import RetentionReport, run_retention, throw_away_outputs
from services.uploads import sweep_folders, temporary_folder
from storage.columns import now
from storage.config import StorageConfig
from storage.database import Database
from storage.objects.folder import FolderStore
from storage.objects.keys import output_key
from storage.repositories.orgs import LOCAL_ORG_ID
from storage.repositories.outputs import OutputRepository

from live import eventually, start
from voices import TONE, create, heard, objects, recording, refused, rows, say, settled


async def piece() -> AsyncGenerator[bytes, None]:
    yield b"audio"


async def test_what_has_expired_goes_and_the_rest_stays(tmp_path: Path):
    kept = StorageConfig(db_url=SecretStr(f"sqlite:///{tmp_path}/a.db"))
    store = FolderStore(tmp_path / "objects")
    async with Database(kept.db_url.get_secret_value()) as database:
        gate = DatabaseGate(database, Settings(storage=kept))
        times = {
            "audio_old": now() - timedelta(seconds=1),
            "audio_new": now() + timedelta(days=1),
            "audio_kept": None,
        }
        for audio_id, expires_at in times.items():
            key = output_key(LOCAL_ORG_ID, audio_id, "mp3", now())
            info = await store.put(key, piece(), content_type="audio/mpeg", max_bytes=100)
            async with gate.write() as session:
                await OutputRepository(session, LOCAL_ORG_ID).add(
                    output_id=audio_id,
                    key=key,
                    content_type="audio/mpeg",
                    size=info.size,
                    etag=info.etag,
                    duration_ms=1,
                    expires_at=expires_at,
                )
        assert await throw_away_outputs(gate, store) == 1
        assert await throw_away_outputs(gate, store) == 0
        async with gate.read() as session:
            left = [output.id for output in await OutputRepository(session, LOCAL_ORG_ID).list()]
    assert left == ["audio_kept", "audio_new"]
    assert sorted(path.stem for path in (tmp_path / "objects").rglob("*.mp3")) == left


def test_recordings_go_and_the_voice_goes_on_speaking(tmp_path: Path):
    server = start(tmp_path, {"engines": [TONE], "retention": {"uploads_days": 30}})
    settings = load_settings(tmp_path / "configuration.yaml", environ={}).settings

    def run(*, dry_run: bool) -> RetentionReport:
        async def retention() -> RetentionReport:
            store = FolderStore(tmp_path / "objects")
            async with Database(settings.storage.db_url.get_secret_value()) as database:
                gate = DatabaseGate(database, settings)
                return await run_retention(gate, store, settings.retention, dry_run=dry_run)

        return asyncio.run(retention())

    try:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            old, new = create(client, "Old", recording("nova"))["id"], create(client, "New")["id"]
            before = {voice: settled(client, voice) for voice in (old, new)}
            tones = {voice: heard(client, voice) for voice in (old, new)}
            kept = objects(tmp_path)
            assert (len(kept), run(dry_run=False)) == (6, RetentionReport())
            with closing(sqlite3.connect(tmp_path / "awaaztwin.db", timeout=30)) as database, database:
                database.execute(
                    "UPDATE audio_samples SET created_at = ? WHERE voice_id = ?",
                    [(now() - timedelta(days=31)).strftime("%Y-%m-%d %H:%M:%S.%f"), old],
                )
            for _ in range(2):
                assert run(dry_run=True) == RetentionReport(recordings=1)
                assert objects(tmp_path) == kept
            done = run(dry_run=False)
            assert done.recordings == 1
            assert run(dry_run=True) == RetentionReport()

            eventually(lambda: len(objects(tmp_path)) == 4)
            assert set(objects(tmp_path)) == {key for key in kept if old not in key or "/embeddings/" in key}
            assert {voice: heard(client, voice) for voice in (old, new)} == tones
            shown = client.get(f"/voices/{old}").json()
            assert {**shown, "updated_at": 0} == {**before[old], "updated_at": 0}
            (sample,) = client.get(f"/voices/{old}/samples").json()["data"]
            assert (sample["recording_kept"], sample["size"]) == (False, 0)
            for original in (True, False):
                path = f"/voices/{old}/samples/{sample['id']}/audio"
                answer = client.get(path, params={"original": original})
                refused(answer, 404, "recording_not_kept")
            refused(client.post(f"/voices/{old}/prepare"), 409, "no_samples")
            assert client.get(f"/voices/{old}/export").status_code == 200
            assert client.delete(f"/voices/{old}").status_code == 204
            refused(say(client, old), 400, "voice_not_found")
            eventually(lambda: not [key for key in objects(tmp_path) if old in key])
            eventually(
                lambda: (
                    rows(tmp_path, LOCAL_ORG_ID) == {"voices": 1, "audio_samples": 1, "voice_embeddings": 1}
                )
            )
    finally:
        server.stop()


def test_folders_of_uploads_whose_process_died_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    two_days_ago = time.time() - 2 * 86_400
    for name in ("awaaztwin-upload-dead", "awaaztwin-upload-alive", "awaaztwin-1000"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "upload-0").write_bytes(b"x")
    for name in ("awaaztwin-upload-dead", "awaaztwin-1000"):
        os.utime(tmp_path / name, (two_days_ago, two_days_ago))
    with temporary_folder() as folder:
        assert folder.parent == tmp_path
        assert sweep_folders() == 1
        assert {path.name for path in tmp_path.iterdir()} == {
            "awaaztwin-upload-alive",
            "awaaztwin-1000",
            folder.name,
        }
    assert sweep_folders() == 0
    assert not folder.exists()
