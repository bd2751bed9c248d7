"""Transactions on a tenant's voices, and the dependencies of all classes that change voices."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import QuotaLimits, Settings
from services.errors import not_found
from services.gate import DatabaseGate
from services.tenancy.origin import Origin
from services.voices.errors import over_quota
from services.voices.intake import Intake
from services.voices.standing import renew
from storage.errors import OverQuota
from storage.repositories.consents import ConsentRepository
from storage.repositories.doomed import DoomedObjects
from storage.repositories.embeddings import EmbeddingRepository
from storage.repositories.samples import SampleRepository
from storage.repositories.stored import make_room
from storage.repositories.voices import VoiceRepository
from storage.tables import AudioSample, VoiceProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The tenant that owns voices, and the origin of a request for them.

    Attributes:
        org_id: ID of the tenant.
        limits: The tenant's limits.
        origin: Origin of the request, for the audit log.
    """

    org_id: str
    limits: QuotaLimits
    origin: Origin


class VoiceTransaction:
    """A transaction with the repositories of one tenant.

    Args:
        session: The transaction.
        owner: The tenant, and the origin of the request.
        settings: The settings.
    """

    def __init__(self, session: AsyncSession, owner: Owner, settings: Settings) -> None:
        self.session = session
        self.owner = owner
        self.voices = VoiceRepository(session, owner.org_id)
        self.samples = SampleRepository(session, owner.org_id)
        self.embeddings = EmbeddingRepository(session, owner.org_id)
        self.consents = ConsentRepository(session, owner.org_id)
        self._settings = settings

    async def voice(self, voice_id: str) -> VoiceProfile:
        """Return a voice.

        Raises:
            ApiError: 404, also for voices of other tenants.
        """
        if (voice := await self.voices.get(voice_id)) is None:
            raise not_found("voice", voice_id)
        return voice

    async def locked(self, voice_id: str) -> VoiceProfile:
        """Lock a voice until the transaction ends, and return it.

        Raises:
            ApiError: 404, also for voices of other tenants.
        """
        if (voice := await self.voices.lock(voice_id)) is None:
            raise not_found("voice", voice_id)
        return voice

    async def sample(self, voice: VoiceProfile, sample_id: str) -> AudioSample:
        """Return a recording of a voice.

        Raises:
            ApiError: 404.
        """
        if (sample := await self.samples.get(voice.id, sample_id)) is None:
            raise not_found("sample", sample_id)
        return sample

    async def prepared(self, voice: VoiceProfile) -> list[tuple[str, str]]:
        """Return the engine and ID of each embedding of a voice."""
        rows = await self.embeddings.list([voice.id])
        return [(row.engine, row.embedding_id) for row in rows if row.embedding_id is not None]

    async def make_room(self, size: int) -> None:
        """Count bytes towards the tenant's storage limit, before they are stored.

        Raises:
            OverQuota: The tenant's storage limit would be exceeded.
        """
        await make_room(self.session, self.owner.org_id, size, most=self.owner.limits.stored_bytes)

    async def doom(self, keys: Collection[str]) -> None:
        """Schedule the deletion of objects for when the transaction is committed."""
        await DoomedObjects(self.session).doom(keys)

    async def renew(self, voice: VoiceProfile, engines: Collection[str]) -> None:
        """Update a locked voice's report, and queue its preparation; see :func:`renew`."""
        await renew(self.session, voice, self._settings, engines)

    async def log(self, action: str, target: str, details: Mapping[str, Any]) -> None:
        """Record a change in the audit log."""
        await self.owner.origin.log(self.session, self.owner.org_id, action, target=target, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceParts:
    """The shared dependencies of classes that create, change or delete voices.

    Attributes:
        gate: The database.
        settings: The settings.
        intake: Examines and stores recordings.
        cloning: Returns the names of the engines that clone.
        changed: Called when there is something to prepare or to delete.
        forget: Erases embeddings, by engine and ID, from the memory of the engines that can be reached.
    """

    gate: DatabaseGate
    settings: Settings
    intake: Intake
    cloning: Callable[[], Awaitable[Collection[str]]]
    changed: Callable[[], None]
    forget: Callable[[Collection[tuple[str, str]]], Awaitable[None]]

    def reading(self, owner: Owner) -> AbstractAsyncContextManager[VoiceTransaction]:
        """Open a read transaction.

        Raises:
            ApiError: 429, the block has exceeded one of the tenant's limits.
            StorageUnavailable: The database is unavailable.
        """
        return self._transaction(self.gate.read(), owner)

    def writing(self, owner: Owner) -> AbstractAsyncContextManager[VoiceTransaction]:
        """Open a write transaction; raises the same errors as :meth:`reading`."""
        return self._transaction(self.gate.write(), owner)

    @asynccontextmanager
    async def _transaction(
        self, opening: AbstractAsyncContextManager[AsyncSession], owner: Owner
    ) -> AsyncGenerator[VoiceTransaction, None]:
        try:
            async with opening as session:
                yield VoiceTransaction(session, owner, self.settings)
        except OverQuota as error:
            raise over_quota(error) from error

    @asynccontextmanager
    async def discarding(self) -> AsyncGenerator[list[str], None]:
        """Yield a list for keys of objects; if the block fails, the objects are deleted.

        Calls ``changed`` at the end of the block.
        """
        try:
            async with self.intake.discarding() as keys:
                yield keys
        finally:
            self.changed()
