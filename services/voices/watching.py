"""A voice at every change, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.errors import ApiError
from services.escaping import safe_json
from services.places import Place
from services.stopping import Stopping
from services.voices.library import Owner, VoiceLibrary
from storage.errors import StorageError
from storage.tables import VoiceState

POLL: Final = 0.5
"""Seconds between two looks; other processes change it too."""

KEEP_ALIVE: Final = 15.0
"""Seconds without a change after which a comment is sent, so that proxies keep the connection."""

LONGEST: Final = 3_600.0
"""Seconds."""


class WatchResponse(StreamingResponse):
    """Shows a voice until nothing is left to come.

    Args:
        library: Knows it.
        owner: Its tenant.
        voice_id: The voice.
        place: Held meanwhile: a place among those who watch in this Gateway.
        stopping: Ends it; the client may ask another Gateway.
    """

    def __init__(
        self, library: VoiceLibrary, owner: Owner, voice_id: str, place: Place, stopping: Stopping
    ) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        events = _events(library, owner, voice_id, stopping)
        super().__init__(events, 200, headers, media_type="text/event-stream")
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        with self._place:
            await super().__call__(scope, receive, send)


async def _events(
    library: VoiceLibrary, owner: Owner, voice_id: str, stopping: Stopping
) -> AsyncGenerator[bytes, None]:
    told: dict[str, Any] | None = None
    clock = asyncio.get_running_loop().time
    end, spoken = clock() + LONGEST, clock()
    while clock() < end and not stopping.begun:
        try:
            voice = await library.get(owner, voice_id)
            (shown,) = await library.show(owner.org_id, [voice])
        except ApiError as error:
            yield _event("error", error.content())
            return
        except StorageError:
            await asyncio.sleep(POLL)
            continue
        if shown != told:
            told, spoken = shown, clock()
            yield _event("voice", shown)
        elif clock() - spoken > KEEP_ALIVE:
            spoken = clock()
            yield b": nothing new\n\n"
        # What has failed once and is tried again may take long: nobody waits for it who can speak already.
        if not any(_is_busy(part) for part in (shown, *shown["engines"])):
            return
        await asyncio.sleep(POLL)


def _is_busy(part: Mapping[str, Any]) -> bool:
    """Whether a voice, or what it is in an engine, will be something else by itself, and soon."""
    return part["state"] in {VoiceState.PENDING, VoiceState.PROCESSING} and part["reason"] is None


def _event(name: str, data: dict[str, Any]) -> bytes:
    text = safe_json(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    return f"event: {name}\ndata: {text}\n\n".encode()
