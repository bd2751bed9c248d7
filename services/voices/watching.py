"""A voice at every change, as server-sent events."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from services.errors import ApiError
from services.escaping import safe_json
from services.sharing.shares import Share
from services.stopping import Stopping
from services.voices.library import VoiceLibrary
from services.voices.transaction import Owner
from storage.errors import StorageError
from storage.tables import VoiceState

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
"""Seconds between two looks; other processes change it too."""

KEEP_ALIVE_SECONDS: Final = 15.0
"""Seconds without a change after which a comment is sent, so that proxies keep the connection."""

MAX_WATCH_SECONDS: Final = 3_600.0
"""Seconds."""


class WatchResponse(StreamingResponse):
    """Shows a voice until nothing is left to come, or others need the place; then the client asks again.

    Args:
        library: Knows it.
        owner: Its tenant.
        voice_id: The voice.
        place: Held meanwhile: a place among those who watch in this Gateway.
        stopping: Ends it; the client may ask another Gateway.
        patience: Seconds that a client may take to read.
    """

    def __init__(
        self,
        library: VoiceLibrary,
        owner: Owner,
        voice_id: str,
        place: Share,
        stopping: Stopping,
        patience: float,
    ) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        events = _events(library, owner, voice_id, place, stopping)
        super().__init__(events, 200, headers, media_type="text/event-stream")
        self._place = place
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""

        async def patiently(message: Message) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)

        with self._place:
            try:
                await super().__call__(scope, receive, patiently)
            except (TimeoutError, ClientDisconnect):  # the second is what starlette makes of the first
                logger.info("a client that followed a voice disconnected, or stopped reading")


async def _events(
    library: VoiceLibrary, owner: Owner, voice_id: str, place: Share, stopping: Stopping
) -> AsyncGenerator[bytes, None]:
    told: dict[str, Any] | None = None
    clock = asyncio.get_running_loop().time
    end, spoken = clock() + MAX_WATCH_SECONDS, clock()
    while clock() < end and not stopping.begun and not place.asked_back():
        try:
            voice = await library.get(owner, voice_id)
            (shown,) = await library.show(owner.org_id, [voice])
        except ApiError as error:
            yield _event("error", error.content())
            return
        except StorageError:
            await asyncio.sleep(POLL_SECONDS)
            continue
        if shown != told:
            told, spoken = shown, clock()
            yield _event("voice", shown)
        elif clock() - spoken > KEEP_ALIVE_SECONDS:
            spoken = clock()
            yield b": nothing new\n\n"
        # What has failed once and is tried again may take long: nobody waits for it who can speak already.
        if not any(_is_busy(part) for part in (shown, *shown["engines"])):
            return
        await asyncio.sleep(POLL_SECONDS)


def _is_busy(part: Mapping[str, Any]) -> bool:
    """Whether a voice, or what it is in an engine, will be something else by itself, and soon."""
    return part["state"] in {VoiceState.PENDING, VoiceState.PROCESSING} and part["reason"] is None


def _event(name: str, data: dict[str, Any]) -> bytes:
    text = safe_json(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    return f"event: {name}\ndata: {text}\n\n".encode()
