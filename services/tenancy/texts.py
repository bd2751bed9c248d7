"""Checks of texts from users: that all databases accept them, and their length.

Lengths are those of the stored form, since normalising characters and case can lengthen a text.
"""

import re
import unicodedata
from typing import Final

from storage.columns import address_key

LONGEST_NAME: Final = 200
"""Maximum number of characters of the name of an organisation, a user or a key."""

LONGEST_EMAIL: Final = 320
"""Maximum number of characters of an e-mail address.

64 of the local part, ``@``, and 255 of the domain (RFC 5321, section 4.5.3.1).
"""

_EMAIL: Final = re.compile(r"[^@]+@[^@]+")


def storable(value: str) -> str:
    """Return the text if all databases accept it: it has no lone surrogates and no control characters.

    Raises:
        ValueError: The text has some.
    """
    value.encode()
    if any(ord(letter) < ord(" ") or letter == "\x7f" for letter in value):
        raise ValueError("control characters are not allowed")
    return value


def name(value: str) -> str:
    """Return the stored form of a name.

    Raises:
        ValueError: The name is blank, too long, or not storable.
    """
    if not storable(value).strip():
        raise ValueError("it is blank")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"it can have at most {LONGEST_NAME} characters")
    return value


def email_address(value: str) -> str:
    """Return the stored form of an e-mail address, see :func:`storage.columns.address_key`.

    Raises:
        ValueError: The text is not an e-mail address, or its stored form is too long.
    """
    if len(value) > LONGEST_EMAIL:  # bounds the time to compute the stored form
        raise ValueError(f"it can have at most {LONGEST_EMAIL} characters")
    value.encode()
    address = address_key(value)
    if len(address) > LONGEST_EMAIL:
        raise ValueError(f"it has more than {LONGEST_EMAIL} characters in its compatible form")
    if not _EMAIL.fullmatch(address):
        raise ValueError("it is not an e-mail address")
    # Addresses that differ only in spaces, controls or invisible characters look the same.
    if any(unicodedata.category(letter)[0] in "CZ" for letter in address):
        raise ValueError("it contains spaces or invisible characters")
    return address
