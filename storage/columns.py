"""Column types, IDs and lookup keys that the tables share."""

import secrets
import unicodedata
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

ID_BYTES: Final = 12
"""Number of random bytes in an ID: 96 bits, so that IDs can be neither guessed nor enumerated."""


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware time, stored in UTC; SQLite would return it without a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a naive time is a ``ValueError``."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time with the time zone UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """Return the current time in UTC, timezone-aware."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """Return a new random ID, such as ``org_0f3a…``."""
    return f"{kind}_{secrets.token_hex(ID_BYTES)}"


def name_key(name: str) -> str:
    """Return a name's key for comparisons: case-folded, with runs of whitespace collapsed."""
    return " ".join(name.split()).casefold()


def address_key(email: str) -> str:
    """Return an e-mail address in the form in which it is stored and looked up.

    Applies the compatibility caseless matching of the Unicode Standard, section 3.13 (D146); idempotent. The
    result can be longer than the address: ``U+FDFA`` alone becomes 18 characters.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", email).casefold())
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded.casefold()))
