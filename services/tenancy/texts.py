"""Texts from users that every database accepts, limited in length.

Lengths are of the stored form: some texts grow when characters or cases are normalised.
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
    """Single-line text that every database accepts: no lone surrogates, no control characters.

    Raises:
        ValueError: It is not.
    """
    value.encode()
    if any(ord(letter) < ord(" ") or letter == "\x7f" for letter in value):
        raise ValueError("control characters are not allowed")
    return value


def name(value: str) -> str:
    """The stored form of a name.

    Raises:
        ValueError: It is blank, too long, or not storable.
    """
    if not storable(value).strip():
        raise ValueError("it is blank")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"it can have at most {LONGEST_NAME} characters")
    return value


def email_address(value: str) -> str:
    """The stored form of an e-mail address, see :func:`storage.columns.address_key`.

    Raises:
        ValueError: It is not an address, or its stored form is too long.
    """
    if len(value) > LONGEST_EMAIL:  # before its normal form is computed
        raise ValueError(f"it can have at most {LONGEST_EMAIL} characters")
    value.encode()
    address = address_key(value)
    if len(address) > LONGEST_EMAIL:
        raise ValueError(f"it has more than {LONGEST_EMAIL} characters in its compatible form")
    if not _EMAIL.fullmatch(address):
        raise ValueError("it is not an e-mail address")
    # Spaces, controls and invisible characters: addresses that look alike should be equal.
    if any(unicodedata.category(letter)[0] in "CZ" for letter in address):
        raise ValueError("it contains spaces or invisible characters")
    return address
