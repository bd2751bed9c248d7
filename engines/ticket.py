"""A place in the queue for one utterance, from which its speech is read."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from contextvars import copy_context
from dataclasses import replace

import numpy as np

from engines.contract import Abandoned, EngineError, Outcome, Pcm, Speech, Utterance


class _Reader:
    """Whether the reader of a ticket is still there.

    A separate object, because an utterance that referred to its ticket would form a cycle: a prepared voice
    of a megabyte would stay until a garbage collection.
    """

    __slots__ = ("gone", "waiting")

    def __init__(self) -> None:
        self.gone = False
        self.waiting = False

    def is_gone(self) -> bool:
        return self.gone

    def is_waiting(self) -> bool:
        return self.waiting


class Ticket:
    """The result of ``Batcher.submit``.

    Its buffer is bounded by what the engine may say to one utterance; the reader takes PCM from it as
    it comes.

    Attributes:
        context: Of the task that submitted it.

    Args:
        utterance: What to speak. Its ``abandoned`` and ``awaited`` are replaced by this ticket's.
        key: The engine's batch key for it.
        on_abandon: Called once when the reader goes away before the outcome.
    """

    def __init__(self, utterance: Utterance, key: Hashable, on_abandon: Callable[["Ticket"], None]) -> None:
        self._reader = _Reader()
        self.utterance = replace(utterance, abandoned=self._reader.is_gone, awaited=self._reader.is_waiting)
        self.key = key
        self.context = copy_context()
        self._on_abandon = on_abandon
        self._buffer: deque[Pcm] = deque()
        self._outcome: Outcome | None = None
        self._wake = asyncio.Event()

    @property
    def settled(self) -> bool:
        """Whether it has its outcome, or is abandoned."""
        return self._outcome is not None or self._reader.gone

    @property
    def abandoned(self) -> bool:
        """Whether the reader has gone."""
        return self._reader.gone

    def put(self, item: Pcm | Outcome) -> None:
        """The engine's side: the next PCM, or the closing outcome. Ignored once settled."""
        if self.settled:
            return
        if isinstance(item, Speech):
            if item.pcm.size:
                self._buffer.append(item.pcm)
            self._outcome = item
        elif isinstance(item, EngineError):
            self._outcome = item
        elif item.size:
            self._buffer.append(item)
        self._wake.set()

    def abandon(self) -> None:
        """The reader's side: give up the rest."""
        if self.settled:
            return
        self._reader.gone = True
        self._buffer.clear()
        self._wake.set()
        self._on_abandon(self)

    async def chunks(self) -> AsyncGenerator[Pcm, None]:
        """The PCM in order, as it comes; ends when the utterance is spoken.

        Raises:
            EngineError: The utterance's own error, after the PCM that came before it.
        """
        self._reader.waiting = True
        while True:
            if self._buffer:
                # Joined, so that a slow reader catches up in one step.
                pcm = self._buffer.popleft() if len(self._buffer) == 1 else np.concatenate(self._buffer)
                self._buffer.clear()
                yield pcm
                continue
            if self._outcome is not None:
                if isinstance(self._outcome, EngineError):
                    raise self._outcome
                return
            if self._reader.gone:
                raise Abandoned("The utterance was abandoned.")
            self._wake.clear()
            await self._wake.wait()

    @property
    def speech(self) -> Speech:
        """The engine's report of the finished utterance; valid after ``chunks`` has ended."""
        if not isinstance(self._outcome, Speech):
            raise Abandoned("The utterance has not been spoken.")
        return self._outcome
