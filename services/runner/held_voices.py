"""The prepared voices that a runner holds for its engine; Gateways send and erase them."""

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import Final, TypeAlias

from engines.contract import (
    CloningEngine,
    EngineAdapter,
    EngineUnavailable,
    Forgetful,
    VoiceEmbeddingRef,
)
from engines.voice_cache import VoiceCache, VoiceTooLarge

logger = logging.getLogger(__name__)

Voices: TypeAlias = dict[str, VoiceEmbeddingRef]
"""ID → prepared voice."""

REMEMBERED: Final = 4096
"""Number of remembered IDs of dropped voices. Voices missed before those are read again in any case."""


class VoiceRefused(Exception):  # noqa: N818 - named for the state
    """A voice that the runner does not accept.

    Args:
        status: HTTP status of the response.
        code: Machine-readable error code.
        message: Human-readable message.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class HeldVoices:
    """The prepared voices of one engine, in a cache.

    Args:
        engine: The engine, loaded or not.
        max_bytes: Maximum total size of the voices in bytes.
    """

    def __init__(self, engine: EngineAdapter, max_bytes: int) -> None:
        self._engine = engine
        self._cache = VoiceCache(max_bytes)
        self._uses: Counter[str] = Counter()
        self._to_forget: set[str] = set()
        # Starts at the current time, so that counts of an earlier runner are recognised as outdated.
        self._drops = self._known_from = time.time_ns()
        self._dropped: OrderedDict[str, int] = OrderedDict()

    @property
    def model(self) -> str | None:
        """Model and version of the voices; ``None`` if the engine does not clone."""
        engine = self._engine
        return engine.voice_model if isinstance(engine, CloningEngine) else None

    @property
    def cache(self) -> VoiceCache:
        """The cache of the voices."""
        return self._cache

    @property
    def drops(self) -> int:
        """A counter that increases with each dropped voice."""
        return self._drops

    def find(self, ids: Collection[str], *, again: bool = False) -> tuple[Voices, list[str]]:
        """Return the voices of a call, and the IDs of those that are missing.

        Args:
            ids: IDs of the voices, without duplicates.
            again: Whether the call is a retry, see :meth:`VoiceCache.get`.
        """
        found = {voice_id: self._cache.get(voice_id, again=again) for voice_id in ids}
        here = {voice_id: voice for voice_id, voice in found.items() if voice is not None}
        return here, sorted(found.keys() - here.keys())

    @contextmanager
    def used(self, ids: Collection[str]) -> Generator[None, None, None]:
        """Mark voices as in use; if one is dropped meanwhile, the engine evicts it again at the end."""
        for voice_id in ids:
            self._uses[voice_id] += 1
        try:
            yield
        finally:
            for voice_id in ids:
                self._uses[voice_id] -= 1
                if self._uses[voice_id] == 0:
                    del self._uses[voice_id]
                    if voice_id in self._to_forget:
                        self._to_forget.discard(voice_id)
                        self._forget_quietly(voice_id)

    def put(self, voice_id: str, voice: VoiceEmbeddingRef, *, missed: int | None = None) -> None:
        """Hold a voice.

        Args:
            voice_id: ID of the voice.
            voice: The voice.
            missed: The value of :attr:`drops` when the voice was reported as missing.

        Raises:
            VoiceRefused: The engine does not clone, or the voice is of another model, too large, or was
                dropped since it was reported as missing.
        """
        if self.model is None:
            raise VoiceRefused(
                422, "unsupported_utterance", f"The engine {self._engine.name} does not clone voices."
            )
        if voice.model != self.model:
            message = f"The voice was prepared for {voice.model}; the engine has {self.model}."
            raise VoiceRefused(409, "wrong_voice_model", message)
        if missed is not None and not self._still_wanted(voice_id, missed):
            raise VoiceRefused(410, "voice_dropped", "The voice was dropped in the meantime.")
        try:
            self._cache.put(voice_id, voice)
        except VoiceTooLarge as error:
            raise VoiceRefused(413, "voice_too_large", f"{error} (voice_cache_bytes)") from error

    def drop(self, voice_id: str) -> None:
        """Erase a voice, here and in the engine.

        Raises:
            EngineUnavailable: The engine failed to evict the voice.
        """
        self._cache.drop(voice_id)
        self._drops += 1
        self._dropped[voice_id] = self._drops
        self._dropped.move_to_end(voice_id)
        if len(self._dropped) > REMEMBERED:
            _, self._known_from = self._dropped.popitem(last=False)
        if voice_id in self._uses:
            self._to_forget.add(voice_id)
        self._forget(voice_id)

    def _still_wanted(self, voice_id: str, missed: int) -> bool:
        known = self._known_from <= missed <= self._drops
        return known and self._dropped.get(voice_id, 0) <= missed

    def _forget(self, voice_id: str) -> None:
        if isinstance(self._engine, Forgetful):
            try:
                self._engine.forget_voice(voice_id)
            except (
                Exception
            ) as error:  # a plug-in's defect must be reported to the caller, whatever it raises
                logger.exception("the engine %s failed to evict a voice", self._engine.name)
                raise EngineUnavailable(f"The engine {self._engine.name} failed to evict it.") from error

    def _forget_quietly(self, voice_id: str) -> None:
        try:
            self._forget(voice_id)
        except EngineUnavailable:
            return  # logged already, and not the fault of the call that ends here
