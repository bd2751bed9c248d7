"""Speaking of a batch on one worker, with recovery if the worker is lost."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from engines.contract import (
    Abandoned,
    EngineError,
    EngineUnavailable,
    Pcm,
    Speech,
    Streamed,
    Utterance,
    WordTiming,
    collect,
)
from engines.espeak.pool import WorkerPlace
from engines.espeak.process import WorkerLost, WorkerProcess
from engines.espeak.timings import word_timings
from engines.espeak.wire import Frame, MessageKind, Request, unpack_marks

REQUESTS_AHEAD: Final = 8
"""Maximum number of requests sent ahead, so that the worker never waits for the next one."""
POLL_SECONDS: Final = 0.05
"""Seconds between checks of ``abandoned`` while a worker is silent."""
NO_PCM: Final[Pcm] = np.zeros(0, np.int16)


@dataclass(slots=True, eq=False)
class Job:
    """One utterance of a batch on its way through a worker.

    Attributes:
        index: Index in the batch.
        utterance: The utterance.
        request: The utterance as a request to eSpeak NG.
        id: ID of the request.
        heard: Whether any PCM of it has been received.
        retried: Whether it was sent to a second worker.
        stopping: Whether it has been aborted.
        waited: Seconds that the worker has taken for it.
        words: Word timings.
    """

    index: int
    utterance: Utterance
    request: Request
    id: int = 0
    heard: bool = False
    retried: bool = False
    stopping: bool = False
    waited: float = 0.0
    words: tuple[WordTiming, ...] = field(default=())


async def speak(place: WorkerPlace, jobs: Iterable[Job], limit: float) -> AsyncGenerator[Streamed, None]:
    """Speak ``jobs`` in order.

    If the worker is lost, the current utterance fails, unless no PCM of it has been received: then it is
    retried once, since the worker may have been lost before. The others are sent to a new worker.

    Args:
        place: Place of the worker.
        jobs: The jobs.
        limit: Maximum time for one utterance in seconds.
    """
    pending = deque(jobs)
    while pending:
        try:
            worker = await place.ready()
        except EngineUnavailable as error:
            for job in pending:
                yield job.index, error
            return
        try:
            async with aclosing(_run(worker, pending, limit)) as items:
                async for item in items:
                    yield item
        except TimeoutError:
            worker.kill()
            message = f"eSpeak NG took longer than {limit:g} s for this text."
            yield pending.popleft().index, EngineUnavailable(message)
        except WorkerLost:
            worker.kill()
            job = pending[0]
            if job.heard or job.retried:
                pending.popleft()
                yield job.index, EngineUnavailable("eSpeak NG crashed while speaking this text.")
            job.retried = True


async def render(place: WorkerPlace, requests: Sequence[Request], limit: float) -> list[Pcm]:
    """Return the PCM of requests.

    Args:
        place: Place of the worker.
        requests: The requests.
        limit: Maximum time for one request in seconds.

    Raises:
        EngineError: A request failed.
    """
    jobs = [Job(i, Utterance(text=r.text, voice=r.voice, language=""), r) for i, r in enumerate(requests)]
    async with aclosing(speak(place, jobs, limit)) as items:
        outcomes = await collect(items, len(jobs))
    spoken: list[Pcm] = []
    for outcome in outcomes:
        if isinstance(outcome, EngineError):
            raise outcome
        spoken.append(outcome.pcm)
    return spoken


async def _run(worker: WorkerProcess, pending: deque[Job], limit: float) -> AsyncGenerator[Streamed, None]:
    """Speak ``pending`` on ``worker``; each job is removed when it ends.

    Raises:
        WorkerLost: The worker was lost during the first job of ``pending``.
        TimeoutError: The worker took too long for it.
    """
    sent: deque[Job] = deque()
    while pending:
        _send_ahead(worker, pending, sent)
        job = pending[0]
        frame = await _next(worker, job, limit)
        if frame.id != job.id:
            raise WorkerLost("unexpected answer")
        if frame.kind is MessageKind.PCM:
            job.heard = True
            if not job.stopping:
                yield job.index, np.frombuffer(frame.payload, "<i2").astype(np.int16, copy=False)
        elif frame.kind is MessageKind.WORDS:
            job.words = word_timings(job.utterance.text, unpack_marks(frame.payload))
        else:
            pending.popleft()
            sent.popleft()
            yield job.index, _outcome(job, frame)


def _send_ahead(worker: WorkerProcess, pending: deque[Job], sent: deque[Job]) -> None:
    while len(sent) < min(REQUESTS_AHEAD, len(pending)):
        job = pending[len(sent)]
        job.id = worker.speak(job.request)
        job.stopping = False
        job.waited = 0.0
        sent.append(job)


async def _next(worker: WorkerProcess, job: Job, limit: float) -> Frame:
    """Return the next frame; abort the job if it is abandoned before or during the wait."""
    clock = asyncio.get_running_loop().time
    while True:
        if not job.stopping and job.utterance.abandoned():
            worker.abort(job.id)
            job.stopping = True
        began = clock()
        try:
            return await worker.receive(min(POLL_SECONDS, limit))
        except TimeoutError:
            if job.waited + clock() - began >= limit:
                raise
        finally:
            job.waited += clock() - began


def _outcome(job: Job, frame: Frame) -> Speech | EngineError:
    if job.stopping or frame.kind is MessageKind.ABORTED:
        return Abandoned("The utterance was abandoned.")
    if frame.kind is MessageKind.REFUSED:
        return EngineUnavailable(f"eSpeak NG failed: {frame.payload.decode(errors='replace')}.")
    return Speech(pcm=NO_PCM, words=job.words)
