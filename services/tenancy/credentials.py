"""The credential of a request."""

from collections.abc import Iterable
from typing import Final

Headers = Iterable[tuple[bytes, bytes]]

MAX_CREDENTIAL_BYTES: Final = 4_096
"""Maximum bytes of a header with a credential; longer ones are ignored."""


def credential(headers: Headers) -> str | None:
    """Return a request's key or token, from ``Authorization: Bearer`` or ElevenLabs' ``xi-api-key``.

    Args:
        headers: ASGI headers, with names in lower case.

    Returns:
        The credential; ``None`` if it is missing or empty (some clients send an empty one).
    """
    found: str | None = None
    for name, value in headers:
        if len(value) > MAX_CREDENTIAL_BYTES:
            continue
        if name == b"authorization":
            kind, _, rest = value.decode("latin-1").partition(" ")
            if kind.lower() == "bearer" and rest.strip():
                return rest.strip()
        elif name == b"xi-api-key" and value.strip():
            found = value.decode("latin-1").strip()
    return found
