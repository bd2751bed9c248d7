"""Liveness and readiness."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from engines.contract import EngineUnavailable
from engines.lease import EngineState
from services.counters.contract import CountersUnavailable
from services.state import GatewayState, State
from services.tenancy.scopes import access
from services.wire.client import EngineClient
from storage.errors import StorageError

router = APIRouter(tags=["health"])

PART_TIMEOUT_SECONDS: Final = 3.0
"""Timeout of a check in seconds."""

_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "Speech requests cannot be served now."}}


@router.get("/health/live", operation_id="live", summary="Check Liveness")
@router.get("/livez", include_in_schema=False)
@router.get("/healthz", include_in_schema=False)
@access(everyone=True)
async def live() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/health/ready", operation_id="ready", summary="Check Readiness", responses=_NOT_READY)
@router.get("/readyz", include_in_schema=False)
@access(everyone=True)
async def ready(state: State) -> Response:
    """The state of each part. Ready: the default engine can speak, and usage can be recorded."""
    clients = list(state.directory.clients)
    parts, database, counters, objects = await asyncio.gather(
        asyncio.gather(*(_part(client) for client in clients)),
        _storage(state.gate.ping, state.writes.check),
        _counters(state),
        _storage(state.keeps.check),
    )
    engines = {client.name: part for client, part in zip(clients, parts, strict=True)}
    # Without keys and limits, only the engine is needed to speak.
    needed = [engines[state.directory.default.name]]
    if state.settings.auth.mode == "required":
        needed.append(database)
        if state.settings.storage.object_store.type == "folder":
            # A local disk: other machines may have space. An S3 service is unreachable for all of them.
            needed.append(objects)
        if state.settings.quota.when_counters_fail == "closed":
            needed.append(counters)
    stopping = state.stopping.begun
    able = not stopping and all(part["ready"] for part in needed)
    well = able and all(part["ready"] for part in (*parts, database, counters, objects))
    status = "ok" if well else "degraded" if able else "unavailable"
    gateway = {"ready": not stopping, "streams": state.places.taken}
    body = {
        "status": status,
        "parts": {
            "gateway": gateway,
            "database": database,
            "counters": counters,
            "objects": objects,
            "engines": engines,
        },
    }
    return JSONResponse(body, 200 if able else 503)


async def _storage(*checks: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    try:
        async with asyncio.timeout(PART_TIMEOUT_SECONDS):
            for check in checks:
                await check()
    except StorageError as error:
        return {"ready": False, "reason": str(error)}
    except TimeoutError:
        return {"ready": False, "reason": "It did not answer in time."}
    return {"ready": True, "reason": None}


async def _counters(state: GatewayState) -> dict[str, Any]:
    kind = "memory" if state.settings.storage.redis_url is None else "redis"
    try:
        await state.counters.ping()
    except CountersUnavailable as error:
        return {"ready": False, "kind": kind, "reason": str(error)}
    return {"ready": True, "kind": kind, "reason": None}


async def _part(client: EngineClient) -> dict[str, Any]:
    try:
        engine = await client.describe()
    except EngineUnavailable as error:
        return {"ready": False, "state": "unreachable", "reason": error.message}
    return {
        "ready": engine.state is not EngineState.FAILED and engine.missing is None,
        "state": engine.state,
        "reason": engine.missing or engine.reason,
        "waiting": engine.waiting,
        "running": engine.running,
        "last_used": engine.last_used,
        "loading": {
            "loads": engine.loads,
            "failures": engine.load_failures,
            "unloads": engine.unloads,
            "seconds": engine.load_seconds,
            "warm_up_seconds": engine.warm_up_seconds,
        },
        "memory": {
            "bytes": engine.memory_bytes,
            "vram_bytes": engine.vram_bytes,
            "process_bytes": engine.process_bytes,
        },
        "voices": {
            "cached": engine.voices_cached,
            "bytes": engine.voice_bytes,
            "hits": engine.voice_hits,
            "misses": engine.voice_misses,
        },
    }
