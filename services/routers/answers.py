"""What several routes answer with, as the OpenAPI document says it."""

from typing import Any, Final

from services.audio.formats import FORMATS
from services.errors import answers

BINARY: Final = {"type": "string", "format": "binary"}

AUDIO: Final = {"audio/*": {"schema": BINARY}}
"""The content of an answer that is a recording."""


def event_stream(*names: str) -> dict[str, Any]:
    """The media type object of a stream of events.

    Before OpenAPI 3.2, which has a field for it, the schema of a stream is that of each of its events.

    Args:
        names: Of events that have one.
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
"""Of a route that speaks."""
