"""The credential of a request."""

from collections.abc import Iterable
from typing import Final

Headers = Iterable[tuple[bytes, bytes]]

MAX_CREDENTIAL_BYTES: Final = 4_096
"""Bytes of a key or token."""


def credential(headers: Headers) -> str | None:
    """The key or token of a request: ``Authorization: Bearer``, or ElevenLabs' ``xi-api-key``.

    Args:
        headers: As ASGI gives them: names in lower case.

    Returns:
        ``None`` when there is none, or an empty one, as some clients send.
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
