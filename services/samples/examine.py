"""Examination of untrusted files: one child process per file writes the canonical wav and its figures."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from services.samples.child import FULL
from services.samples.errors import BadSample, ExaminerBusy
from services.samples.findings import sample_findings
from services.samples.limits import MIB, SampleLimits
from services.samples.process import run
from services.samples.report import SampleFigures, SampleReport, SpeakerEmbedding
from services.samples.sniff import sniff
from services.samples.speaker import find_speaker_model

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 60.0
"""Default time to wait for a free slot, in seconds."""
SPEAKER_SECONDS: Final = 60.0
"""Time limit for embedding the speaker, in seconds; loading the model's library takes most of it."""


class _Bad(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str


class _Answer(BaseModel):
    """The child's output. It is untrusted: the file may have exploited a decoder in the child."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: SampleFigures | None = None
    bad: _Bad | None = None


class Examiner:
    """Examines recordings, a limited number at a time.

    Args:
        concurrency: Maximum number of children of this process that run at once.
        wait_seconds: Maximum time to wait for a free slot.
    """

    def __init__(self, *, concurrency: int = 2, wait_seconds: float = WAIT_SECONDS) -> None:
        self._places = asyncio.Semaphore(concurrency)
        self._wait = wait_seconds

    async def examine(self, source: Path, target: Path, *, limits: SampleLimits) -> SampleReport:
        """Examine ``source`` and write the canonical wav to ``target``, which exists only on success.

        Args:
            source: The uploaded file. Its name is ignored.
            target: Path of the wav, in a folder with room for four times its size.
            limits: Limits of the recording and of the child's resources.

        Raises:
            BadSample: The file is not a usable recording.
            ExaminerBusy: No slot became free in time.
        """
        # Refuses most files that are not audio without a child or a slot.
        await asyncio.to_thread(_look, source, limits)
        async with self._place():
            try:
                figures = await _figures(source, target, limits)
                speaker = await _speaker(target)
            except BaseException:
                target.unlink(missing_ok=True)  # noqa: ASYNC240 - immediately, even during cancellation
                raise
        return SampleReport(
            **dict(figures), speaker=speaker, findings=sample_findings(figures, speaker, limits)
        )

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(self._wait):
                await self._places.acquire()
        except TimeoutError:
            raise ExaminerBusy(max(1.0, self._wait)) from None
        try:
            yield
        finally:
            self._places.release()


async def examine(source: Path, target: Path, *, limits: SampleLimits) -> SampleReport:
    """Examine one file, as :meth:`Examiner.examine` does, without a limit on concurrency."""
    return await Examiner(concurrency=1).examine(source, target, limits=limits)


async def _figures(source: Path, target: Path, limits: SampleLimits) -> SampleFigures:
    arguments = (*_absolute(source, target), str(os.getpid()), json.dumps(asdict(limits)))
    try:
        ended = await run("services.samples.child", arguments, limits.wall_seconds)
    except TimeoutError:
        raise BadSample(
            "decode_timeout", f"The file took longer than {limits.wall_seconds:g} s to decode."
        ) from None
    if ended.status == FULL:
        raise BadSample("decode_memory", "The file takes too much memory to decode.")
    try:
        answer = _Answer.model_validate_json(ended.answer)
    except ValidationError:
        answer = _Answer()
    if answer.bad is not None:
        raise BadSample(answer.bad.code, answer.bad.message)
    if ended.status or answer.figures is None:
        logger.warning("a process that examined a recording exited with status %d", ended.status)
        raise BadSample("decode_crash", "The file is damaged: its decoder crashed.")
    return answer.figures


def _look(source: Path, limits: SampleLimits) -> None:
    size = source.stat().st_size
    if size > limits.max_bytes:
        raise BadSample(
            "too_large", f"The file has {size / MIB:.0f} MiB; the limit is {limits.max_bytes / MIB:.0f} MiB."
        )
    with source.open("rb") as file:
        sniff(file)


def _absolute(*paths: Path) -> tuple[str, ...]:
    return tuple(str(path.absolute()) for path in paths)


async def _speaker(wav: Path) -> SpeakerEmbedding | None:
    """Embed the speaker; ``None`` without a model or after a failure, which leaves the recording usable."""
    if find_speaker_model() is None:
        return None
    try:
        ended = await run("services.samples.speaker_child", _absolute(wav), SPEAKER_SECONDS)
        return SpeakerEmbedding.model_validate_json(ended.answer)
    except (TimeoutError, ValidationError) as error:
        logger.warning("the speaker of a recording could not be embedded: %s", type(error).__name__)
        return None
