"""IP addresses as texts, and whose they are."""

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

SUBSCRIBER_BITS: Final = 64
"""Of an IPv6 address: one subscriber has all addresses that begin with them (RFC 6177)."""


def address_of(text: str) -> Address | None:
    """The IP address that a text is, an IPv4 one where it is written as IPv6; ``None`` if it is none."""
    try:
        # An IPv6 address may end with the name of an interface, of any length and letters.
        address = None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def crowd_of(client: tuple[str, int] | None) -> str:
    """Whom a connection is counted with: its subscriber, or all of unknown origin."""
    return "" if client is None else subscriber_of(client[0])


def subscriber_of(text: str) -> str:
    """What stands for a client: an IPv4 address, or the subscriber's part of an IPv6 one.

    What is not an address stands for itself.
    """
    address = address_of(text.partition("%")[0])
    if not isinstance(address, ipaddress.IPv6Address):
        return text if address is None else str(address)
    host_bits = 128 - SUBSCRIBER_BITS
    return str(ipaddress.IPv6Address(int(address) >> host_bits << host_bits))
