"""Descriptions of responses that several routes share, for the OpenAPI document."""

from typing import Any, Final

from services.audio.formats import FORMATS
from services.errors import answers

BINARY: Final = {"type": "string", "format": "binary"}

AUDIO: Final = {"audio/*": {"schema": BINARY}}
"""Content of a response that is a recording."""


def event_stream(*names: str) -> dict[str, Any]:
    """Return the media type object of a stream of server-sent events.

    The schema is that of a single event: only OpenAPI 3.2 has a field for streams.

    Args:
        names: Names of the events; empty if events have no name.
    """
    name = {"event": {"type": "string", "enum": list(names)}} if names else {}
    data = {"data": {"type": "string", "contentMediaType": "application/json"}}
    return {"schema": {"type": "object", "properties": {**name, **data}, "required": ["data"]}}


SPEECH: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The audio, streamed; or server-sent events with `stream_format: sse`.",
        "content": {
            **{audio_format.content_type: {"schema": BINARY} for audio_format in FORMATS.values()},
            "text/event-stream": event_stream(),
        },
        "headers": {
            "X-Finish-Reason": {
                "description": "How the speech ended: `stop`, or why the engine ended it (`length`, "
                "`repetition`, `runaway`). Not in streamed audio; with events, in the last one.",
                "schema": {"type": "string"},
            }
        },
    },
    **answers(404),
}
"""Responses of a route that generates speech."""
