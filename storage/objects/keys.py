"""Keys of objects, built from IDs, never from user input."""

import re
from datetime import datetime
from typing import Final

from storage.objects.contract import InvalidKey

MAX_KEY_CHARS: Final = 512

ORGS_PREFIX: Final = "org/"
"""Common prefix of all keys."""

_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def output_key(org_id: str, output_id: str, extension: str, at: datetime) -> str:
    """Return the key of a tenant's finished audio.

    Raises:
        InvalidKey: An ID is invalid.
    """
    return checked(f"{org_prefix(org_id)}outputs/{at:%Y}/{at:%m}/{output_id}.{extension}")


def voice_prefix(org_id: str, voice_id: str) -> str:
    """Return the common prefix of all keys of a voice.

    Raises:
        InvalidKey: An ID is invalid.
    """
    return checked(f"{org_prefix(org_id)}voices/{voice_id}") + "/"


def sample_key(org_id: str, voice_id: str, sample_id: str, name: str) -> str:
    """Return the key of a recording: ``original`` (the upload) or ``audio.wav`` (for preparing voices).

    Raises:
        InvalidKey: An ID is invalid.
    """
    return checked(f"{voice_prefix(org_id, voice_id)}samples/{sample_id}/{name}")


def embedding_key(org_id: str, voice_id: str, embedding_id: str) -> str:
    """Return the key of a prepared voice.

    Raises:
        InvalidKey: An ID is invalid.
    """
    return checked(f"{voice_prefix(org_id, voice_id)}embeddings/{embedding_id}.safetensors")


def consent_key(org_id: str, consent_id: str) -> str:
    """Return the key of a consent's recording.

    Raises:
        InvalidKey: An ID is invalid.
    """
    return checked(f"{org_prefix(org_id)}consents/{consent_id}/recording")


def org_prefix(org_id: str) -> str:
    """Return the common prefix of all keys of a tenant.

    Raises:
        InvalidKey: The ID is invalid.
    """
    if not _PART.fullmatch(org_id):
        raise InvalidKey(f"not an id: {org_id[:100]!r}")
    return f"{ORGS_PREFIX}{org_id}/"


def checked(key: str) -> str:
    """Return a key if it is valid: parts of letters, digits, ``.``, ``_`` and ``-``, separated by slashes.

    Raises:
        InvalidKey: It is invalid, and might refer to something outside the store on some system.
    """
    if len(key) > MAX_KEY_CHARS or not all(_PART.fullmatch(part) for part in key.split("/")):
        raise InvalidKey(f"not the name of an object: {key[:100]!r}")
    return key
