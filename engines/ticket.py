"""A ticket for one queued utterance, from which its audio is read."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from contextvars import copy_context
from dataclasses import replace

import numpy as np

from engines.contract import Abandoned, EngineError, Outcome, Pcm, Speech, Utterance


class _Reader:
    """Whether the reader of a ticket is gone, or waiting.

    A separate object, because an utterance that refers to its ticket would form a cycle, which would keep a
    prepared voice of a megabyte in memory until a garbage collection.
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
    """The result of ``Batcher.submit``: buffers PCM from the engine until it is read.

    The buffer is limited only by the engine's limit for one utterance.

    Attributes:
        context: Context of the task that submitted the utterance.

    Args:
        utterance: The utterance. Its ``abandoned`` and ``awaited`` are replaced by this ticket's.
        key: The engine's batch key for it.
        on_abandon: Called once if the reader disconnects before the outcome.
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
        """Whether the ticket has an outcome, or is abandoned."""
        return self._outcome is not None or self._reader.gone

    @property
    def abandoned(self) -> bool:
        """Whether the reader has disconnected."""
        return self._reader.gone

    def put(self, item: Pcm | Outcome) -> None:
        """Add PCM or the final outcome, on the engine's side. Does nothing once settled."""
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
        """Discard the rest, on the reader's side. Does nothing once settled."""
        if self.settled:
            return
        self._reader.gone = True
        self._buffer.clear()
        self._wake.set()
        self._on_abandon(self)

    async def chunks(self) -> AsyncGenerator[Pcm, None]:
        """Yield the PCM in order as it arrives, until the utterance is complete.

        Raises:
            EngineError: The utterance's error, after the PCM that precedes it.
        """
        self._reader.waiting = True
        while True:
            if self._buffer:
                # Joined, so that a slow reader catches up at once.
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
        """The engine's report of the finished utterance; available after :meth:`chunks` has ended.

        Raises:
            Abandoned: The utterance has not been spoken.
        """
        if not isinstance(self._outcome, Speech):
            raise Abandoned("The utterance has not been spoken.")
        return self._outcome
