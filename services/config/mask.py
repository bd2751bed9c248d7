"""Settings as plain values, with secrets masked."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from pydantic import BaseModel, JsonValue, SecretStr

from services.config.node import KeyPath

MASK: Final = "********"

# Up to the last `@`, because a password may contain any character; masking too much is harmless.
_USER_PASSWORD: Final = re.compile(r"(?<=://)([^:]*):(.*)@", re.DOTALL)
_LONE_TOKEN: Final = re.compile(r"(https?://)[^:@]+@", re.IGNORECASE)
_QUERY: Final = re.compile(r"(?i)([?&;](?:[^=&;#]*(?:password|passwd|pwd|secret|token|key)[^=&;#]*)=)[^&;#]*")
_SECRET_NAME: Final = re.compile(
    r"(?i)(^|_|-)(password|passwd|pwd|secret|token|(api|access|private|secret)_?key|key)$"
)


def masked(model: BaseModel) -> dict[str, JsonValue]:
    """Return the settings as plain JSON values, with secrets replaced by :data:`MASK`.

    Secrets are the models' secret fields, passwords and tokens in URLs, and strings in an engine's
    ``options`` whose name indicates a secret.
    """
    return {name: _plain(value) for name, value in model}


def flatten(settings: Mapping[str, JsonValue], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, JsonValue]]:
    """Yield the path and value of each key of :func:`masked`; engines are identified by name."""
    for name, value in settings.items():
        path = (*prefix, name)
        if isinstance(value, Mapping) and value:
            yield from flatten(value, path)
        elif path == ("engines",) and isinstance(value, list):
            for engine in value:
                if isinstance(engine, Mapping):
                    yield from flatten(engine, (*path, str(engine["name"])))
        else:
            yield path, value


def mask_url(text: str) -> str:
    """Mask passwords and tokens of the URLs in ``text``; leave everything else unchanged."""
    if "://" not in text:
        return text
    text = _USER_PASSWORD.sub(rf"\1:{MASK}@", text)
    text = _LONE_TOKEN.sub(rf"\1{MASK}@", text)
    return _QUERY.sub(rf"\1{MASK}", text)


def _plain(value: object) -> JsonValue:
    if isinstance(value, BaseModel):
        return masked(value)
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        # A URL is more useful than a mask, and only its password is secret.
        return mask_url(secret) if "://" in secret else MASK
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return {name: _entry(name, item) for name, item in entries.items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    if isinstance(value, str | Path):
        return mask_url(str(value))
    return cast("JsonValue", value)


def _entry(name: str, value: object) -> JsonValue:
    return MASK if isinstance(value, str) and _SECRET_NAME.search(name) else _plain(value)
