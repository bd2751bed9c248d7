"""Writing usage records to the database in the background, in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError

from services.gate import DatabaseGate
from services.tasks import Chore
from storage.repositories.ledger import settle
from storage.repositories.orgs import OrgRepository
from storage.repositories.usage import Usage, add_usage

logger = logging.getLogger(__name__)

WAITING: Final = 20_000
"""Maximum number of pending records; beyond that, the oldest are dropped and the loss is logged."""

AT_ONCE: Final = 200
"""Maximum number of records per transaction."""

GATHER_SECONDS: Final = 0.25
"""Seconds to gather records for a batch."""

RETRY_SECONDS: Final = 2.0
"""Seconds until a retry after a failure."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The record of one finished request.

    Attributes:
        record: The usage record.
        reservation: ID of the reservation, if any.
        spent: Account → amount used.
    """

    record: Usage
    reservation: str | None
    spent: Mapping[str, int]


class UsageWriter:
    """Writes settlements in the background.

    Args:
        gate: The database.

    Attributes:
        chore: The background task.
    """

    def __init__(self, gate: DatabaseGate) -> None:
        self._gate = gate
        self._queue: deque[Settlement] = deque()
        self._writing = asyncio.Lock()
        self._in_flight = 0
        self._written = 0
        self._lost = 0
        self.chore = Chore(
            "writing usage records", self.flush, every=RETRY_SECONDS, gather=GATHER_SECONDS, at_close=True
        )

    @property
    def waiting(self) -> int:
        """Number of settlements not written yet, including those of the running transaction."""
        return len(self._queue) + self._in_flight

    @property
    def written(self) -> int:
        """Number of settlements whose transaction has ended."""
        return self._written

    @property
    def lost(self) -> int:
        """Number of settlements that were lost, because too many waited or the database rejected them."""
        return self._lost

    def put(self, settlement: Settlement) -> None:
        """Queue a settlement; the oldest one is dropped if the queue is full."""
        if len(self._queue) >= WAITING:
            self._queue.popleft()
            self._lost += 1
            logger.error("a usage record was lost: the database is unreachable (%d so far)", self._lost)
        self._queue.append(settlement)
        self.chore.wake()

    async def flush(self) -> None:
        """Write all pending settlements.

        Raises:
            StorageUnavailable: The database is unavailable; unwritten settlements are kept.
        """
        async with self._writing:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
                self._in_flight = len(batch)
                try:
                    await self._write(batch)
                except DBAPIError:
                    await self._write_each(batch)
                except BaseException:
                    self._queue.extendleft(reversed(batch))
                    raise
                finally:
                    self._in_flight = 0
                    self._written += len(batch)

    async def _write_each(self, batch: list[Settlement]) -> None:
        """Write the settlements of a rejected batch one by one; drop those that are rejected again."""
        for index, settlement in enumerate(batch):
            try:
                await self._write_or_drop(settlement)
            except BaseException:
                self._queue.extendleft(reversed(batch[index:]))
                raise

    async def _write_or_drop(self, settlement: Settlement) -> None:
        try:
            await self._write([settlement])
        except DBAPIError as error:
            if isinstance(error, IntegrityError) and await self._gone(settlement):
                # Its other usage was deleted with it.
                logger.info("usage of a deleted organisation was dropped")
                return
            self._lost += 1
            logger.exception("a usage record was lost: the database rejected it")

    async def _gone(self, settlement: Settlement) -> bool:
        """Whether the organisation has been deleted."""
        async with self._gate.read() as session:
            return await OrgRepository(session).get(settlement.record["org_id"]) is None

    async def _write(self, batch: list[Settlement]) -> None:
        spent = {entry.reservation: entry.spent for entry in batch if entry.reservation is not None}
        async with self._gate.write() as session:
            if spent:
                await settle(session, spent)
            await add_usage(session, [entry.record for entry in batch])
