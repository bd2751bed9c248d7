"""Finding the voice of a speech request, and the engine that speaks it.

The database is queried for every request, so that changes apply to all Gateways at once. Tenants' own voices
take precedence over the engines' voices, so a tenant can have its own voice named ``alloy``.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from engines.contract import EngineUnavailable, UnsupportedUtterance, Voice
from engines.embedding import LARGEST
from services.directory import EngineDirectory, find_voice
from services.errors import ApiError, invalid, retry_headers
from services.gate import DatabaseGate
from services.names import nearest_names
from services.voices.guard import VoiceGuard
from services.voices.objects import read_object
from services.wire.client import EngineClient, VoiceReader
from services.wire.frames import EngineDescription
from storage.columns import name_key
from storage.errors import StorageUnavailable
from storage.objects.contract import ObjectMissing, ObjectStore
from storage.repositories.voices import Castable, VoiceRepository, has_voice
from storage.tables import VoiceEmbedding, VoiceProfile, VoiceState

PREPARING_SECONDS: Final = 20.0
"""Maximum seconds that a request waits for its voice to be prepared; a preparation takes about five."""

POLL_SECONDS: Final = 0.25

BUSY: Final = frozenset({VoiceState.PENDING, VoiceState.PROCESSING})

REMEMBERED: Final = 10_000
"""Maximum number of remembered names of tenants' own voices, for when the database is unavailable."""

COMMON: Final = ("en", "hi")
"""Preferred languages of texts in a script that several languages share."""

MAX_NAME_CHARS: Final = 200
"""Maximum number of characters of a voice's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A voice, and the engine that speaks it.

    Attributes:
        client: Client of the engine's runner.
        description: Description of the engine.
        voice: The voice's facts for planning the text.
        name: Name of the voice for the engine: one of its own voices, or the ID of a prepared voice.
        reader: Reads the prepared voice; for a tenant's own voice only.
        guard: Checks that the voice is still allowed; for a tenant's own voice only.
    """

    client: EngineClient
    description: EngineDescription
    voice: Voice
    name: str
    reader: VoiceReader | None = None
    guard: VoiceGuard | None = None

    @property
    def voice_id(self) -> str | None:
        """ID of the tenant's own voice; ``None`` for voices of the engine."""
        return None if self.guard is None else self.guard.voice_id


class Casting:
    """Finds the voice and the engine for speech requests.

    Args:
        gate: The database.
        objects: The object store.
        directory: The engines.
        wake: Starts the preparation of waiting voices at once.
    """

    def __init__(
        self,
        gate: DatabaseGate,
        objects: ObjectStore,
        directory: EngineDirectory,
        wake: Callable[[], None],
    ) -> None:
        self._gate = gate
        self._objects = objects
        self._directory = directory
        self._wake = wake
        self._own: LRUCache[tuple[str, str], None] = LRUCache(REMEMBERED)

    async def candidates(
        self, org_id: str, wanted: str, *, model: str, engine: str | None, timings: bool = False
    ) -> AsyncGenerator[Cast, None]:
        """Yield the candidates for a tenant's request, the preferred one first; at least one.

        There are several if the request names neither an engine nor one of the tenant's own voices: all
        engines that have a voice of that name, in order. Engines are queried lazily.

        Args:
            org_id: ID of the tenant.
            wanted: ID, name or alias of a voice.
            model: The request's ``model``.
            engine: The request's ``engine``, which overrides ``model``.
            timings: Whether to skip engines without word timings.

        Raises:
            ApiError: 400 for an unknown voice or engine, or if no candidate supports the requested timings;
                404 for an unknown model; 409 for a voice that is not ready yet.
            EngineUnavailable: The engine does not answer, and its description is not cached.
            StorageUnavailable: The voice may belong to the tenant, and the database is unavailable.
        """
        refused: Cast | None = None
        found = False
        async with aclosing(self._candidates(org_id, wanted, model, engine)) as casts:
            async for cast in casts:
                if timings and not cast.description.capabilities.word_timings:
                    refused = refused or cast
                    continue
                found = True
                yield cast
        if refused is not None and not found:
            raise await self._no_timings(refused)

    async def _candidates(
        self, org_id: str, wanted: str, model: str, engine: str | None
    ) -> AsyncGenerator[Cast, None]:
        client = self._directory.select(model, engine)
        chosen = self._directory.chosen(model, engine)
        found = await self._find(org_id, wanted)
        if found is not None:
            yield await self._own_voice(org_id, found, client if chosen else None)
            return
        clients = [client]
        if not chosen:
            clients += [other for other in self._directory.clients if other is not client]
        asked: list[EngineDescription] = []
        unknown = True
        async for one, description in self._described(clients):
            asked.append(description)
            if (voice := _voice_of(description, wanted)) is not None:
                unknown = False
                yield Cast(client=one, description=description, voice=voice, name=wanted)
        if unknown:
            raise await self._unknown(org_id, wanted, _no_voice(wanted, asked))

    async def _no_timings(self, refused: Cast) -> ApiError:
        able = await self._directory.names_where(lambda engine: engine.capabilities.word_timings)
        others = f"Engines that do: {', '.join(able)}." if able else "No engine of this server does."
        message = f"The engine {refused.client.name} does not support timestamps. {others}"
        return invalid(message, "timestamps", "timestamps_not_supported")

    async def _described(
        self, clients: Sequence[EngineClient]
    ) -> AsyncGenerator[tuple[EngineClient, EngineDescription], None]:
        """Yield the engines with their descriptions, those without their weights last.

        Apart from the first, engines are skipped that do not answer, or whose weights are present but whose
        license is not accepted.

        Raises:
            EngineUnavailable: The first engine does not answer.
        """
        bare: list[tuple[EngineClient, EngineDescription]] = []
        for client in clients:
            first = client is clients[0]
            try:
                description = await self._directory.describe(client)
            except EngineUnavailable:
                if first:
                    raise
                continue
            if description.missing is not None:
                bare.append((client, description))
            elif first or description.license_accepted is not False:
                yield client, description
        for one in bare:
            yield one

    async def _own_voice(self, org_id: str, found: Castable, client: EngineClient | None) -> Cast:
        row = await self._row(org_id, found, client)
        speaker = self._directory.find(row.engine)
        if speaker is None or row.embedding_id is None or row.key is None:
            raise _not_ready(found.voice)
        description = await self._directory.describe(speaker)
        return Cast(
            client=speaker,
            description=description,
            voice=Voice(
                id=found.voice.id,
                name=found.voice.name,
                languages=_languages(found.voice.language, description),
            ),
            name=row.embedding_id,
            reader=self._reader(row.key),
            guard=VoiceGuard(self._gate, org_id, found.voice.id),
        )

    async def _find(self, org_id: str, wanted: str) -> Castable | None:
        known = (org_id, name_key(wanted))
        if len(wanted) > MAX_NAME_CHARS or "\0" in wanted or not _encodable(wanted):
            return None
        try:
            async with self._gate.lookup() as connection:
                own = await has_voice(connection, org_id, wanted)
            found = None
            if own:
                async with self._gate.read() as session:
                    found = await VoiceRepository(session, org_id).find(wanted)
        except StorageUnavailable:
            # The engines' own voices remain usable, but must not replace a tenant's voice of the same name.
            if known in self._own:
                raise
            return None
        if found is None:
            self._own.pop(known, None)
        else:
            self._own[known] = None
        return found

    async def _row(self, org_id: str, found: Castable, client: EngineClient | None) -> VoiceEmbedding:
        """Wait until the voice is prepared in an engine, and return its row for that engine."""
        try:
            async with asyncio.timeout(PREPARING_SECONDS):
                while (row := self._prepared(found, client)) is None or await self._outdated(found, row):
                    self._wake()
                    await asyncio.sleep(POLL_SECONDS)
                    async with self._gate.read() as session:
                        again = await VoiceRepository(session, org_id).find(found.voice.id)
                    if again is None:
                        raise invalid("The voice was deleted.", "voice", "voice_not_found")
                    found = again
                return row
        except TimeoutError as error:
            raise _not_yet(found) from error

    def _prepared(self, found: Castable, client: EngineClient | None) -> VoiceEmbedding | None:
        """Return the row of the engine to use; ``None`` while the voice is being prepared for it.

        That is the requested engine; without a request, the default one or else the first that can.

        Raises:
            ApiError: 400, the voice cannot be spoken and is not being prepared.
        """
        voice = found.voice
        if voice.state not in {VoiceState.READY, *BUSY} or voice.reason is not None:
            raise _not_ready(voice)
        rows = {row.engine: row for row in found.embeddings}
        if client is not None:
            names = [client.name]
        else:
            names = [self._directory.default.name, *(client.name for client in self._directory.clients)]
        for row in (rows[name] for name in names if name in rows):
            if voice.state == VoiceState.READY and row.embedding_id is not None:
                return row
            if row.state in BUSY:
                # Another engine may be ready, but the choice must not depend on which one was faster.
                return None
        if voice.state in BUSY:
            return None
        raise _not_in(found, names[0])

    async def _outdated(self, found: Castable, row: VoiceEmbedding) -> bool:
        """Whether the engine has a new model, for which the voice will be prepared again soon.

        Raises:
            ApiError: 400, the preparation for the new model has failed.
        """
        speaker = self._directory.find(row.engine)
        if speaker is None or (await self._directory.describe(speaker)).voice_model == row.model:
            return False
        if row.state == VoiceState.FAILED:
            raise _not_in(found, row.engine)
        return True

    async def _unknown(self, org_id: str, wanted: str, error: ApiError) -> ApiError:
        try:
            async with self._gate.read() as session:
                names = await VoiceRepository(session, org_id).names()
        except StorageUnavailable:
            return error
        near = _nearest(wanted, names)
        if not near:
            return error
        message = f"{error.body.message} Your own voices: {', '.join(near)}."
        return invalid(message, error.body.param, error.body.code)

    def _reader(self, key: str) -> VoiceReader:
        async def read(_embedding_id: str) -> bytes:
            try:
                return await read_object(self._objects, key, most=LARGEST)
            except ObjectMissing as error:
                raise UnsupportedUtterance("The voice was deleted.", param="voice") from error

        return read


def _languages(own: str | None, description: EngineDescription) -> tuple[str, ...]:
    """Return a voice's languages by preference: its own, common ones, then the engine's others.

    Empty if the voice's own language is unknown.
    """
    if own is None:
        return ()
    common = [tag for tag in COMMON if tag in description.languages]
    return tuple(dict.fromkeys([own, *common, *description.languages]))


def _voice_of(description: EngineDescription, wanted: str) -> Voice | None:
    try:
        return find_voice(description, wanted)
    except ApiError:
        return None


def _no_voice(wanted: str, asked: Sequence[EngineDescription]) -> ApiError:
    """Return the error for a voice that none of the engines has, with the nearest names."""
    ids = list(dict.fromkeys(voice.id for description in asked for voice in description.voices))
    near = nearest_names(wanted.lower(), ids, most=5, cutoff=0.5) or ids[:5]
    names = ", ".join(description.name for description in asked)
    engines = f"the engine {names}" if len(asked) == 1 else f"the engines {names}"
    message = f"There is no voice '{wanted}' in {engines}. Nearest: {', '.join(near)}."
    return invalid(message, "voice", "voice_not_found")


def _nearest(wanted: str, names: Sequence[str]) -> list[str]:
    keys = {name_key(name): name for name in names}
    return [keys[key] for key in nearest_names(name_key(wanted), keys, most=3, cutoff=0.5)]


def _not_ready(voice: VoiceProfile) -> ApiError:
    reason = f" {voice.reason}" if voice.reason else ""
    return invalid(
        f"The voice '{voice.name}' is not ready: {voice.state}.{reason}", "voice", "voice_not_ready"
    )


def _not_yet(found: Castable) -> ApiError:
    message = f"The voice '{found.voice.name}' is still being prepared; try again shortly."
    return ApiError(409, message, param="voice", code="voice_not_ready", headers=retry_headers(2.0))


def _not_in(found: Castable, engine: str) -> ApiError:
    reasons = [row.reason or row.state for row in found.embeddings if row.engine == engine]
    ready = sorted(row.engine for row in found.embeddings if row.embedding_id is not None)
    why = f" ({reasons[0]})" if reasons else ""
    where = f"it is ready for {', '.join(ready)}" if ready else "it is not ready for any engine"
    message = f"The engine {engine} cannot speak the voice '{found.voice.name}'{why}; {where}."
    return invalid(message, "voice", "voice_not_ready")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
