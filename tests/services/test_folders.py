"""What a server writes: into folders that it can write, for nobody else on the machine."""

import asyncio
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from modes import heed_modes
from typer.testing import CliRunner

from services import uploads
from services.cli.app import app
from storage.backup import backup
from storage.database import Database
from storage.errors import StorageUnavailable

from live import eventually, start
from workers import free_port

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files have modes on POSIX systems only")

TONE = [{"name": "TONE", "type": "SYNTHETIC"}]
COMMANDS = {
    "bentoml": [sys.executable, "-m", "bentoml", "serve", "services.bento:Gateway"],
    "awaaztwin": [sys.executable, "-c", "from services.cli.app import app; app()", "serve"],
}
SERVE_SECONDS = 120


@pytest.fixture
def open_umask() -> Generator[None, None, None]:
    """Files are readable for all, unless somebody says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def read_only(tmp_path: Path) -> Generator[Path, None, None]:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    yield folder
    folder.chmod(0o700)


def environment(folder: Path, **sections: Any) -> dict[str, str]:
    """A working server's, with some settings of its own."""
    given: dict[str, Any] = {
        "engines": TONE,
        "server": {"port": free_port(), "runtime_folder": str(folder / "runtime")},
        "storage": {
            "db_url": f"sqlite:///{folder}/db/a.db",
            "object_store": {"path": str(folder / "objects")},
        },
    }
    for name, section in sections.items():
        given[name] = {**given[name], **section}
    (folder / "settings.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWAAZTWIN_")}
    more = {"AWAAZTWIN_CONFIG": str(folder / "settings.yaml"), "BENTOML_DO_NOT_TRACK": "True"}
    return {**clean, **more, "BENTOML_HOME": str(folder / "bentoml")}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("setting", "sections"),
    [
        ("storage.db_url", lambda no: {"storage": {"db_url": f"sqlite:///{no}/deep/a.db"}}),
        ("storage.object_store.path", lambda no: {"storage": {"object_store": {"path": str(no)}}}),
        ("server.runtime_folder", lambda no: {"server": {"runtime_folder": str(no / "run")}}),
    ],
)
def test_a_folder_that_cannot_be_written(
    tmp_path: Path,
    read_only: Path,
    command: str,
    setting: str,
    sections: Callable[[Path], dict[str, Any]],
) -> None:
    done = subprocess.run(
        COMMANDS[command],
        env=environment(tmp_path, **sections(read_only)),
        cwd=tmp_path,
        preexec_fn=heed_modes(),
        capture_output=True,
        text=True,
        timeout=SERVE_SECONDS,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "Error" in line]
    assert setting in line
    assert str(read_only) in line


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    given = environment(tmp_path)
    given["AWAAZTWIN_SERVER__PROT"] = "1"
    done = subprocess.run(
        COMMANDS["bentoml"],
        env=given,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SERVE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "AWAAZTWIN_SERVER__PROT" in done.stderr


def test_a_home_that_cannot_be_written(tmp_path: Path, read_only: Path) -> None:
    """BentoML's own files go elsewhere."""
    given = environment(tmp_path)
    del given["BENTOML_HOME"]
    given["HOME"] = str(read_only)
    log = tmp_path / "serve.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            COMMANDS["awaaztwin"],
            env=given,
            cwd=tmp_path,
            preexec_fn=heed_modes(),  # noqa: PLW1509 - nothing else runs in this process
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        port = yaml.safe_load((tmp_path / "settings.yaml").read_text())["server"]["port"]

        def ready() -> bool:
            assert process.poll() is None, log.read_text(errors="replace")
            with suppress(httpx.HTTPError):
                return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
            return False

        try:
            eventually(ready, SERVE_SECONDS)
        finally:
            process.terminate()
            process.wait(60)
    assert "Traceback" not in log.read_text(errors="replace")


async def test_a_folder_that_is_away_is_a_database_that_is_away(tmp_path: Path) -> None:
    """While a server runs: it goes on, and tells."""
    (tmp_path / "data").write_text("a file where a folder should be")
    async with Database(f"sqlite:///{tmp_path}/data/a.db") as database:
        with pytest.raises(StorageUnavailable):
            await database.ping()
        (tmp_path / "data").unlink()
        await database.ping()


def exposed(*roots: Path) -> list[str]:
    """What others may read, enter or change."""
    found = [path for root in roots for path in (root, *root.rglob("*"))]
    return [f"{path} {path.stat().st_mode:o}" for path in found if path.lstat().st_mode & 0o077]


@pytest.mark.usefixtures("open_umask")
def test_nobody_else_reads_what_a_server_keeps(tmp_path: Path) -> None:
    folder, objects = tmp_path / "db", tmp_path / "objects"
    storage = {"db_url": f"sqlite:///{folder}/a.db", "object_store": {"path": str(objects)}}
    for early in (folder, objects):
        early.mkdir()
    (folder / "a.db").touch()
    assert exposed(folder / "a.db")
    server = start(tmp_path, {"engines": TONE, "storage": storage})
    try:
        spoken = httpx.post(f"{server.api}/audio/speech", json={"input": "Hello.", "store": True}, timeout=60)
        assert spoken.status_code == 200
        kept = [path for path in folder.iterdir() if path.is_file()]
        assert {path.name for path in kept} >= {"a.db", "a.db-wal", "a.db-shm"}
        assert [path for path in objects.rglob("*") if path.is_file()]
        # The folder of the database was there before, and may be anything, such as a home.
        assert not exposed(*kept, objects, tmp_path / "runtime")
        masks = {
            line.split()[1]
            for process in (server.worker("Gateway"), server.worker("engine_tone"))
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if line.startswith("Umask")
        }
        assert masks == {"0077"}
    finally:
        server.stop()


@pytest.mark.usefixtures("open_umask")
def test_new_folders_and_backups(tmp_path: Path) -> None:
    async def work() -> None:
        async with Database(f"sqlite:///{tmp_path}/new/deep/a.db") as database:
            await database.ping()
        await backup(f"sqlite:///{tmp_path}/new/deep/a.db", tmp_path / "copy.db")

    asyncio.run(work())
    assert not exposed(tmp_path / "new", tmp_path / "copy.db")


@pytest.mark.usefixtures("open_umask")
def test_init_writes_for_its_user_only(tmp_path: Path) -> None:
    arguments = ["init", "--org", "A", "--email", "a@b.example", "--folder", str(tmp_path / "x")]
    done = CliRunner().invoke(app, [*arguments, "--password-stdin"], input="a long enough password\n")
    assert done.exit_code == 0, done.output
    assert not exposed(tmp_path / "x")


def test_doctor_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment(tmp_path)
    monkeypatch.setenv("AWAAZTWIN_CONFIG", given["AWAAZTWIN_CONFIG"])
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"AWAAZTWIN_AUTH__JWT_SECRET={'x' * 40}\n", encoding="utf-8")
    for path, mode in ((dotenv, 0o644), (tmp_path / "settings.yaml", 0o644)):
        path.chmod(mode)
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "a.db").touch(mode=0o640)
    told = CliRunner().invoke(app, ["doctor"]).output
    (line,) = [line for line in told.splitlines() if "Privacy" in line]
    assert "warning" in line
    assert str(dotenv) in line
    assert str(tmp_path / "db" / "a.db") in line
    assert "settings.yaml" not in line
    for path in (dotenv, tmp_path / "db" / "a.db"):
        path.chmod(0o600)
    (line,) = [line for line in CliRunner().invoke(app, ["doctor"]).output.splitlines() if "Privacy" in line]
    assert line.startswith("ok")


def test_sweeping_leaves_what_is_not_an_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks and marks of servers are among the temporary files, too, and links of others lead anywhere."""
    monkeypatch.setattr(uploads, "gettempdir", lambda: str(tmp_path))
    runtime = tmp_path / f"awaaztwin-{os.getuid()}" / "8000"
    runtime.mkdir(parents=True)
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "precious").touch()
    (tmp_path / f"{uploads.PREFIX}link").symlink_to(target)
    dead = tmp_path / f"{uploads.PREFIX}dead"
    dead.mkdir()
    old = time.time() - 10 * uploads.ABANDONED_SECONDS
    for path in (runtime.parent, dead, target):
        os.utime(path, (old, old))
    assert uploads.sweep_folders() == 1
    assert not dead.exists()
    assert runtime.is_dir()
    assert (target / "precious").exists()


@pytest.mark.usefixtures("open_umask")
def test_sockets_and_folders_of_the_runtime(tmp_path: Path) -> None:
    """A folder that was left open to others is closed at the start."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o755)
    server = start(tmp_path, {"engines": TONE})
    try:
        assert not stat.S_IMODE(runtime.stat().st_mode) & 0o077
        runner = server.worker("engine_tone")
        sockets = [
            Path(str(c.laddr)) for c in runner.net_connections("unix") if str(c.laddr).endswith(".sock")
        ]
        assert sockets
        assert not exposed(*sockets)
        assert not any(stat.S_IMODE(path.parent.stat().st_mode) & 0o077 for path in sockets)
    finally:
        server.stop()
