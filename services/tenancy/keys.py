"""API keys as text: ``atk_<prefix>_<secret>``.

The prefix finds the key, the secret proves it. The secret has 256 random bits, so a plain SHA-256
is enough: a slow hash protects passwords that people choose, and would slow down every request.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final, NamedTuple

MARK: Final = "atk_"

_KEY: Final = re.compile(r"atk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


class NewKey(NamedTuple):
    """A new key.

    Attributes:
        text: Shown once.
        prefix: Stored unchanged.
        secret_hash: Stored instead of the secret.
    """

    text: str
    prefix: str
    secret_hash: str


def make_key() -> NewKey:
    """A new random key."""
    prefix, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    return NewKey(f"{MARK}{prefix}_{secret}", prefix, hash_secret(secret))


def parse_key(text: str) -> tuple[str, str] | None:
    """A key's prefix and secret; ``None`` if it is not one of ours."""
    match = _KEY.fullmatch(text)
    return None if match is None else (match[1], match[2])


def hash_secret(secret: str) -> str:
    """The stored hash of a secret: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, secret_hash: str) -> bool:
    """Whether it is the secret of that hash; takes as long either way."""
    return hmac.compare_digest(hash_secret(secret), secret_hash)
