"""Whose an address is."""

from services.addresses import subscriber_of


def test_the_ipv6_addresses_of_one_customer_are_one() -> None:
    one, same, other = "2001:db8:1:2::3", "2001:db8:1:2:ffff::9", "2001:db8:1:3::3"
    assert subscriber_of(one) == subscriber_of(same) != subscriber_of(other)
    assert subscriber_of("fe80::1%eth0") == subscriber_of("fe80::2")
    assert subscriber_of("10.0.0.1") != subscriber_of("10.0.0.2")


def test_an_ipv4_address_is_itself_however_it_is_written() -> None:
    """A socket that takes both kinds writes them as IPv6."""
    assert subscriber_of("::ffff:10.0.0.1") == subscriber_of("10.0.0.1")
    assert subscriber_of("::ffff:10.0.0.1") != subscriber_of("::ffff:10.0.0.2")


def test_what_is_no_address_is_itself() -> None:
    assert subscriber_of("a socket") == "a socket"
