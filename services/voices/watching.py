"""Streaming the changes of a voice as server-sent events."""

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
"""Seconds between two reads of the voice, which other processes change too."""

KEEP_ALIVE_SECONDS: Final = 15.0
"""Seconds without a change after which a comment is sent, so that proxies keep the connection open."""

MAX_WATCH_SECONDS: Final = 3_600.0
"""Maximum seconds of a response."""


class WatchResponse(StreamingResponse):
    """Sends a voice at every change, until no more changes are expected.

    The response also ends when others need its place, when the server stops, or after
    :data:`MAX_WATCH_SECONDS`; the client may then repeat the request.

    Args:
        library: Reads the voice.
        owner: The voice's tenant.
        voice_id: ID of the voice.
        place: The response's share of this Gateway's watchers, held until the response ends.
        stopping: Whether the server stops, which ends the response.
        patience: Maximum seconds that the client may take to read an event.
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
            except (TimeoutError, ClientDisconnect):  # starlette turns the first into the second
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
        # A retry after a failure may take long, so the response does not wait for it.
        if not any(_is_busy(part) for part in (shown, *shown["engines"])):
            return
        await asyncio.sleep(POLL_SECONDS)


def _is_busy(part: Mapping[str, Any]) -> bool:
    """Whether a voice, or its embedding in an engine, is expected to change soon."""
    return part["state"] in {VoiceState.PENDING, VoiceState.PROCESSING} and part["reason"] is None


def _event(name: str, data: dict[str, Any]) -> bytes:
    text = safe_json(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    return f"event: {name}\ndata: {text}\n\n".encode()
