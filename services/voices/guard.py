"""Watching over a voice while it speaks."""

import time
from typing import Final

from services.errors import invalid
from services.gate import DatabaseGate
from storage.errors import StorageUnavailable
from storage.repositories.voices import VoiceRepository
from storage.tables import VoiceState

POLL_SECONDS: Final = 1.0
"""Seconds between two looks at whether a voice that is speaking still may."""


class VoiceGuard:
    """Ends speech in a voice that was deleted or revoked after it began.

    Args:
        gate: The database.
        org_id: The voice's tenant.
        voice_id: The voice.
    """

    def __init__(self, gate: DatabaseGate, org_id: str, voice_id: str) -> None:
        self._gate = gate
        self._org_id = org_id
        self.voice_id = voice_id
        self._asked = time.monotonic()

    async def check(self) -> None:
        """Ask again, if it was not asked a moment ago. While the database is away, speech goes on.

        Raises:
            ApiError: 400, the voice may not be heard any more.
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
