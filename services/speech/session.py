"""Sessions, each of which speaks one request for an HTTP response, a WebSocket or a job's worker.

A session takes a stream, plans the text, reserves quota, speaks, records, settles and releases the stream. It
is independent of HTTP.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

from services.config import Settings
from services.log_context import note
from services.metrics import Metrics
from services.quota.limits import Allowance
from services.quota.meter import Booking, Demand, Outcome, UsageMeter
from services.sharing.places import take_place
from services.sharing.shares import Share, Shares
from services.sharing.turns import Turns
from services.speech.planning import Planner
from services.speech.recording import OutputRecording, Recorder
from services.speech.script import Script, SpeechRequest, write_script
from services.speech.stream import Ending, Part, SpeechStream
from services.tenancy.principal import Principal
from services.voices.casting import Casting

Presence: TypeAlias = Callable[[Coroutine[Any, Any, None]], Awaitable[bool]]
"""Runs work until the reader disconnects; returns whether the work was completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """The recipient of a request's speech.

    Attributes:
        caller: The authenticated caller.
        allowed: The allowance of the caller's tenant.
        request_id: ID of the request.
        external_user: The client's own user that the request is made for.
        kind: ``speech`` or ``job``.
    """

    caller: Principal
    allowed: Allowance
    request_id: str | None = None
    external_user: str | None = None
    kind: str = "speech"


async def _always(work: Coroutine[Any, Any, None]) -> bool:
    await work
    return True


class SpeechSession:
    """Speaks a script for one reader. Use as an asynchronous context manager.

    On exit, the spoken part is booked and the rest of the reservation is released; an incomplete recording is
    discarded.

    Args:
        script: The script to speak.
        stream: Produces the audio.
        place: The session's share of this process's streams; the reader may release it earlier.
        booking: The reservation, on which the usage is booked.
        recording: Stores the audio, if requested.
    """

    def __init__(
        self,
        script: Script,
        stream: SpeechStream,
        *,
        place: Share,
        booking: Booking,
        recording: OutputRecording | None = None,
    ) -> None:
        self.script = script
        self.place = place
        self._stream = stream
        self._booking = booking
        self._recording = recording
        self._began = time.perf_counter()
        self._latency: float | None = None

    @property
    def recording_id(self) -> str | None:
        """ID of the stored audio; ``None`` if the audio is not stored."""
        return None if self._recording is None else self._recording.id

    @property
    def started(self) -> bool:
        """Whether any audio has been passed to the reader."""
        return self._latency is not None

    @property
    def seconds(self) -> float:
        """Seconds of audio so far."""
        return self._stream.seconds

    @property
    def ending(self) -> Ending:
        """Summary of how the sentences so far ended."""
        return self._stream.ending

    @property
    def spoken(self) -> bool:
        """Whether all sentences have been spoken, even if the reader has not read them yet."""
        return self._stream.complete

    async def __aenter__(self) -> Self:
        """Return the session itself."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, raised: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Settle: an incomplete session counts as failed on an exception, otherwise as a hang-up."""
        try:
            self._settle("failed" if isinstance(raised, Exception) else "hangup")
            if self._recording is not None:
                await asyncio.shield(self._recording.abandon())
        finally:
            self.place.release()

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Yield the audio in order. Closing the generator stops the engine.

        Each part is recorded, and its audio reserved, before it is yielded.

        Raises:
            EngineError: The engine failed, or the connection to it was lost.
            ApiError: The audio is longer than allowed, a quota is exhausted, or the voice was revoked.
            StorageError: The database or the store is unavailable.
        """
        async with aclosing(self._stream.parts()) as parts:
            async for part in parts:
                if self._recording is not None:
                    await self._recording.write(part.data)
                if part.data:
                    await self._booking.allow(self._stream.seconds)
                    if self._latency is None:
                        self._latency = time.perf_counter() - self._began
                yield part

    async def complete(self) -> None:
        """Complete the recording, and book the whole text. Call after the last part.

        Raises:
            ApiError: 429, the tenant's storage limit would be exceeded.
            StorageError: The database or the store is unavailable; nothing is kept.
        """
        if self._recording is not None:
            await self._recording.finish(self._stream.seconds)
        self._settle("ok")

    def fail(self) -> None:
        """Book the spoken part as a failure; later outcomes are ignored."""
        self._settle("failed")

    def _settle(self, outcome: Outcome) -> None:
        spoken = self.script.characters if outcome == "ok" else self._stream.characters
        seconds = self._stream.seconds if self.started else 0.0
        self._booking.settle(outcome, characters=spoken, audio_seconds=seconds, latency=self._latency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Opens sessions.

    Attributes:
        settings: The settings.
        casting: Finds the voice and its engine.
        planner: Prepares texts.
        places: The streams of this process.
        recorder: Starts recordings.
        meter: Reserves and books usage.
        metrics: The metrics, for finished sentences.
        turns: Turns of CPU time.
    """

    settings: Settings
    casting: Casting
    planner: Planner
    places: Shares
    recorder: Recorder
    meter: UsageMeter
    metrics: Metrics
    turns: Turns

    async def open(
        self, request: SpeechRequest, reader: Reader, *, present: Presence = _always
    ) -> SpeechSession | None:
        """Take a stream, plan the speech and reserve its usage.

        Args:
            request: The request.
            reader: The recipient.
            present: Runs the planning until the reader disconnects.

        Returns:
            The session, to be entered at once; ``None`` if the reader disconnected meanwhile.

        Raises:
            ApiError: The request is invalid or exceeds a limit.
            EngineOverloaded: The process has no free stream for the tenant, or too many texts wait.
            EngineUnavailable: The engine does not answer, and its description is not cached.
            StorageError: The database or the store is needed but unavailable.
        """
        caller, allowed = reader.caller, reader.allowed
        place = take_place(self.places, "streams", caller.org_id, allowed.weight)
        try:
            script = await self._plan(request, reader, present)
            if script is None:
                place.release()
                return None
            note(engine=script.cast.client.name)
            if request.store:
                # Fail before speaking if the store is unavailable.
                await self.recorder.ping()
            booking = await self.meter.reserve(
                caller,
                allowed.limits,
                Demand(
                    kind=reader.kind,
                    engine=script.cast.client.name,
                    voice=script.cast.voice_id or request.voice_id,
                    characters=script.characters,
                    audio_seconds=script.audio_seconds,
                    request_id=reader.request_id,
                    external_user=reader.external_user,
                ),
            )
        except BaseException:
            place.release()
            raise
        stream = SpeechStream(
            script,
            max_seconds=self.settings.limits.max_audio_seconds,
            metrics=self.metrics,
            turns=self.turns,
        )
        recording = self.recorder.record(caller, allowed.limits, script.format) if request.store else None
        return SpeechSession(script, stream, place=place, booking=booking, recording=recording)

    async def _plan(self, request: SpeechRequest, reader: Reader, present: Presence) -> Script | None:
        """Return the script; ``None`` if the reader disconnected meanwhile."""
        written: list[Script] = []

        async def write() -> None:
            script = await write_script(
                request,
                self.casting,
                self.settings,
                self.planner,
                tenant=reader.caller.org_id,
                weight=reader.allowed.weight,
            )
            written.append(script)

        return written[0] if await present(write()) else None
