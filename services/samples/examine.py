"""From an untrusted file to a canonical wav and a report, by a child process for each file."""

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
"""Seconds for a free place."""
SPEAKER_SECONDS: Final = 60.0
"""For embedding the speaker; most of it is the model's library being loaded."""


class _Bad(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str


class _Answer(BaseModel):
    """What a child writes; it may have been taken over by the file, so nothing in it is trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: SampleFigures | None = None
    bad: _Bad | None = None


class Examiner:
    """Examines recordings, some at once.

    Args:
        concurrency: Children at once in this process.
        wait_seconds: For a free place.
    """

    def __init__(self, *, concurrency: int = 2, wait_seconds: float = WAIT_SECONDS) -> None:
        self._places = asyncio.Semaphore(concurrency)
        self._wait = wait_seconds

    async def examine(self, source: Path, target: Path, *, limits: SampleLimits) -> SampleReport:
        """Look at ``source``, and write the canonical wav to ``target``, which is there only on success.

        Args:
            source: The uploaded file. Its name does not count.
            target: Where the wav goes; in a folder with room for four times its size.
            limits: What it may cost.

        Raises:
            BadSample: It is no usable recording.
            ExaminerBusy: No place was free in time.
        """
        # Most of what is no audio at all needs no child, and no place.
        await asyncio.to_thread(_look, source, limits)
        async with self._place():
            try:
                figures = await _figures(source, target, limits)
                speaker = await _speaker(target)
            except BaseException:
                target.unlink(missing_ok=True)  # noqa: ASYNC240 - at once, also while being cancelled
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
    """Examine one file, see :meth:`Examiner.examine`; nobody counts how many at once."""
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
    """The speaker's embedding; without one the recording is as good."""
    if find_speaker_model() is None:
        return None
    try:
        ended = await run("services.samples.speaker_child", _absolute(wav), SPEAKER_SECONDS)
        return SpeakerEmbedding.model_validate_json(ended.answer)
    except (TimeoutError, ValidationError) as error:
        logger.warning("the speaker of a recording could not be embedded: %s", type(error).__name__)
        return None
