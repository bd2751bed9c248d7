"""One request being spoken, whoever reads it: the answer to a client, a socket, a job's worker.

It takes a place, plans, reserves, speaks, keeps, settles and gives back. Nothing in it is HTTP's.
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
"""Runs work for as long as the reader is there; gives whether the work ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """For whom a request is spoken.

    Attributes:
        caller: Whose request it is.
        allowed: What their tenant may use.
        request_id: Of the request.
        external_user: Whom the client speaks for.
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
    """A script being spoken to one reader. Use as an asynchronous context manager.

    At its end, what was spoken is booked and the rest given back; audio that is not complete is not kept.

    Args:
        script: What to say.
        stream: Says it.
        place: Among the streams of this process; the reader may release it sooner.
        booking: What it uses is booked here.
        recording: Keeps the audio, if it is kept.
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
        """The id under which the audio is kept, if it is."""
        return None if self._recording is None else self._recording.id

    @property
    def started(self) -> bool:
        """Whether the reader has been given audio."""
        return self._latency is not None

    @property
    def seconds(self) -> float:
        """Of audio, so far."""
        return self._stream.seconds

    @property
    def ending(self) -> Ending:
        """How the sentences so far ended."""
        return self._stream.ending

    @property
    def spoken(self) -> bool:
        """Whether every sentence has been spoken, though perhaps not read."""
        return self._stream.complete

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, raised: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Settle: what was not completed is a failure, or a reader who left."""
        try:
            self._settle("failed" if isinstance(raised, Exception) else "hangup")
            if self._recording is not None:
                await asyncio.shield(self._recording.abandon())
        finally:
            self.place.release()

    async def parts(self) -> AsyncGenerator[Part, None]:
        """The audio in order, each part kept and booked before it is given. Closing it stops the engine.

        Raises:
            EngineError: The engine could not speak, or was lost.
            ApiError: The audio grew longer than allowed, a quota is used up, or the voice was taken back.
            StorageError: What keeps or books is away.
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
        """The reader has everything: keep the audio for good, and book the whole text.

        Raises:
            ApiError: 429, the tenant may not keep so much.
            StorageError: What keeps is away; nothing is kept.
        """
        if self._recording is not None:
            await self._recording.finish(self._stream.seconds)
        self._settle("ok")

    def fail(self) -> None:
        """Book what was spoken as a failure's. Later outcomes count for nothing."""
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
        casting: Says who speaks.
        planner: Makes texts ready to be spoken.
        places: The streams of this process.
        recorder: Keeps audio.
        meter: Books what is used.
        metrics: Count how sentences ended.
        turns: Of the processor.
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
        """Take a place, plan the speech and reserve what it may use.

        Args:
            request: What is asked for.
            reader: For whom.
            present: Plans while the reader is there.

        Returns:
            The session, to be used at once; ``None`` when the reader left meanwhile.

        Raises:
            ApiError: The request is at fault, or over a limit.
            EngineOverloaded: The tenant may have no more streams of this process now.
            EngineUnavailable: Nothing is known of the engine, and it does not answer.
            StorageError: A part that the request needs is away.
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
                # A store that is away is told now, not when everything is spoken.
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
        """What will be spoken; ``None`` when the reader left meanwhile."""
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
