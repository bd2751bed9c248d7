"""Texts that people give and the database keeps: what every database takes, at the length it keeps.

A text is measured as it is kept: some grow when compatible characters or cases are made one.
"""

import re
import unicodedata
from typing import Final

from storage.columns import address_key

LONGEST_NAME: Final = 200
"""Characters of a name of an organisation, a user or a key."""

LONGEST_EMAIL: Final = 320
"""Characters: 64 of the local part, ``@``, 255 of the domain (RFC 3696, erratum 1690)."""

_EMAIL: Final = re.compile(r"[^@]+@[^@]+")


def storable(value: str) -> str:
    """Text of one line that every database takes: no lone surrogates, no control characters.

    Raises:
        ValueError: It is none.
    """
    value.encode()
    if any(ord(letter) < ord(" ") or letter == "\x7f" for letter in value):
        raise ValueError("control characters are not allowed")
    return value


def name(value: str) -> str:
    """A name, as it is kept.

    Raises:
        ValueError: It is blank, too long, or not storable.
    """
    if not storable(value).strip():
        raise ValueError("it is blank")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"it has at most {LONGEST_NAME} characters")
    return value


def email_address(value: str) -> str:
    """An e-mail address, as it is kept: see :func:`storage.columns.address_key`.

    Raises:
        ValueError: It is none, or too long as it would be kept.
    """
    if len(value) > LONGEST_EMAIL:  # before its forms are computed
        raise ValueError(f"it has at most {LONGEST_EMAIL} characters")
    value.encode()
    address = address_key(value)
    if len(address) > LONGEST_EMAIL:
        raise ValueError(f"it has more than {LONGEST_EMAIL} characters in its compatible form")
    if not _EMAIL.fullmatch(address):
        raise ValueError("it is not an e-mail address")
    # Blanks, controls, and what cannot be seen: two addresses that look alike should be one.
    if any(unicodedata.category(letter)[0] in "CZ" for letter in address):
        raise ValueError("it holds blanks or invisible characters")
    return address
