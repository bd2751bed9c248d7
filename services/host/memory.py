"""A memory budget that all engines on a host share: before a runner loads its engine, it makes others unload.

Each runner is a separate process, and records the memory of its engine in a ledger
(:mod:`services.host.ledger`). A lock guards the ledger while a runner makes room and writes its entry, so
that of two concurrent loads, the second sees the entry of the first. Runners are asked to unload over their
own connections, and only if the budget would be exceeded.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from filelock import AsyncFileLock

from engines.config import EngineConfig
from engines.contract import EngineUnavailable
from engines.lease import EngineState
from engines.memory import Budget, Memory, NoRoom, Resident, megabytes, plan, too_large
from services.host.ledger import Entry, MemoryLedger
from services.wire.client import EngineClient

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.25
"""Seconds between checks whether a busy engine has become idle."""

_UNUSED_SECONDS: Final = 1.0
"""Timeout in seconds for speech, which these connections never carry."""


class HostMemory:
    """Grants memory to one engine (:class:`engines.memory.Room`) from the budget of its host.

    Args:
        engine: The engine's settings.
        budget: The budget of all engines together.
        folder: The server's runtime folder, which all its engines share.
        wait: Maximum seconds to wait while other engines are busy.
        engines: Settings of all engines, for the tokens of their runners.
        address: Returns the address of this engine's runner; ``None`` until it is served.
    """

    def __init__(
        self,
        engine: EngineConfig,
        budget: Budget,
        folder: Path,
        *,
        wait: float,
        engines: Sequence[EngineConfig],
        address: Callable[[], str | None],
    ) -> None:
        self._name = engine.name
        self._budget = budget
        self._wait = wait
        self._configs: Mapping[str, EngineConfig] = {other.name.lower(): other for other in engines}
        self._address = address
        self._lock = folder / "memory.lock"
        self._ledger = MemoryLedger(folder / "memory", engine.name)

    async def take(self, needed: Memory) -> None:
        """Reserve memory, waiting until other engines have released it if necessary.

        Raises:
            NoRoom: The other engines stayed busy for too long.
            EngineUnavailable: The memory exceeds the whole budget, or the ledger cannot be used.
        """
        if error := too_large(self._name, needed, self._budget):
            raise error
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait
        while not await self._try(needed, deadline):
            if loop.time() >= deadline:
                raise self._no_room(needed)
            await asyncio.sleep(min(POLL_SECONDS, max(0.0, deadline - loop.time())))

    def keep(self, memory: Memory) -> None:
        """Record the engine's actual memory, once it is loaded."""
        try:
            self._ledger.write(memory, self._address())
        except OSError as error:
            logger.warning("cannot write the memory ledger: %s", error)

    def leave(self) -> None:
        """Record that the engine is unloaded."""
        self._ledger.erase()

    async def _try(self, needed: Memory, deadline: float) -> bool:
        """Reserve memory if it is free or can be freed; return whether it was reserved."""
        patience = max(POLL_SECONDS, deadline - asyncio.get_running_loop().time())
        try:
            # The system may have deleted the temporary folder.
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Acquiring it does not block, so it needs no thread.
            async with AsyncFileLock(self._lock, timeout=patience, run_in_executor=False):
                entries = self._ledger.others()
                if not await self._make_room(entries, needed):
                    return False
                self._ledger.write(needed, self._address())
                return True
        except TimeoutError:
            return False
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            message = f"The memory ledger in {self._lock.parent} cannot be used: {error}."
            raise EngineUnavailable(message, retry_after=60.0) from error

    async def _make_room(self, entries: Sequence[Entry], needed: Memory) -> bool:
        if self._budget.holds(sum((entry.memory for entry in entries), needed)):
            return True
        residents = await asyncio.gather(*(self._ask(entry) for entry in entries))
        found = plan(residents, needed, self._budget)
        by_name = {entry.engine: entry for entry in entries}
        for name in found.evict:
            if not await self._evict(by_name[name]):
                return False
        return found.enough

    async def _ask(self, entry: Entry) -> Resident:
        """Return the state of an entry's engine; an engine that does not answer counts as busy."""
        idle, last_used = False, 0.0
        try:
            async with self._client(entry) as client:
                engine = await client.describe()
        except EngineUnavailable as error:
            logger.debug("%s", error.message)
        else:
            idle = not engine.held and engine.state is EngineState.WARM
            last_used = engine.last_used or 0.0
        return Resident(name=entry.engine, memory=entry.memory, idle=idle, last_used=last_used)

    async def _evict(self, entry: Entry) -> bool:
        try:
            async with self._client(entry) as client:
                gone = await client.unload()
        except EngineUnavailable as error:
            logger.warning("cannot unload an engine for %s: %s", self._name, error.message)
            return False
        if gone:
            logger.info("engine %s was unloaded for %s", entry.engine, self._name)
        return gone

    def _client(self, entry: Entry) -> EngineClient:
        if entry.address is None:
            raise EngineUnavailable(f"The runner of {entry.engine} is unreachable.")
        config = self._configs.get(entry.engine.lower()) or EngineConfig(name=entry.engine)
        return EngineClient(
            config, entry.address, first_audio_timeout=_UNUSED_SECONDS, stall_timeout=_UNUSED_SECONDS
        )

    def _no_room(self, needed: Memory) -> NoRoom:
        holders = [f"{e.engine} ({megabytes(e.ram)})" for e in self._ledger.others()]
        others = f" {', '.join(holders)} are loaded and busy." if holders else ""
        return NoRoom(
            f"Not enough free memory for the engine {self._name}, which needs about {megabytes(needed.ram)}."
            f"{others} Try again, or raise memory.ram_bytes or memory.vram_bytes.",
            retry_after=max(1.0, self._wait),
        )
