"""The server's address, for commands that are its clients."""

import re
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from services.cli.console import USAGE, CommandError
from services.cli.url import server_url
from services.config import load_settings
from services.config.rules import is_loopback

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="AWAAZTWIN_BASE_URL",
        help="Address of the server, with or without `/v1`; by default the one in the settings.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--api-key", envvar="AWAAZTWIN_API_KEY", help="API key, if the server requires one."),
]

_KEY: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server and its API key.

    Attributes:
        url: URL without ``/v1`` and without a trailing slash.
        key: API key, which is sent as a bearer token.
    """

    url: str
    key: str | None = None

    @property
    def here(self) -> bool:
        """Whether the server is on this machine, so that no proxy is used."""
        return is_loopback(urlsplit(self.url).hostname or "")


def find_server(url: str | None, key: str | None) -> ServerAddress:
    """Return the given server, or else the one in the settings.

    Args:
        url: The user's URL, if any.
        key: The user's API key, if any.

    Raises:
        CommandError: The URL or the key is invalid.
        ConfigError: No URL was given, and the settings cannot be used.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise CommandError("The API key contains invalid characters.", status=USAGE)
    if url is None:
        server = load_settings().settings.server
        return ServerAddress(server_url(server.host, server.port), key)
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = None, False
    if parts is None or not usable or parts.query or parts.fragment or not url.isprintable():
        raise CommandError(
            f"'{url}' is not a server address.", "For example: http://127.0.0.1:8000", status=USAGE
        )
    path = parts.path.rstrip("/").removesuffix("/v1")
    return ServerAddress(f"{parts.scheme}://{parts.netloc}{path}", key)
