"""Server-sent events in the OpenAPI document."""

from typing import Any


def event_stream(*names: str) -> dict[str, Any]:
    """The media type object of a stream of events.

    Before OpenAPI 3.2, which has a field for it, the schema of a stream is that of each of its events.

    Args:
        names: Of events that have one.
    """
    name = {"event": {"type": "string", "enum": list(names)}} if names else {}
    data = {"data": {"type": "string", "contentMediaType": "application/json"}}
    return {"schema": {"type": "object", "properties": {**name, **data}, "required": ["data"]}}
