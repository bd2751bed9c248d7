"""Parsing of IP addresses, and grouping of clients by subscriber."""

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

SUBSCRIBER_BITS: Final = 64
"""Length of a subscriber's IPv6 prefix in bits (RFC 6177)."""


def address_of(text: str) -> Address | None:
    """Parse an IP address; an IPv4-mapped IPv6 address becomes IPv4. ``None`` if it is invalid."""
    try:
        # Reject IPv6 zones (interface names), which may be arbitrary text.
        address = None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def crowd_of(client: tuple[str, int] | None) -> str:
    """Return the group that a connection counts towards: its subscriber, or ``""`` for an unknown client."""
    return "" if client is None else subscriber_of(client[0])


def subscriber_of(text: str) -> str:
    """Return the subscriber of an address: an IPv4 address, or the subscriber's prefix of an IPv6 address.

    A text that is not an address is returned unchanged.
    """
    address = address_of(text.partition("%")[0])
    if not isinstance(address, ipaddress.IPv6Address):
        return text if address is None else str(address)
    host_bits = 128 - SUBSCRIBER_BITS
    return str(ipaddress.IPv6Address(int(address) >> host_bits << host_bits))
