"""BentoML services built from the settings: the Gateway and a runner for each engine.

Every process (the supervisor, each Gateway worker and each runner) builds the same services again. Only the
process that serves an app builds it and imports its modules: a runner without the Gateway's starts sooner and
takes less memory.
"""

import gc
import logging
import re
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import bentoml
from bentoml import Service
from bentoml._internal.server.http import traffic
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from engines.config import EngineConfig
from engines.load_record import LoadRecord
from engines.memory import Budget
from services.config import LoadedSettings, Settings
from services.host.folder import RuntimeFolderError, runtime_folder
from services.host.parent import end_with_parent
from services.http.body_pace import BodyPace
from services.middleware import Closing, TakeOver
from services.models.catalogue import catalogue
from services.models.folder import ModelFolder
from services.models.placing import weights_of
from services.models.weights import Weights
from services.runner.middleware import RunnerToken
from services.stopping import Stopping

logger = logging.getLogger(__name__)

SWITCH_SECONDS: Final = 0.001
"""Interpreter's switch interval in seconds; Python's default is 5 ms. Threads delay the event loop less."""


def make_services(
    loaded: LoadedSettings, stopping: Stopping | None = None
) -> tuple[Service[Any], dict[str, Service[Any]]]:
    """Create the Gateway's service, and the runners' by service name.

    Args:
        loaded: The settings.
        stopping: Begins when this process is told to stop.

    Raises:
        RuntimeFolderError: There is a memory budget, but no folder for its bookkeeping.
        ModelError: A manifest of a model is invalid.
    """
    config = loaded.settings
    stopping = stopping or Stopping()
    models, places = catalogue(config), ModelFolder(config.models.folder)
    traffic.TimeoutMiddleware = _Untimed
    folder = _runtime_folder(config)
    runners: dict[str, Service[Any]] = {}
    for engine in config.enabled_engines:
        if engine.url is None:
            weights = weights_of(engine, models, places)
            runners[service_name(engine)] = _runner(engine, weights, config, folder, runners, stopping)
    return _gateway(loaded, runners, stopping), runners


def service_name(engine: EngineConfig) -> str:
    """Return the name of an engine's service: letters, digits and underscores, as BentoML requires."""
    return "engine_" + re.sub(r"\W", "_", engine.name.lower())


def _gateway(loaded: LoadedSettings, runners: Mapping[str, Service[Any]], stopping: Stopping) -> Service[Any]:
    config = loaded.settings

    def address_of(engine: EngineConfig) -> str:
        if engine.url is not None:
            return engine.url
        address = runners[service_name(engine)].url
        if address is None:
            raise RuntimeError(f"the runner of {engine.name} is not served beside this Gateway")
        return address

    def make() -> Starlette:
        from services.app import create_app  # noqa: PLC0415 - only in the Gateway's process

        return create_app(loaded, address_of, stopping)

    app = _Deferred(make)
    # Dependencies make BentoML start the runners; their proxies, which pickle, are never called.
    members: dict[str, Any] = {name: bentoml.depends(runner) for name, runner in runners.items()}
    members["__init__"] = _start
    members["prepare_folders"] = bentoml.on_deployment(lambda: _prepare(loaded))
    members["__doc__"] = "The HTTP API."
    inner = bentoml.asgi_app(app, path="/")(type("Gateway", (), members))
    options = _options(workers=config.server.workers)
    # BentoML accepts only addresses.
    host = "127.0.0.1" if config.server.host == "localhost" else config.server.host
    options["http"] = {"host": host, "port": config.server.port}
    gateway = bentoml.service(name="Gateway", **options)(inner)
    # BentoML's type for the class does not describe an ASGI middleware.
    gateway.add_asgi_middleware(TakeOver, answers=app)  # pyright: ignore[reportArgumentType]
    return gateway


def _runner(
    engine: EngineConfig,
    weights: Weights | None,
    config: Settings,
    folder: Path | None,
    runners: Mapping[str, Service[Any]],
    stopping: Stopping,
) -> Service[Any]:
    if weights is not None:
        engine = weights.placed(engine)
    members: dict[str, Any] = {"__init__": _start, "__doc__": f"The runner of the engine {engine.name}."}
    app = _Deferred(lambda: _runner_app(engine, weights, config, folder, runners))
    inner = bentoml.asgi_app(app, path="/")(type(service_name(engine), (), members))
    runner = bentoml.service(name=service_name(engine), **_options(workers=1))(inner)
    limits = config.limits
    runner.add_asgi_middleware(Closing, stopping=stopping)  # pyright: ignore[reportArgumentType]
    runner.add_asgi_middleware(
        BodyPace,  # pyright: ignore[reportArgumentType]
        stall_seconds=limits.body_stall_timeout_seconds,
        least_rate=limits.min_body_bytes_per_second,
        longest=config.server.request_timeout_seconds,
    )
    if engine.token is not None:
        secret = engine.token.get_secret_value()
        runner.add_asgi_middleware(RunnerToken, token=secret)  # pyright: ignore[reportArgumentType]
    runner.add_asgi_middleware(TakeOver, answers=app)  # pyright: ignore[reportArgumentType]
    return runner


def _runner_app(
    engine: EngineConfig,
    weights: Weights | None,
    config: Settings,
    folder: Path | None,
    runners: Mapping[str, Service[Any]],
) -> Starlette:
    from services.host.memory import HostMemory  # noqa: PLC0415 - only in a runner's process
    from services.runner.app import create_runner_app  # noqa: PLC0415 - only in a runner's process

    memory = config.memory
    budget = Budget(ram=memory.ram_bytes, vram=memory.vram_bytes)
    room = record = None
    if folder is not None:
        record = LoadRecord(folder / f"{service_name(engine)}.loading")
    if folder is not None and budget.limits:
        room = HostMemory(
            engine,
            budget,
            folder,
            wait=memory.wait_seconds,
            engines=config.engines,
            address=lambda: runners[service_name(engine)].url,
        )
    return create_runner_app(engine, weights=weights, room=room, record=record)


def _runtime_folder(config: Settings) -> Path | None:
    try:
        return runtime_folder(config)
    except RuntimeFolderError as error:
        if Budget(ram=config.memory.ram_bytes, vram=config.memory.vram_bytes).limits:
            raise
        # Only the detection of a load that kills its process repeatedly is lost.
        logger.warning("%s", error)
        return None


def _prepare(loaded: LoadedSettings) -> None:
    """Prepare the folders once, before BentoML starts processes, since it restarts failing ones endlessly."""
    from services.folders import FolderError, prepare_folders  # noqa: PLC0415 - imports the database

    try:
        prepare_folders(loaded)
    except FolderError as error:
        raise SystemExit(f"Error: {error}") from None


def _start(_self: object) -> None:
    """Set up a worker process."""
    end_with_parent()
    sys.setswitchinterval(SWITCH_SECONDS)


class _Deferred(Starlette):
    """An app that is built when it is started or first called.

    Args:
        make: Builds the app.
    """

    def __init__(self, make: Callable[[], Starlette]) -> None:
        super().__init__(lifespan=self._running)
        self._make = make

    @cached_property
    def _app(self) -> Starlette:
        return self._make()

    @asynccontextmanager
    async def _running(self, _: Starlette) -> AsyncGenerator[None, None]:
        async with self._app.router.lifespan_context(self._app):
            # Exempt permanent objects from garbage collection: a full collection blocked the process for
            # 0.25 s.
            gc.collect()
            gc.freeze()
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Untimed:
    """Replaces BentoML's timeout middleware; the Gateway's own timeouts answer in OpenAI's format.

    BentoML's keeps a timer for each request until the timeout has passed, even if the request was answered
    before, and never ends for a request whose client left unanswered. Its setting has no value to disable it.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        del timeout
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _options(*, workers: int) -> dict[str, Any]:
    """Build BentoML's options of a service.

    Its metrics are off, since they label raw paths; its access log is off, since the app has its own. Its
    tracing, which costs time for every chunk of a stream and exports nowhere, excludes all paths.
    """
    return {
        "workers": workers,
        "metrics": {"enabled": False},
        "logging": {"access": {"enabled": False}},
        "tracing": {"excluded_urls": ".*"},
    }
