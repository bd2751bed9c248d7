"""Checking that a voice is still allowed while it is spoken."""

import time
from typing import Final

from services.errors import invalid
from services.gate import DatabaseGate
from storage.errors import StorageUnavailable
from storage.repositories.voices import VoiceRepository
from storage.tables import VoiceState

POLL_SECONDS: Final = 1.0
"""Minimum seconds between two checks of a voice that is being spoken."""


class VoiceGuard:
    """Ends speech whose voice is deleted or revoked meanwhile.

    Args:
        gate: The database.
        org_id: ID of the voice's tenant.
        voice_id: ID of the voice.
    """

    def __init__(self, gate: DatabaseGate, org_id: str, voice_id: str) -> None:
        self._gate = gate
        self._org_id = org_id
        self.voice_id = voice_id
        self._asked = time.monotonic()

    async def check(self) -> None:
        """Check the voice, at most every :data:`POLL_SECONDS`. Passes while the database is unavailable.

        Raises:
            ApiError: 400, the voice was deleted, or is no longer ready.
        """
        if time.monotonic() - self._asked < POLL_SECONDS:
            return
        self._asked = time.monotonic()
        try:
            async with self._gate.read() as session:
                voice = await VoiceRepository(session, self._org_id).get(self.voice_id)
        except StorageUnavailable:
            return
        if voice is None or voice.state != VoiceState.READY:
            raise invalid("The voice was withdrawn during synthesis.", "voice", "voice_taken_back")
