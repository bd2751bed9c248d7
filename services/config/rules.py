"""Rules between settings, with messages that say what to do."""

import ipaddress
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr

from services.config.node import engine_key
from services.config.problems import nearest

if TYPE_CHECKING:
    from services.config.settings import Settings

Broken: TypeAlias = tuple[tuple[str, ...], str]
"""Path of a key, with engines identified by name, and the message about it."""

ESCAPED_CHAR_BYTES: Final = 6
"""Size in bytes of a Devanagari letter that is escaped in JSON (``\\u0915``)."""

WELL_KNOWN_SECRETS: Final = frozenset(
    {
        *("admin", "awaaztwin", "change-me", "change_me", "changeme", "default", "example", "guest"),
        *("minio", "minioadmin", "minioadmin123", "password", "postgres", "root", "secret", "test", "token"),
    }
)


def broken_rules(settings: "Settings") -> list[Broken]:
    """Return all broken rules; the fields themselves must be valid."""
    return [
        *_engine_names(settings),
        *_default_engine(settings),
        *_reach(settings),
        *_auth(settings),
        *_plans(settings),
        *_times_and_sizes(settings),
        *_secrets(settings),
    ]


def _engine_names(settings: "Settings") -> Iterator[Broken]:
    seen: dict[str, str] = {}
    for engine in settings.engines:
        key = engine_key(engine.name)
        if (other := seen.get(key)) is not None:
            message = f"is also the name of '{other}'; case, `-`, `.` and `_` do not distinguish names"
            yield ("engines", engine.name, "name"), message
        seen[key] = engine.name
    if not settings.enabled_engines:
        yield ("engines",), "at least one engine needs to be enabled"


def _default_engine(settings: "Settings") -> Iterator[Broken]:
    wanted = settings.server.default_engine
    enabled = {engine.name.lower(): engine.name for engine in settings.enabled_engines}
    if wanted is None or wanted.lower() in enabled or not enabled:
        return
    if any(engine.name.lower() == wanted.lower() for engine in settings.engines):
        yield ("server", "default_engine"), f"the engine '{wanted}' is not enabled"
        return
    yield ("server", "default_engine"), _missing("engine", wanted, enabled.values())


def _reach(settings: "Settings") -> Iterator[Broken]:
    if settings.auth.mode == "local" and not is_loopback(settings.server.host):
        message = (
            "`auth.mode: local` does not authenticate, so only a loopback address can be served "
            "(127.0.0.1, ::1 or localhost)"
        )
        yield ("server", "host"), message
    for engine in settings.engines:
        if engine.url and engine.token is None and not is_loopback(_split(engine.url).hostname or ""):
            message = "a runner on another host needs a `token`, the same on both sides"
            yield ("engines", engine.name, "token"), message


def _auth(settings: "Settings") -> Iterator[Broken]:
    auth, server = settings.auth, settings.server
    if "*" in server.cors_origins:
        if server.cors_credentials:
            message = (
                "`*` lets any page on the web act as its visitor; "
                "list the origins, or do not allow credentials"
            )
            yield ("server", "cors_origins"), message
        elif auth.mode == "local":
            message = "`auth.mode: local` does not authenticate, so any page on the web could use it"
            yield ("server", "cors_origins"), message
    if auth.mode == "required" and server.workers > 1 and settings.storage.redis_url is None:
        message = "more than one Gateway process counts limits together in Redis: set storage.redis_url"
        yield ("server", "workers"), message


def _plans(settings: "Settings") -> Iterator[Broken]:
    if (wanted := settings.quota.default_plan) not in settings.quota.plans:
        yield ("quota", "default_plan"), _missing("plan", wanted, settings.quota.plans)


def _times_and_sizes(settings: "Settings") -> Iterator[Broken]:
    limits, text, longest = settings.limits, settings.text, settings.server.request_timeout_seconds
    waits = {
        "first_audio_timeout_seconds": limits.first_audio_timeout_seconds,
        "stall_timeout_seconds": limits.stall_timeout_seconds,
    }
    for name, seconds in waits.items():
        # Explicit values only: a default that never applies misleads no one.
        if seconds > longest and name in limits.model_fields_set:
            message = f"is longer than server.request_timeout_seconds ({longest:g}), so it would never apply"
            yield ("limits", name), message
    if limits.max_body_bytes < (needed := limits.max_input_chars * ESCAPED_CHAR_BYTES):
        message = (
            f"a text of limits.max_input_chars ({limits.max_input_chars}) may need {needed} bytes; "
            "raise this, or lower that"
        )
        yield ("limits", "max_body_bytes"), message
    if limits.max_concurrent_upload_bytes < limits.max_upload_bytes:
        message = f"is less than one upload may have: limits.max_upload_bytes ({limits.max_upload_bytes})"
        yield ("limits", "max_concurrent_upload_bytes"), message
    if text.first_max_chars > limits.max_input_chars and "first_max_chars" in text.model_fields_set:
        message = f"is more than limits.max_input_chars ({limits.max_input_chars}), so it would never apply"
        yield ("text", "first_max_chars"), message


def _secrets(settings: "Settings") -> Iterator[Broken]:
    if settings.env == "local":
        return
    storage, store = settings.storage, settings.storage.object_store
    secrets: list[tuple[tuple[str, ...], SecretStr | None]] = [
        (("storage", "object_store", "access_key"), store.access_key),
        (("storage", "object_store", "secret_key"), store.secret_key),
        *((("engines", engine.name, "token"), engine.token) for engine in settings.engines),
        (("auth", "jwt_secret"), settings.auth.jwt_secret),
        (("storage", "db_url"), _password(storage.db_url)),
        (("storage", "redis_url"), _password(storage.redis_url)),
    ]
    for path, secret in secrets:
        if secret is None:
            continue
        value = secret.get_secret_value().strip().lower()
        if not value or value in WELL_KNOWN_SECRETS:
            yield path, f"`env: {settings.env}` needs a secret of its own, not an empty or well-known one"


def _missing(kind: str, wanted: str, names: Collection[str]) -> str:
    near = nearest(wanted, names)
    hint = f"did you mean {near}?" if near else f"the {kind}s are {', '.join(names) or 'none'}"
    return f"there is no {kind} '{wanted}'; {hint}"


def _password(url: SecretStr | None) -> SecretStr | None:
    password = _split(url.get_secret_value()).password if url else None
    return None if password is None else SecretStr(unquote(password))


def _split(url: str) -> SplitResult:
    """Split a URL; an invalid URL has neither host nor password."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is a loopback address or ``localhost``; other names are not resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
