"""`awaaztwin retention run`, on a database and an object store of their own."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.app import app
from services.config import Settings
from services.config.load import load_settings
from services.gate import DatabaseGate
from storage.columns import now
from storage.database import Database
from storage.migrate import upgrade
from storage.objects.folder import FolderStore
from storage.objects.keys import output_key
from storage.repositories.doomed import DoomedObjects
from storage.repositories.orgs import LOCAL_ORG_ID
from storage.repositories.outputs import OutputRepository


async def piece() -> AsyncGenerator[bytes, None]:
    yield b"audio"


async def keep(settings: Settings, folder: Path) -> None:
    """Two pieces of audio, one too old, and an object that nothing points to."""
    store = FolderStore(folder)
    async with Database(settings.storage.db_url.get_secret_value()) as database:
        await upgrade(database)
        gate = DatabaseGate(database, settings)
        for audio_id, days in {"audio_old": -1, "audio_new": 1}.items():
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
                    expires_at=now() + timedelta(days=days),
                )
        await store.put("org_local/stray", piece(), content_type="audio/mpeg", max_bytes=100)
        async with gate.write() as session:
            await DoomedObjects(session).doom(["org_local/stray"])


@pytest.fixture
def kept(elsewhere: Path) -> Path:
    """The folder of the object store."""
    objects = elsewhere / "objects"
    (elsewhere / "configuration.yaml").write_text(
        f"storage:\n  db_url: sqlite:///{elsewhere}/own.db\n  object_store:\n    path: {objects}\n"
    )
    asyncio.run(keep(load_settings(None).settings, objects))
    return objects


def names(folder: Path) -> set[str]:
    return {path.stem for path in folder.rglob("*") if path.is_file() and "audio" in path.read_text()}


def test_what_would_go_goes(cli: CliRunner, kept: Path) -> None:
    before = names(kept)
    assert {"audio_old", "audio_new", "stray"} <= before
    counted = cli.invoke(app, ["retention", "run", "--dry-run", "--json"])
    assert counted.exit_code == 0, counted.output
    assert names(kept) == before
    table = cli.invoke(app, ["retention", "run", "--dry-run"]).stdout
    assert "Would be deleted" in table
    done = cli.invoke(app, ["retention", "run", "--json"])
    assert (
        json.loads(done.stdout) == json.loads(counted.stdout) == {"outputs": 1, "recordings": 0, "objects": 1}
    )
    assert names(kept) == before - {"audio_old", "stray"}
    assert "Deleted" in cli.invoke(app, ["retention", "run"]).stdout


def test_a_database_that_is_away_is_told(cli: CliRunner, elsewhere: Path) -> None:
    (elsewhere / "configuration.yaml").write_text("storage:\n  db_url: postgresql://u:p@127.0.0.1:1/none\n")
    result = cli.invoke(app, ["retention", "run", "-c", "configuration.yaml"])
    assert result.exit_code == 1
    assert "database cannot be reached" in result.stderr
