"""The engines that the Gateway knows, and the selection of a request's engine."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from engines.contract import EngineUnavailable, Voice
from services.errors import ApiError, invalid
from services.names import nearest_names
from services.tasks import Chore
from services.wire.client import EngineClient
from services.wire.frames import EngineDescription

FRESH_SECONDS: Final = 10.0
"""Seconds for which a runner's description is cached."""

POLL_SECONDS: Final = 3.0
"""Interval of checking whether an engine's weights have been fetched, in seconds."""

OPENAI_MODELS: Final = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")
"""OpenAI's speech models, listed for clients that check the list for theirs."""

_OPENAI_MODEL: Final = re.compile(r"tts-1(-hd)?(-\d+)?|gpt-[a-z0-9.-]*tts[a-z0-9.-]*", re.IGNORECASE)
"""OpenAI's model names, including dated and future ones: all of them select the default engine."""


class EngineDirectory:
    """The configured engines, with the latest description of each.

    Args:
        clients: Clients of the enabled engines, in order.
        default: Name of the engine that OpenAI's model names select, unless its weights are missing.

    Attributes:
        chore: Background task that checks whether the default engine has its weights.
    """

    def __init__(self, clients: Sequence[EngineClient], default: str) -> None:
        self._clients = {client.name.lower(): client for client in clients}
        first = self._clients[default.lower()]
        self._order = [first, *(client for client in clients if client is not first)]
        self._known: dict[str, tuple[float, EngineDescription]] = {}
        self._locks = {name: asyncio.Lock() for name in self._clients}
        self.chore = Chore("checking the engines' weights", self._look, every=POLL_SECONDS, at_once=True)

    @property
    def clients(self) -> Iterable[EngineClient]:
        """The engines' clients, in order."""
        return self._clients.values()

    @property
    def default(self) -> EngineClient:
        """The engine that OpenAI's model names select: the first that is not known to lack its weights."""
        for client in self._order:
            known = self._known.get(client.name.lower())
            if known is None or self._serves(client, known[1]):
                return client
        return self._order[0]

    def select(self, model: str, engine: str | None = None) -> EngineClient:
        """Return the engine that ``engine`` or, if that is ``None``, ``model`` names.

        Raises:
            ApiError: 404 ``model_not_found``, or 400 for an unknown ``engine``.
        """
        if engine is not None:
            if (client := self._clients.get(engine.lower())) is None:
                raise invalid(
                    f"There is no engine '{engine}'. {self._names(engine)}", "engine", "engine_not_found"
                )
            return client
        if (client := self.find(model)) is None:
            message = f"The model '{model}' does not exist. {self._names(model)}"
            raise ApiError(404, message, param="model", code="model_not_found")
        return client

    def chosen(self, model: str, engine: str | None = None) -> bool:
        """Whether a request names an engine, rather than one of OpenAI's models."""
        return engine is not None or model.lower() in self._clients

    def find(self, model: str) -> EngineClient | None:
        """Return the engine that ``model`` names; ``None`` if it is unknown."""
        if client := self._clients.get(model.lower()):
            return client
        return self.default if _OPENAI_MODEL.fullmatch(model) else None

    async def describe(self, client: EngineClient, *, max_age: float = FRESH_SECONDS) -> EngineDescription:
        """Return a description at most ``max_age`` seconds old, or an older one if the runner is unreachable.

        Raises:
            EngineUnavailable: The runner has never answered.
        """
        name = client.name.lower()
        async with self._locks[name]:
            known = self._known.get(name)
            if known and time.monotonic() - known[0] < max_age:
                return known[1]
            try:
                description = await client.describe()
            except EngineUnavailable:
                if known is None:
                    raise
                return known[1]
            self._known[name] = (time.monotonic(), description)
            return description

    async def names_where(self, holds: Callable[[EngineDescription], bool]) -> list[str]:
        """Return the names of reachable engines that may be loaded and satisfy ``holds``, in order."""

        async def fulfils(client: EngineClient) -> bool:
            try:
                engine = await self.describe(client)
            except EngineUnavailable:
                return False
            return engine.missing is None and engine.license_accepted is not False and holds(engine)

        clients = list(self.clients)
        found = await asyncio.gather(*(fulfils(client) for client in clients))
        return [client.name for client, able in zip(clients, found, strict=True) if able]

    async def _look(self) -> None:
        """Update the descriptions up to the default engine's, so that fetching weights needs no restart."""
        for client in self._order:
            try:
                description = await self.describe(client, max_age=POLL_SECONDS)
            except EngineUnavailable:
                return
            if self._serves(client, description):
                return

    def _serves(self, client: EngineClient, description: EngineDescription) -> bool:
        """Whether an engine can be the default; a substitute also needs its licence accepted."""
        stands_in = client is not self._order[0]
        return description.missing is None and not (stands_in and description.license_accepted is False)

    def _names(self, wanted: str) -> str:
        names = [client.name for client in self.clients]
        near = nearest_names(wanted, names, most=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        return f"{hint}Known: {', '.join(names)}."


def find_voice(description: EngineDescription, wanted: str) -> Voice:
    """Return the engine's voice with an ID or alias; case-insensitive.

    Raises:
        ApiError: 400 ``voice_not_found``, with the nearest names.
    """
    key = wanted.lower()
    ids: list[str] = []
    for voice in description.voices:
        if key in (voice.id.lower(), *(alias.lower() for alias in voice.aliases)):
            return voice
        ids.append(voice.id)
    base, plus, variant = wanted.partition("+")
    base = base.partition("(")[0].strip()  # a weight, in a mix of voices
    if plus and variant and base:
        # The engine handles variants and mixes of voices, and refuses them if it has none.
        return find_voice(description, base)
    near = nearest_names(key, ids, most=5, cutoff=0.5) or ids[:5]
    message = f"There is no voice '{wanted}' in the engine {description.name}. Nearest: {', '.join(near)}."
    raise invalid(message, "voice", "voice_not_found")
