"""A runner on a real socket, in the test's own event loop, and the Gateway's client of it."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp

from engines.config import EngineConfig
from services.app import create_app
from services.config import LoadedSettings, Settings
from services.runner.app import create_runner_app
from services.wire.client import EngineClient
from services.wire.frames import EngineDescription
from storage.config import ObjectStoreConfig, StorageConfig


def engine(name: str = "S", **settings: Any) -> EngineConfig:
    options = {"base_ms": 5, "item_ms": 0, "seconds_per_char": 0.01, **settings.pop("options", {})}
    return EngineConfig(name=name, type="SYNTHETIC", options=options, **settings)


@asynccontextmanager
async def served(
    app: ASGIApp, path: Path | None = None, *, lifespan: bool = True
) -> AsyncGenerator[str, None]:
    """The app on a Unix socket, or on a free port of 127.0.0.1."""
    if path is not None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        address = f"unix://{path}"
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.listen()
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, lifespan="on" if lifespan else "off", timeout_graceful_shutdown=5
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield address
    finally:
        server.should_exit = True
        await task
        listener.close()


@asynccontextmanager
async def gateway_of(
    config: EngineConfig, folder: Path, *, patience: float = 30.0
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of a Gateway with one engine, both in this process; what they keep is in ``folder``."""
    kept = StorageConfig(
        db_url=SecretStr(f"sqlite:///{folder}/awaaztwin.db"),
        object_store=ObjectStoreConfig(path=folder / "objects"),
    )
    loaded = LoadedSettings(Settings(engines=[config], storage=kept))
    async with (
        served(create_runner_app(config)) as runner,
        served(create_app(loaded, lambda _: runner)) as address,
        httpx.AsyncClient(base_url=address, timeout=patience) as opened,
    ):
        yield opened


@asynccontextmanager
async def client(
    config: EngineConfig, address: str, patience: float = 10.0
) -> AsyncGenerator[EngineClient, None]:
    async with EngineClient(config, address, first_audio_timeout=patience, stall_timeout=patience) as opened:
        yield opened


async def until(runner: EngineClient, holds: Callable[[EngineDescription], bool]) -> None:
    """Ask the runner until it says so; the test's own time limit ends the asking."""
    while not holds(await runner.describe()):
        await asyncio.sleep(0.01)
