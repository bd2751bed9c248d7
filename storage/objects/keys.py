"""Names of objects: made from ids, never from what a user typed."""

import re
from datetime import datetime
from typing import Final

from storage.objects.contract import InvalidKey

MAX_KEY_CHARS: Final = 512

_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def output_key(org_id: str, output_id: str, extension: str, at: datetime) -> str:
    """Where a tenant's finished audio is.

    Raises:
        InvalidKey: An id is none.
    """
    return checked(f"{org_prefix(org_id)}outputs/{at:%Y}/{at:%m}/{output_id}.{extension}")


def voice_prefix(org_id: str, voice_id: str) -> str:
    """What all keys of a tenant's voice begin with.

    Raises:
        InvalidKey: An id is none.
    """
    return checked(f"{org_prefix(org_id)}voices/{voice_id}") + "/"


def sample_key(org_id: str, voice_id: str, sample_id: str, name: str) -> str:
    """Where a recording is: ``original``, as it was uploaded, or ``audio.wav``, what is prepared from.

    Raises:
        InvalidKey: An id is none.
    """
    return checked(f"{voice_prefix(org_id, voice_id)}samples/{sample_id}/{name}")


def embedding_key(org_id: str, voice_id: str, embedding_id: str) -> str:
    """Where a prepared voice is.

    Raises:
        InvalidKey: An id is none.
    """
    return checked(f"{voice_prefix(org_id, voice_id)}embeddings/{embedding_id}.safetensors")


def consent_key(org_id: str, consent_id: str) -> str:
    """Where the recording of a consent is.

    Raises:
        InvalidKey: An id is none.
    """
    return checked(f"{org_prefix(org_id)}consents/{consent_id}/recording")


def org_prefix(org_id: str) -> str:
    """What all keys of a tenant begin with.

    Raises:
        InvalidKey: The id is none.
    """
    if not _PART.fullmatch(org_id):
        raise InvalidKey(f"not an id: {org_id[:100]!r}")
    return f"org/{org_id}/"


def checked(key: str) -> str:
    """The key itself, if it can be one: parts of letters, digits, ``.``, ``_`` and ``-`` between slashes.

    Raises:
        InvalidKey: It cannot: it might name something outside the store on some system.
    """
    if len(key) > MAX_KEY_CHARS or not all(_PART.fullmatch(part) for part in key.split("/")):
        raise InvalidKey(f"not the name of an object: {key[:100]!r}")
    return key
