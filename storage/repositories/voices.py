"""Voices that tenants created, and their aliases."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, func, or_, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.columns import name_key, new_id, now
from storage.errors import Conflict, OverQuota
from storage.repositories.tenant import TenantRepository
from storage.tables import Org, VoiceAlias, VoiceEmbedding, VoiceProfile, VoiceState

_KNOWS: Final = text(
    "SELECT 1 FROM voices WHERE org_id = :org AND (id = :wanted OR name_key = :key) "
    "UNION ALL SELECT 1 FROM voice_aliases WHERE org_id = :org AND alias_key = :key LIMIT 1"
)
"""Text, because SQLAlchemy takes longer to build the statement than the database to run it."""


async def has_voice(connection: AsyncConnection, org_id: str, wanted: str) -> bool:
    """Whether :meth:`VoiceRepository.find` would find a voice; cheaper, since every speech request asks.

    Args:
        connection: A connection, of a session or for lookups.
        org_id: ID of the tenant.
        wanted: ID, name or alias of a voice.
    """
    parameters = {"org": org_id, "wanted": wanted, "key": name_key(wanted)}
    return (await connection.execute(_KNOWS, parameters)).first() is not None


class Castable(NamedTuple):
    """A voice for a speech request, with its embeddings of all engines."""

    voice: VoiceProfile
    embeddings: Sequence[VoiceEmbedding]


class Speakable(NamedTuple):
    """A voice that can be used now, with the fields that lists show.

    Attributes:
        id: ID of the voice.
        name: Display name.
        language: BCP-47 tag, if known.
        description: Description for people.
        labels: The tenant's labels.
        engines: Names of the engines that can speak it.
    """

    id: str
    name: str
    language: str | None
    description: str
    labels: Mapping[str, Any]
    engines: Sequence[str]


class VoiceRepository(TenantRepository):
    """The voices of one tenant."""

    async def check_new(self, name: str, *, most: int | None = None) -> None:
        """Check that a voice with a name can be created.

        Raises:
            Conflict: The name is taken by a voice or an alias.
            OverQuota: The tenant would have more than ``most`` voices.
        """
        if most is not None and (count := await self.count()) >= most:
            raise OverQuota("voices/all", limit=most, used=count, wanted=1)
        key = name_key(name)
        query = select(VoiceProfile.id).where(
            VoiceProfile.org_id == self._org_id, VoiceProfile.name_key == key
        )
        if await self._session.scalar(query) is not None:
            raise Conflict(f"A voice '{name}' already exists.", param="name")
        await self._keep_names_apart(name)

    async def create(
        self,
        name: str,
        *,
        voice_id: str | None = None,
        language: str | None = None,
        description: str = "",
        labels: Mapping[str, Any] | None = None,
        consent_id: str | None = None,
        most: int | None = None,
    ) -> VoiceProfile:
        """Create a voice without samples.

        Raises:
            Conflict: The name is taken by a voice or an alias.
            OverQuota: The tenant would have more than ``most`` voices.
        """
        await self._one_after_the_other()
        await self.check_new(name, most=most)
        voice = VoiceProfile(
            id=voice_id or new_id("voice"),
            org_id=self._org_id,
            name=name,
            name_key=name_key(name),
            language=language,
            description=description,
            labels=dict(labels or {}),
            consent_id=consent_id,
        )
        self._session.add(voice)
        await self._flush(name)
        return voice

    async def get(self, voice_id: str) -> VoiceProfile | None:
        """Return a voice by ID."""
        return await self._get(VoiceProfile, voice_id)

    async def lock(self, voice_id: str) -> VoiceProfile | None:
        """Return a voice by ID, locked until the transaction ends."""
        query = self._own(VoiceProfile, VoiceProfile.id == voice_id)
        # With the values after locking, not those that this session may have read before.
        locking = query.with_for_update().execution_options(populate_existing=True)
        return await self._session.scalar(locking)

    async def knows(self, wanted: str) -> bool:
        """Whether :meth:`find` would find a voice."""
        return await has_voice(await self._session.connection(), self._org_id, wanted)

    async def find(self, wanted: str) -> Castable | None:
        """Return a voice by ID, else by name, else by alias; names and aliases are case-insensitive."""
        key = name_key(wanted)
        alias = select(VoiceAlias.voice_id).where(
            VoiceAlias.org_id == self._org_id, VoiceAlias.alias_key == key
        )
        query = (
            select(VoiceProfile, VoiceEmbedding)
            .outerjoin(VoiceEmbedding, VoiceEmbedding.voice_id == VoiceProfile.id)
            .where(
                VoiceProfile.org_id == self._org_id,
                or_(
                    VoiceProfile.id == wanted,
                    VoiceProfile.name_key == key,
                    VoiceProfile.id.in_(alias),
                ),
            )
        )
        # The embedding is None for a voice without any.
        rows: list[tuple[VoiceProfile, VoiceEmbedding | None]] = [
            (row[0], row[1]) for row in (await self._session.execute(query)).all()
        ]
        if not rows:
            return None
        # The ID of one voice may be the name of another, and the alias of a third.
        best = min((row[0] for row in rows), key=lambda voice: (voice.id != wanted, voice.name_key != key))
        return Castable(best, [row[1] for row in rows if row[0] is best and row[1] is not None])

    async def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        search: str | None = None,
        language: str | None = None,
        state: str | None = None,
    ) -> Sequence[VoiceProfile]:
        """Return voices ordered by name.

        Args:
            after: ID of the last voice of the previous page.
            limit: Maximum number of voices.
            search: Text that the name or description must contain, case-insensitively.
            language: Language tag; voices must have the same primary language.
            state: One of :class:`storage.tables.VoiceState`.
        """
        query = self._own(VoiceProfile)
        if search:
            key = name_key(search)
            query = query.where(
                or_(
                    VoiceProfile.name_key.contains(key, autoescape=True),
                    func.lower(VoiceProfile.description).contains(search.lower(), autoescape=True),
                )
            )
        if language is not None:
            primary = language.replace("_", "-").partition("-")[0].lower()
            tag = func.lower(VoiceProfile.language)
            query = query.where(or_(tag == primary, tag.startswith(f"{primary}-", autoescape=True)))
        if state is not None:
            query = query.where(VoiceProfile.state == state)
        if after is not None:
            last = select(VoiceProfile.name_key).where(
                VoiceProfile.org_id == self._org_id, VoiceProfile.id == after
            )
            query = query.where(VoiceProfile.name_key > last.scalar_subquery())
        return (await self._session.scalars(query.order_by(VoiceProfile.name_key).limit(limit))).all()

    async def speakable(self, *, limit: int) -> Sequence[Speakable]:
        """Return voices that can be used now, ordered by name, with only the fields that lists show."""
        query = (
            select(
                VoiceProfile.id,
                VoiceProfile.name,
                VoiceProfile.language,
                VoiceProfile.description,
                VoiceProfile.labels,
                VoiceEmbedding.engine,
            )
            .join(VoiceEmbedding, VoiceEmbedding.voice_id == VoiceProfile.id)
            .where(
                VoiceProfile.org_id == self._org_id,
                VoiceProfile.state == VoiceState.READY,
                VoiceEmbedding.embedding_id.is_not(None),
            )
            .order_by(VoiceProfile.name_key, VoiceEmbedding.engine)
        )
        found: dict[str, Speakable] = {}
        engines: dict[str, deque[str]] = {}
        for voice_id, name, language, description, labels, engine in await self._session.execute(query):
            if voice_id not in found:
                if len(found) == limit:
                    break
                engines[voice_id] = deque()
                found[voice_id] = Speakable(voice_id, name, language, description, labels, engines[voice_id])
            engines[voice_id].append(engine)
        return tuple(found.values())

    async def names(self, *, limit: int = 1_000) -> Sequence[str]:
        """Return names and aliases, to suggest one for a mistyped name."""
        names = select(VoiceProfile.name).where(VoiceProfile.org_id == self._org_id)
        aliases = select(VoiceAlias.alias).where(VoiceAlias.org_id == self._org_id)
        return (await self._session.scalars(names.union_all(aliases).limit(limit))).all()

    async def count(self) -> int:
        """Return the number of voices."""
        query = select(func.count()).select_from(VoiceProfile).where(VoiceProfile.org_id == self._org_id)
        return int(await self._session.scalar(query) or 0)

    async def rename(self, voice: VoiceProfile, name: str) -> None:
        """Rename a voice.

        Raises:
            Conflict: The name is taken by another voice or another voice's alias.
        """
        await self._one_after_the_other()
        await self._keep_names_apart(name, voice.id)
        voice.name, voice.name_key = name, name_key(name)
        await self._flush(name)

    async def delete(self, voice: VoiceProfile) -> None:
        """Delete a voice with its samples, aliases and embeddings; the caller deletes their objects."""
        await self._session.execute(
            delete(VoiceProfile).where(VoiceProfile.org_id == self._org_id, VoiceProfile.id == voice.id)
        )

    async def of_consent(self, consent_id: str) -> Sequence[VoiceProfile]:
        """Return the voices with a consent, ordered by ID."""
        query = self._own(VoiceProfile, VoiceProfile.consent_id == consent_id)
        return (await self._session.scalars(query.order_by(VoiceProfile.id))).all()

    async def aliases(self, voice_ids: Sequence[str] | None = None) -> Sequence[VoiceAlias]:
        """Return the aliases of all voices or some, ordered by alias."""
        query = self._own(VoiceAlias).order_by(VoiceAlias.alias_key)
        if voice_ids is not None:
            query = query.where(VoiceAlias.voice_id.in_(voice_ids))
        return (await self._session.scalars(query)).all()

    async def set_alias(self, alias: str, voice: VoiceProfile) -> VoiceAlias:
        """Make ``alias`` refer to a voice, also if it referred to another one.

        Raises:
            Conflict: It is the name of another voice.
        """
        await self._one_after_the_other()
        key = name_key(alias)
        query = select(VoiceProfile.id).where(
            VoiceProfile.org_id == self._org_id, VoiceProfile.name_key == key, VoiceProfile.id != voice.id
        )
        if await self._session.scalar(query) is not None:
            raise Conflict(f"A voice '{alias}' already exists.", param="alias")
        found = await self._session.get(VoiceAlias, (self._org_id, key))
        if found is None:
            found = VoiceAlias(org_id=self._org_id, alias_key=key, alias=alias, voice_id=voice.id)
            self._session.add(found)
        else:
            found.alias, found.voice_id = alias, voice.id
        await self._session.flush()
        return found

    async def set_aliases(self, aliases: Sequence[str], voice: VoiceProfile) -> None:
        """Replace the aliases of a voice, also by ones that referred to other voices.

        Raises:
            Conflict: An alias is the name of another voice.
        """
        await self._one_after_the_other()
        await self._session.execute(
            delete(VoiceAlias).where(VoiceAlias.org_id == self._org_id, VoiceAlias.voice_id == voice.id)
        )
        for alias in dict.fromkeys(aliases):
            await self.set_alias(alias, voice)

    async def drop_alias(self, alias: str, voice: VoiceProfile) -> bool:
        """Remove an alias of a voice; false if it had no such alias."""
        await self._one_after_the_other()
        dropped = await self._session.execute(
            delete(VoiceAlias)
            .where(
                VoiceAlias.org_id == self._org_id,
                VoiceAlias.alias_key == name_key(alias),
                VoiceAlias.voice_id == voice.id,
            )
            .returning(VoiceAlias.alias_key)
        )
        return dropped.first() is not None

    async def _one_after_the_other(self) -> None:
        """Lock the names and the number of the tenant's voices until the transaction ends."""
        query = select(Org.id).where(Org.id == self._org_id)
        await self._session.execute(query.with_for_update(key_share=True))

    async def _keep_names_apart(self, name: str, voice_id: str | None = None) -> None:
        alias = await self._session.get(VoiceAlias, (self._org_id, name_key(name)))
        if alias is not None and alias.voice_id != voice_id:
            raise Conflict(f"'{alias.alias}' is an alias of another voice.", param="name")

    async def _flush(self, name: str) -> None:
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise Conflict(f"A voice '{name}' already exists.", param="name") from error


def touch(voice: VoiceProfile) -> None:
    """Set the time of a voice's last change."""
    voice.updated_at = now()
