"""The text form of API keys: ``atk_<prefix>_<secret>``.

The prefix identifies the key, the secret authenticates it. The secret has 256 random bits, so a plain SHA-256
is sufficient: slow hashes protect passwords that people choose, and would slow down every request.
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
        text: The text form, which is shown once.
        prefix: The prefix, which is stored unchanged.
        secret_hash: Hash of the secret, which is stored instead of the secret.
    """

    text: str
    prefix: str
    secret_hash: str


def make_key() -> NewKey:
    """Return a new random key."""
    prefix, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    return NewKey(f"{MARK}{prefix}_{secret}", prefix, hash_secret(secret))


def parse_key(text: str) -> tuple[str, str] | None:
    """Return the prefix and secret of a key; ``None`` if the text is not a key of this server."""
    match = _KEY.fullmatch(text)
    return None if match is None else (match[1], match[2])


def hash_secret(secret: str) -> str:
    """Return the hash of a secret to store: SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, secret_hash: str) -> bool:
    """Whether a secret matches a hash. Takes constant time."""
    return hmac.compare_digest(hash_secret(secret), secret_hash)
