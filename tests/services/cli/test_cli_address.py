"""Where the commands look for the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.address import find_server
from services.cli.console import USAGE, CommandError
from services.cli.url import server_url


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
        ("https://speech.example/tts/v1", "https://speech.example/tts"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses(given: str, expected: str) -> None:
    assert find_server(given, None).url == expected


@pytest.mark.parametrize(
    "wrong",
    ["", "http://", "ftp://x", "http://x:99999", "http://x:0", "http://[::1", "http://x/?a=1", "http://x\n"],
)
def test_no_addresses(wrong: str) -> None:
    with pytest.raises(CommandError) as caught:
        find_server(wrong, None)
    assert caught.value.status == USAGE


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = find_server(text, None)
    except CommandError:
        return
    assert address.url.startswith(("http://", "https://"))
    assert not address.url.endswith("/")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("localhost", "http://localhost:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - not listened on here
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("[::1]", "http://[::1]:80"),
    ],
)
def test_a_server_here(host: str, expected: str) -> None:
    assert server_url(host, 80) == expected


def test_only_loopback_is_here() -> None:
    assert find_server("http://localhost:1", None).here
    assert find_server("http://[::1]:1", None).here
    assert not find_server("http://192.0.2.1:1", None).here
