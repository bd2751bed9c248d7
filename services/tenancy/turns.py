"""Turns at work of which a process does only so much at once, shared among those that want it."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Turns:
    """Gives turns in rotation: whoever has few wanted waits for one turn of each of the others, at most.

    Args:
        at_once: Turns that are had at once; nobody has all of them, unless there is only one.
        most: Turns that one may wait for at once.
    """

    def __init__(self, at_once: int, *, most: int) -> None:
        self._free = at_once
        self._share = max(1, at_once - 1)
        self._most = most
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, whose: str, *, seconds: float) -> AsyncGenerator[None, None]:
        """Have a turn while the block lasts.

        Args:
            whose: Who is to share with others.
            seconds: How long to wait.

        Raises:
            TimeoutError: Too many others want one, or ``whose`` waits for too many already.
        """
        await self._take(whose, seconds)
        try:
            yield
        finally:
            self._give_back(whose)

    async def _take(self, whose: str, seconds: float) -> None:
        queue = self._waiting.setdefault(whose, deque())
        if len(queue) >= self._most:
            raise TimeoutError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._hand_out()
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._give_back(whose)
            else:
                self._leave(whose, turn)
            raise

    def _leave(self, whose: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(whose)
        if queue is None or turn not in queue:
            return  # it was passed over meanwhile
        queue.remove(turn)
        if not queue:
            del self._waiting[whose]

    def _give_back(self, whose: str) -> None:
        self._free += 1
        self._taken[whose] -= 1
        if not self._taken[whose]:
            del self._taken[whose]
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free:
            whose = next((name for name in self._waiting if self._taken[name] < self._share), None)
            if whose is None:
                return
            turn = self._waiting[whose].popleft()
            if self._waiting[whose]:
                self._waiting.move_to_end(whose)
            else:
                del self._waiting[whose]
            if turn.cancelled():
                continue  # its task has not run since
            self._free -= 1
            self._taken[whose] += 1
            turn.set_result(None)
