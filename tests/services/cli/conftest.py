"""A Gateway and a runner of tones on real sockets, for the commands to talk to."""

import os
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp
from typer.testing import CliRunner

from engines.config import EngineConfig
from services.app import create_app
from services.config import LoadedSettings, Settings
from services.runner.app import create_runner_app
from storage.config import ObjectStoreConfig, StorageConfig

from live import eventually
from media import encode, pcm16, wav
from speaking import SENTENCES, sentences
from workers import free_port

SECONDS_PER_CHAR = 0.01


def tones(name: str = "TONES", **options: Any) -> EngineConfig:
    costs = {"base_ms": 1, "item_ms": 0, "seconds_per_char": SECONDS_PER_CHAR}
    return EngineConfig(name=name, type="SYNTHETIC", options={**costs, **options})


@contextmanager
def listening(app: ASGIApp) -> Generator[str, None, None]:
    """The app on a free port of 127.0.0.1, in a thread; connections made before it runs wait for it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@contextmanager
def gateway_of(*engines: EngineConfig, **sections: Any) -> Generator[str, None, None]:
    """A Gateway with these engines, the first its default, and some settings."""
    with ExitStack() as stack:
        addresses = {e.name: stack.enter_context(listening(create_runner_app(e))) for e in engines}
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="awaaztwin-cli-")))
        kept = StorageConfig(
            db_url=SecretStr(f"sqlite:///{folder}/awaaztwin.db"),
            object_store=ObjectStoreConfig(path=folder / "objects"),
        )
        loaded = LoadedSettings(Settings(engines=list(engines), storage=kept, **sections))
        app = create_app(loaded, lambda engine: addresses[engine.name])
        yield stack.enter_context(listening(app))


@pytest.fixture(scope="session")
def gateway() -> Iterator[str]:
    """The URL of a Gateway with a fast engine, one that is slow, and one that cannot load."""
    broken = tones("BROKEN", fail_load=True).model_copy(update={"warm": True})
    with gateway_of(tones(fail_on="bad"), tones("SLOW", base_ms=100, seconds_per_char=0.2), broken) as url:
        with httpx.Client(base_url=url, timeout=60) as client:
            ready = partial(client.get, "/health/ready")
            eventually(lambda: ready().json()["parts"]["engines"]["BROKEN"]["state"] == "failed")
        yield url


@pytest.fixture(scope="session")
def cloning() -> Iterator[str]:
    """The URL of a Gateway that makes voices, in one of its two engines."""
    with gateway_of(tones(), tones("FUSSY", fail_prepare=True)) as url:
        yield url


@pytest.fixture(scope="session")
def licensed() -> Iterator[str]:
    """The URL of a Gateway with a loaded engine of some size, and two of a licence that one has accepted."""
    loaded = tones(memory_mb=5, warm_up_ms=1).model_copy(update={"warm": True})
    accepted = tones("OPEN", license="CPML").model_copy(update={"accept_license": "CPML"})
    with gateway_of(loaded, accepted, tones("CLOSED", license="CPML")) as url:
        yield url


@pytest.fixture(scope="session")
def strict() -> Iterator[str]:
    """The URL of a Gateway whose voices need a consent, and have two recordings and a megabyte at most."""
    limits = {"max_samples_per_voice": 2, "max_upload_bytes": 1_000_000}
    sections = {"consent": {"required": True}, "limits": limits}
    with gateway_of(tones(), **sections) as url:
        yield url


@pytest.fixture(scope="session")
def lingering() -> Iterator[str]:
    """The URL of a Gateway that needs longer for a voice than anybody waits."""
    with gateway_of(tones(prepare_ms=3_600_000)) as url:
        yield url


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings: `2.wav` with its transcript, `10.wav`, `three.mp3` and `four.flac`."""
    folder = tmp_path_factory.mktemp("recordings")
    spoken = [part / (2 * abs(part).max()) for part in sentences()]
    (folder / "2.wav").write_bytes(wav(pcm16(spoken[0])))
    (folder / "2.txt").write_text(f"{SENTENCES[0]}\n")
    (folder / "10.wav").write_bytes(wav(pcm16(spoken[1])))
    (folder / "three.mp3").write_bytes(encode(spoken[2], "mp3", "libmp3lame", 24_000))
    (folder / "four.flac").write_bytes(encode(spoken[3], "flac", "flac", 24_000))
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment that sets nothing of ours."""
    for name in [name for name in os.environ if name.startswith("AWAAZTWIN_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cli() -> CliRunner:
    return CliRunner()


@pytest.fixture
def listening_() -> Callable[[ASGIApp], AbstractContextManager[str]]:
    """:func:`listening`, for test modules, which cannot import this one."""
    return listening


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """A port nobody listens on."""
    return free_port()
