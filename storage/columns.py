"""Column types and ids that all tables share."""

import secrets
import unicodedata
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

ID_BYTES: Final = 12
"""Random bytes of an id: 96 bits, so that ids can be neither guessed nor counted."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept as UTC; SQLite would return it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a naive time is a mistake."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """With its zone."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """A new id, such as ``org_0f3a…``."""
    return f"{kind}_{secrets.token_hex(ID_BYTES)}"


def name_key(name: str) -> str:
    """A name without case and superfluous blanks: what makes two names the same."""
    return " ".join(name.split()).casefold()


def address_key(email: str) -> str:
    """An e-mail address as it is kept and looked for: compatible characters and cases are one.

    The compatibility caseless form of Unicode's section 3.13, so that making it again changes nothing. It
    can be longer than what was given: ``U+FDFA`` alone becomes 18 characters.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", email).casefold())
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded.casefold()))
