"""An engine whose weights are not there: another speaks for it, until they are."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from engines.config import EngineConfig
from engines.synthetic import SyntheticEngine
from services.app import create_app
from services.config import LoadedSettings, ServerConfig, Settings
from services.models.manifest import Manifest, ModelFile
from services.models.weights import Weights
from services.runner.app import create_runner_app
from storage.config import ObjectStoreConfig, StorageConfig

from runners import engine, served

SENTENCE = "The weights are not here; `awaaztwin models pull weighty` fetches them."


class Weighty(SyntheticEngine):
    """Speaks once a file is there."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        assert config.model_path is not None
        self._weights = config.model_path / "weights"

    @property
    def missing(self) -> str | None:
        return None if self._weights.exists() else SENTENCE


def make(_type: str, config: EngineConfig) -> SyntheticEngine:
    return Weighty(config) if config.model_path else SyntheticEngine(config)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.directory.POLL_SECONDS", 0.05)


@asynccontextmanager
async def gateway(
    tmp_path: Path,
    default: str | None = None,
    *between: EngineConfig,
    weights: Weights | None = None,
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A Gateway of FIRST, whose weights are missing, others, and SECOND, which needs none.

    Args:
        tmp_path: Of the database, and of the folder ``model``.
        default: ``server.default_engine``.
        between: The others.
        weights: FIRST's, where it does not itself say what is missing.
    """
    path = None if weights else tmp_path / "model"
    engines = [engine("FIRST", model_path=path, warm=True), *between, engine("SECOND")]
    kept = StorageConfig(
        db_url=SecretStr(f"sqlite:///{tmp_path}/awaaztwin.db"),
        object_store=ObjectStoreConfig(path=tmp_path / "objects"),
    )
    server = ServerConfig(default_engine=default)
    loaded = LoadedSettings(Settings(engines=engines, storage=kept, server=server))
    async with AsyncExitStack() as stack:
        addresses = {
            each.name: await stack.enter_async_context(
                served(
                    create_runner_app(each, make, weights=weights if each.name == "FIRST" else None),
                    tmp_path / f"{each.name}.sock",
                )
            )
            for each in engines
        }
        url = await stack.enter_async_context(served(create_app(loaded, lambda each: addresses[each.name])))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        await eventually(lambda: _ready(client))
        yield client


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds; the test's own time limit ends the waiting."""
    while not await holds():
        await asyncio.sleep(0.02)


async def _ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health/ready")).status_code == 200


async def speak(client: httpx.AsyncClient, model: str) -> httpx.Response:
    body = {"model": model, "voice": "tone", "input": "Hello.", "response_format": "pcm"}
    return await client.post("/v1/audio/speech", json=body)


async def speaker(client: httpx.AsyncClient) -> str:
    return (await client.get("/v1/models/tts-1")).json()["engine"]


@pytest.mark.parametrize("default", [None, "first"])
async def test_another_engine_speaks_until_they_are_fetched(tmp_path: Path, default: str | None) -> None:
    async with gateway(tmp_path, default) as client:
        assert await speaker(client) == "SECOND"
        assert (await speak(client, "tts-1")).status_code == 200
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights").touch()

        async def first() -> bool:
            return await speaker(client) == "FIRST"

        await eventually(first)
        assert (await speak(client, "FIRST")).status_code == 200


async def test_weights_that_are_being_copied_are_waited_for(tmp_path: Path) -> None:
    """An engine that does not say itself what is missing, as most."""
    folder = tmp_path / "model"
    weights = Weights(
        Manifest(
            name="first",
            title="First",
            license="CC0-1.0",
            files=[ModelFile(path="weights", size=8, sha256="0" * 64)],
        ),
        folder,
    )
    async with gateway(tmp_path, weights=weights) as client:
        folder.mkdir()
        (folder / "weights").write_bytes(bytes(4))
        answer = await speak(client, "FIRST")
        assert answer.status_code == 503
        assert "weights has 4 bytes instead of 8" in answer.json()["error"]["message"]
        assert await speaker(client) == "SECOND"
        (folder / "weights").write_bytes(bytes(8))

        async def first() -> bool:
            return await speaker(client) == "FIRST"

        await eventually(first)


async def test_no_engine_stands_in_whose_licence_is_not_accepted(tmp_path: Path) -> None:
    licensed = engine("LICENSED", options={"license": "CPML", "license_notice": "Not for sale."})
    async with gateway(tmp_path, None, licensed) as client:

        async def second() -> bool:
            return await speaker(client) == "SECOND"

        await eventually(second)
        assert (await speak(client, "tts-1")).status_code == 200


async def test_the_engine_named_says_what_is_missing(tmp_path: Path) -> None:
    """Again and again, and once its weights are there it speaks at once: nothing has failed."""
    async with gateway(tmp_path) as client:
        for _ in range(3):
            answer = await speak(client, "FIRST")
            assert answer.status_code == 503
            assert answer.json()["error"]["message"] == SENTENCE
            assert "retry-after" in answer.headers
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights").touch()
        assert (await speak(client, "FIRST")).status_code == 200


async def test_what_is_missing_is_shown(tmp_path: Path) -> None:
    async with gateway(tmp_path) as client:
        models: list[dict[str, Any]] = (await client.get("/v1/models")).json()["data"]
        missing = {model["id"]: model.get("missing") for model in models}
        assert missing["FIRST"] == SENTENCE
        assert missing["SECOND"] is None
        ready = (await client.get("/health/ready")).json()
        assert ready["status"] == "degraded"
        first = ready["parts"]["engines"]["FIRST"]
        assert (first["ready"], first["state"], first["reason"]) == (False, "cold", SENTENCE)
