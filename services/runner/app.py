"""An engine runner: serves one engine over HTTP, with a batcher that all callers share.

Routes (see :mod:`services.wire.frames` for the protocol)::

    POST /runner/synthesize   JSON → frames; a disconnect cancels the call
    GET  /runner/engine       description and state of the engine
    POST /runner/unload       free its memory for another engine, unless it is in use

For the routes of prepared voices, see :mod:`services.runner.voice_routes`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from enum import Enum, auto
from typing import Final

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engines.batcher import Batcher
from engines.config import EngineConfig
from engines.contract import (
    Abilities,
    EngineAdapter,
    EngineError,
    EngineUnavailable,
    Fetched,
    UnsupportedUtterance,
    Utterance,
    VoiceEmbeddingRef,
)
from engines.lease import EngineState, ModelLease
from engines.load_record import LoadRecord
from engines.memory import Room
from engines.registry import get_engine_adapter
from engines.ticket import Ticket
from services.declarations import declare
from services.doors import ClosedByDefault, Doors
from services.log_context import note
from services.middleware import Unexpected
from services.models.weights import Weights
from services.runner.frame_response import FrameResponse
from services.runner.held_voices import HeldVoices, Voices
from services.runner.middleware import LoggedCalls
from services.runner.preparing import EnginePreparer
from services.runner.voice_routes import voice_routes
from services.wire.frames import (
    ENGINE_PATH,
    HELD_STATUS,
    MISSING_STATUS,
    SYNTHESIZE_PATH,
    UNLOAD_PATH,
    EngineDescription,
    Failure,
    FrameKind,
    Line,
    Missing,
    Spoken,
    SynthesisCall,
    frame,
)

logger = logging.getLogger(__name__)

UTTERANCES_AHEAD: Final = 2
"""Maximum number of a call's utterances in the batcher: one being played, one being spoken."""

FETCH_SECONDS: Final = 30.0
"""Seconds between checks for missing weights."""

MAX_CALL: Final = 16 * 1024 * 1024
"""Maximum size of a call's JSON in bytes."""


class RunnerAccess(Enum):
    """The access that a runner's route requires."""

    GATEWAY = auto()
    """Callers that can reach the runner's socket, and have its token if one is set."""


class Runner:
    """One engine, loaded on demand, its batcher, and its prepared voices.

    Args:
        config: The engine's settings.
        make: Creates the engine; by default from the registry.
        weights: The model's weights, if the settings do not name a model; otherwise, the engine reports what
            is missing.
        room: Grants memory before the engine is loaded; if ``None``, memory is not limited.
        record: Records loads that end the process.
    """

    def __init__(
        self,
        config: EngineConfig,
        make: Callable[[str, EngineConfig], EngineAdapter] = get_engine_adapter,
        *,
        weights: Weights | None = None,
        room: Room | None = None,
        record: LoadRecord | None = None,
    ) -> None:
        self.config = config
        self.engine = make(config.type, config)
        # Checked once, because it reads the disk.
        self._weights = weights or (self.engine if isinstance(self.engine, Fetched) else None)
        self.lease = ModelLease(
            self.engine,
            idle_seconds=config.idle_unload_seconds,
            accept_license=config.accept_license,
            room=room,
            record=record,
        )
        self.batcher = Batcher(
            self.engine,
            self.lease.hold,
            config.batching,
            concurrency=config.max_concurrent_jobs,
            timeout=config.utterance_timeout_seconds,
        )
        self.voices = HeldVoices(self.engine, config.voice_cache_bytes)
        self.preparer = EnginePreparer(self.engine, self.lease.hold)
        self._calls = 0  # a call does not hold the lease between two of its sentences

    @property
    def missing(self) -> str | None:
        """What must be fetched before the engine can speak, and how; ``None`` if nothing is missing."""
        return None if self._weights is None else self._weights.missing

    async def start(self) -> None:
        """Load the engine now if it is configured ``warm``; a failure is recorded in the lease's state."""
        if self.config.warm and self.missing is None:
            try:
                async with self.lease.hold():
                    pass
            except EngineUnavailable as error:
                logger.error("engine %s could not be loaded: %s", self.config.name, error.message)  # noqa: TRY400 - the reason is the message

    async def close(self) -> None:
        """Cancel running calls and unload the engine."""
        await self.batcher.close()
        await self.lease.close()

    def describe(self) -> EngineDescription:
        """Return the current description of the engine."""
        engine, cache, figures = self.engine, self.voices.cache, self.lease.figures
        return EngineDescription(
            name=self.config.name,
            type=self.config.type,
            sample_rate=engine.sample_rate,
            languages=tuple(engine.languages),
            license=engine.license,
            license_accepted=self.lease.accepted,
            capabilities=Abilities.of(engine),
            voices=tuple(engine.voices()),
            state=self.lease.state,
            reason=self.lease.reason,
            missing=self.missing,
            waiting=self.batcher.waiting,
            running=self.batcher.running,
            voice_model=self.voices.model,
            voices_cached=len(cache),
            voice_bytes=cache.bytes,
            voice_hits=cache.hits,
            voice_misses=cache.misses,
            held=self.held,
            last_used=figures.last_used,
            loads=figures.loads,
            load_failures=figures.failures,
            unloads=figures.unloads,
            load_seconds=figures.load_seconds,
            warm_up_seconds=figures.warm_up_seconds,
            memory_bytes=figures.memory.ram,
            vram_bytes=figures.memory.vram,
            process_bytes=figures.process.ram,
        )

    @property
    def held(self) -> bool:
        """Whether the engine is in use or awaited."""
        return self._calls > 0 or self.lease.holders > 0

    async def unload(self) -> bool:
        """Unload the engine for another one, unless it is held or loading; return whether it is unloaded."""
        return not self.held and await self.lease.evict()

    def voices_of(self, call: SynthesisCall) -> Voices | Missing:
        """Return the prepared voices of ``call``, or the missing ones if this runner lacks some."""
        if not call.prepared or self.voices.model is None:
            return {}  # an engine that does not clone reports it when it speaks
        found, missing = self.voices.find(call.prepared, again=call.again)
        return Missing(missing=tuple(missing), missed=self.voices.drops) if missing else found

    async def speak(self, call: SynthesisCall, voices: Voices) -> AsyncGenerator[bytes, None]:
        """Yield the frames that answer ``call``. Closing the generator removes it from the batcher.

        Args:
            call: The utterances to speak.
            voices: The call's prepared voices, see :meth:`voices_of`.
        """
        self._calls += 1
        try:
            with self.voices.used(voices):
                async with aclosing(self._speak(call, voices)) as frames:
                    async for data in frames:
                        yield data
        finally:
            self._calls -= 1

    async def _speak(self, call: SynthesisCall, voices: Voices) -> AsyncGenerator[bytes, None]:
        tickets: deque[Ticket] = deque()
        lines = iter(call.lines)
        spoken = 0

        def submit() -> None:
            while len(tickets) < UTTERANCES_AHEAD and (line := next(lines, None)) is not None:
                utterance = _utterance(line, self._prepared(line, voices), timings=call.timings)
                ticket = self.batcher.submit(
                    utterance,
                    tenant=call.tenant,
                    weight=call.weight,
                    admitted=spoken > 0 or bool(tickets),
                )
                tickets.append(ticket)

        try:
            # Report it without trying to load, since a failed load would delay the next ones.
            if self.lease.state is not EngineState.WARM and (missing := self.missing) is not None:
                raise EngineUnavailable(missing, retry_after=FETCH_SECONDS)
            submit()
            while tickets:
                async with aclosing(tickets[0].chunks()) as chunks:
                    async for pcm in chunks:
                        yield frame(FrameKind.AUDIO, pcm.astype("<i2", copy=False).tobytes())
                yield frame(FrameKind.SPOKEN, _json(Spoken.of(spoken, tickets.popleft().speech)))
                spoken += 1
                submit()
            yield frame(FrameKind.END)
        except EngineError as error:
            yield frame(FrameKind.ERROR, _json(Failure.of(error)))
        finally:
            for ticket in tickets:
                ticket.abandon()

    def _prepared(self, line: Line, voices: Voices) -> VoiceEmbeddingRef | None:
        if not line.prepared:
            return None
        if self.voices.model is None:
            raise UnsupportedUtterance(f"The engine {self.config.name} does not clone voices.", param="voice")
        return voices[line.voice]


def _utterance(line: Line, prepared: VoiceEmbeddingRef | None, *, timings: bool) -> Utterance:
    return Utterance(
        text=line.text,
        voice=line.voice,
        language=line.language,
        speed=line.speed,
        seed=line.seed,
        timings=timings,
        prepared=prepared,
    )


def _json(message: Spoken | Failure) -> bytes:
    return message.model_dump_json().encode()


def create_runner_app(
    config: EngineConfig,
    make: Callable[[str, EngineConfig], EngineAdapter] = get_engine_adapter,
    *,
    weights: Weights | None = None,
    room: Room | None = None,
    record: LoadRecord | None = None,
) -> Starlette:
    """Create the ASGI app of one engine's runner; its lifespan starts and stops the engine.

    Args:
        config: The engine's settings.
        make: Creates the engine; by default from the registry.
        weights: The model's weights, if the settings do not name a model; otherwise, the engine reports what
            is missing.
        room: Grants memory before the engine is loaded; if ``None``, memory is not limited.
        record: Records loads that end the process.

    Raises:
        UnknownEngineType: There is no engine of the configured type.
    """
    runner = Runner(config, make, weights=weights, room=room, record=record)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        runner.lease.recall()
        # In the background, so that the runner can report that it is loading a large model.
        warming = asyncio.create_task(runner.start())
        try:
            yield
        finally:
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)
            await runner.close()

    async def synthesize(request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_CALL:
                return JSONResponse({"error": f"A call can have at most {MAX_CALL} bytes."}, 413)
        try:
            call = SynthesisCall.model_validate_json(bytes(body))
        except ValidationError as error:
            return JSONResponse({"error": error.errors(include_url=False, include_input=False)}, 422)
        note(org=call.tenant)
        voices = runner.voices_of(call)
        if isinstance(voices, Missing):
            return Response(voices.model_dump_json(), MISSING_STATUS, media_type="application/json")
        return FrameResponse(runner.speak(call, voices), runner.engine.sample_rate)

    async def engine(_request: Request) -> Response:
        await runner.lease.weigh()
        return Response(runner.describe().model_dump_json(), media_type="application/json")

    async def unload(_request: Request) -> Response:
        if await runner.unload():
            return Response(status_code=204)
        failure = Failure(code="engine_held", message=f"The engine {config.name} is in use.")
        return Response(failure.model_dump_json(), HELD_STATUS, media_type="application/json")

    routes = [
        Route(SYNTHESIZE_PATH, synthesize, methods=["POST"]),
        Route(ENGINE_PATH, engine, methods=["GET"]),
        Route(UNLOAD_PATH, unload, methods=["POST"]),
        *voice_routes(runner.voices, runner.preparer),
    ]
    app = Starlette(routes=[declare(route, RunnerAccess.GATEWAY) for route in routes], lifespan=lifespan)
    app.router.redirect_slashes = False
    app.add_middleware(ClosedByDefault, doors=Doors(app.routes, RunnerAccess))
    app.add_middleware(Unexpected)
    app.add_middleware(LoggedCalls, engine=config.name)
    return app
