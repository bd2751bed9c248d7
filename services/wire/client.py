"""The client of an engine runner, which may be on another machine."""

import asyncio
import io
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final, Self, TypeAlias

import aiohttp
import numpy as np
from pydantic import ValidationError

from engines.config import EngineConfig
from engines.contract import EngineUnavailable, Pcm, ReferenceSample
from engines.embedding import LARGEST, BrokenEmbedding, unpack
from services.log_context import handed_on
from services.tasks import SingleFlight, in_thread
from services.wire.connection import MAX_ANSWER, RunnerConnection
from services.wire.frames import (
    BODY_TIMEOUT_SECONDS,
    ENGINE_PATH,
    HELD_STATUS,
    MISSED_HEADER,
    MISSING_STATUS,
    PREPARE_PATH,
    PREPARE_TIMEOUT_SECONDS,
    SYNTHESIZE_PATH,
    UNLOAD_PATH,
    VOICE_ID,
    VOICES_PATH,
    WAIT_TIMEOUT_SECONDS,
    BrokenStream,
    EngineDescription,
    Failure,
    FrameKind,
    FrameReader,
    Missing,
    Spoken,
    SynthesisCall,
)
from services.wire.sample_frames import encode

SpeechEvent: TypeAlias = Pcm | Spoken

VoiceReader: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Reads the prepared voice with an ID, in the format of :func:`engines.embedding.pack`."""

DESCRIBE_TIMEOUT_SECONDS: Final = 5.0
"""Maximum seconds for a runner to describe its engine, or to erase a voice."""

UNLOAD_TIMEOUT_SECONDS: Final = 30.0
"""Maximum seconds for a runner to unload its engine."""

PUT_TIMEOUT_SECONDS: Final = 30.0
"""Maximum seconds for a runner to accept a voice."""

MAX_SUPPLIES: Final = 3
"""Maximum number of times that a call may supply missing voices; more means that the cache is too small."""


class EngineClient:
    """Calls one runner. Use as an asynchronous context manager.

    Args:
        config: The engine's settings.
        address: ``unix:///path`` or ``file:///path`` of a socket, or an ``http(s)://`` address.
        first_audio_timeout: Maximum seconds until the first frame of a call.
        stall_timeout: Maximum seconds between two frames.
    """

    def __init__(
        self, config: EngineConfig, address: str, *, first_audio_timeout: float, stall_timeout: float
    ) -> None:
        self.config = config
        self._runner = RunnerConnection(config, address)
        self._first_audio_timeout = first_audio_timeout
        self._stall_timeout = stall_timeout
        self._supplies = SingleFlight[None]()

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.config.name

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        await self._runner.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections; the runner cancels their calls."""
        await self._runner.close()

    async def describe(self) -> EngineDescription:
        """Return the current description of the engine.

        Raises:
            EngineUnavailable: The runner does not answer, or its response is invalid.
        """
        try:
            async with self._runner.request("GET", ENGINE_PATH, timeout=DESCRIBE_TIMEOUT_SECONDS) as answer:
                body = await answer.read()
                if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
                    raise EngineUnavailable(self._runner.says(answer.status))
                return EngineDescription.model_validate_json(body)
        except ValidationError as error:
            raise EngineUnavailable(f"The runner of {self.name} sent an unexpected response.") from error

    async def speak(
        self, call: SynthesisCall, voices: VoiceReader | None = None
    ) -> AsyncGenerator[SpeechEvent, None]:
        """Yield PCM at the engine's sample rate, and :class:`Spoken` at the end of each utterance.

        Closing the generator disconnects, which stops the engine.

        Args:
            call: The utterances to speak.
            voices: Reads a prepared voice that the runner does not have. Concurrent calls that miss the same
                voice share one read. Its exceptions are propagated.

        Raises:
            EngineError: The runner's own error, or ``EngineUnavailable`` if the connection is lost.
        """
        deadline = asyncio.get_running_loop().time() + self._first_audio_timeout
        for supplied in range(MAX_SUPPLIES + 1):
            missing = None
            async with aclosing(self._speak(call, deadline)) as events:
                async for event in events:
                    if isinstance(event, Missing):
                        missing = event
                    else:
                        yield event
            if missing is None:
                return
            if voices is None or not call.prepared.issuperset(missing.missing):
                raise EngineUnavailable(f"The runner of {self.name} lacks a voice that could not be read.")
            if supplied < MAX_SUPPLIES:
                await self._supply(missing, voices, deadline)
                call = call.model_copy(update={"again": True})
        raise EngineUnavailable(f"The runner of {self.name} cannot hold the voices of this call.")

    async def prepare(self, samples: Sequence[ReferenceSample]) -> bytes:
        """Prepare a voice from recordings, and return it packed. Cancelling the call stops the engine's work.

        Raises:
            UnsupportedUtterance: The recordings cannot be used; the message has the reason.
            EngineOverloaded: Too many preparations are waiting.
            EngineUnavailable: The runner is unreachable, or its engine failed.
        """
        patience = BODY_TIMEOUT_SECONDS + WAIT_TIMEOUT_SECONDS + PREPARE_TIMEOUT_SECONDS
        async with self._runner.request(
            "POST", PREPARE_PATH, timeout=patience, data=_sent(samples)
        ) as answer:
            if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
                raise await self._runner.failed(answer)
            data = await self._runner.read(answer, LARGEST)
        try:
            voice = await in_thread(unpack, data)
        except BrokenEmbedding as error:
            raise EngineUnavailable(f"The runner of {self.name} prepared a broken voice.") from error
        if voice.engine.lower() != self.name.lower() or not voice.model:
            raise EngineUnavailable(f"The runner of {self.name} prepared a voice of {voice.engine!r}.")
        return data

    async def unload(self) -> bool:
        """Ask the runner to unload its engine; return false if the engine is in use.

        Raises:
            EngineUnavailable: The runner does not answer, or its response is invalid.
        """
        async with self._runner.request("POST", UNLOAD_PATH, timeout=UNLOAD_TIMEOUT_SECONDS) as answer:
            if answer.status not in {204, HELD_STATUS}:
                raise EngineUnavailable(self._runner.says(answer.status))
            return answer.status != HELD_STATUS

    async def put_voice(self, voice_id: str, data: bytes, *, missed: int | None = None) -> None:
        """Send a prepared voice to the runner, which holds it for later calls.

        Args:
            voice_id: ID of the voice.
            data: The packed voice.
            missed: :attr:`Missing.missed` of the runner's response, if it reported the voice as missing. If
                the voice was dropped since, the runner discards it without an error: the next call reports
                it as missing again.

        Raises:
            EngineError: The runner rejects the voice, or is unreachable.
        """
        headers = {} if missed is None else {MISSED_HEADER: str(missed)}
        body = io.BytesIO(data)  # aiohttp writes bytes at once, a file in pieces
        async with self._runner.request(
            "PUT", _path_of(voice_id), timeout=PUT_TIMEOUT_SECONDS, data=body, headers=headers
        ) as answer:
            # 410: dropped since it was reported missing, so the data may be outdated.
            if answer.status != 204 and (answer.status != 410 or missed is None):  # noqa: PLR2004 - HTTP's No Content, Gone
                raise await self._runner.failed(answer)

    async def drop_voice(self, voice_id: str) -> None:
        """Erase a prepared voice from the runner and its engine; does nothing for an unknown voice.

        Delete its source first, so that no call sends it to the runner again.

        Raises:
            EngineUnavailable: The runner is unreachable, or its engine failed to evict the voice.
        """
        async with self._runner.request(
            "DELETE", _path_of(voice_id), timeout=DESCRIBE_TIMEOUT_SECONDS
        ) as answer:
            if answer.status != 204:  # noqa: PLR2004 - HTTP's No Content
                raise await self._runner.failed(answer)

    async def _speak(
        self, call: SynthesisCall, deadline: float
    ) -> AsyncGenerator[SpeechEvent | Missing, None]:
        """Try to speak ``call``; yield only :class:`Missing` if the runner lacks voices for it."""
        reader = FrameReader()
        try:
            async with asyncio.timeout_at(deadline) as limit:
                async with self._runner.session.post(
                    SYNTHESIZE_PATH.removeprefix("/"),
                    data=call.model_dump_json().encode(),
                    headers={"content-type": "application/json", **handed_on()},
                ) as answer:
                    if answer.status == MISSING_STATUS:
                        yield Missing.model_validate_json(await self._runner.read(answer, MAX_ANSWER))
                        return
                    if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
                        raise EngineUnavailable(self._runner.says(answer.status))
                    clock = asyncio.get_running_loop()
                    while data := await answer.content.readany():
                        # Only waiting for the engine counts, not the time the client takes to read.
                        limit.reschedule(None)
                        for event in _events(reader.feed(data)):
                            if event is None:
                                return
                            yield event
                        limit.reschedule(clock.time() + self._stall_timeout)
        except TimeoutError as error:
            raise EngineUnavailable(f"The engine {self.name} did not answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._runner.unreachable(error) from error
        except (BrokenStream, ValidationError, ValueError) as error:
            raise EngineUnavailable(f"The runner of {self.name} sent a broken stream.") from error
        raise EngineUnavailable(f"The engine {self.name} was lost during synthesis.")

    async def _supply(self, missing: Missing, voices: VoiceReader, deadline: float) -> None:
        """Send the missing voices to the runner, one after the other."""

        async def bring(voice_id: str) -> None:
            await self.put_voice(voice_id, await voices(voice_id), missed=missing.missed)

        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                for voice_id in missing.missing:
                    await self._supplies.run(voice_id, partial(bring, voice_id))
        except TimeoutError as error:
            if not limit.expired():
                raise  # from the reader of voices
            raise EngineUnavailable(f"A voice could not be sent to {self.name} in time.") from error


def _events(frames: Iterable[tuple[FrameKind, bytes]]) -> Generator[SpeechEvent | None, None, None]:
    """Yield the events of frames that arrived together, with consecutive audio joined; ``None`` is the end.

    Raises:
        EngineError: The runner's own error.
    """
    audio: list[bytes] = []
    for kind, payload in frames:
        if kind is FrameKind.AUDIO:
            audio.append(payload)
            continue
        if audio:
            yield _pcm(audio)
            audio = []
        if kind is FrameKind.SPOKEN:
            yield Spoken.model_validate_json(payload)
        elif kind is FrameKind.ERROR:
            raise Failure.model_validate_json(payload).error()
        else:
            yield None
    if audio:
        yield _pcm(audio)


def _pcm(payloads: list[bytes]) -> Pcm:
    """Return the samples of consecutive audio frames."""
    return np.frombuffer(b"".join(payloads), dtype="<i2").astype(np.int16, copy=False)


async def _sent(samples: Sequence[ReferenceSample]) -> AsyncGenerator[bytes, None]:
    """Encode recordings lazily as frames."""
    for data in encode(samples):
        yield data


def _path_of(voice_id: str) -> str:
    """Return the path of a prepared voice.

    Raises:
        EngineUnavailable: ``voice_id`` is not a valid ID.
    """
    if not VOICE_ID.fullmatch(voice_id):
        raise EngineUnavailable(f"{voice_id!r} is not the id of a prepared voice.")
    return f"{VOICES_PATH}/{voice_id}"
