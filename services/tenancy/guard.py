"""Protects a server without authentication from web pages of other sites.

A web page can make its visitor's browser call ``127.0.0.1``. Such calls are recognised by headers that pages
cannot forge:

- ``Origin``, which browsers send with all cross-origin requests that can change something.
- ``Host``, which reveals a page whose domain name points at this machine (DNS rebinding).
- ``Sec-Fetch-Site``, which browsers send with requests for embedded images and scripts.

Following a link to this server is allowed.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from services.config import Settings
from services.config.rules import is_loopback
from services.errors import ApiError
from services.tenancy.credentials import Headers


class LocalGuard:
    """Refuses requests from web pages of other sites.

    Args:
        settings: The settings, for the server's host names and the allowed origins.
    """

    def __init__(self, settings: Settings) -> None:
        server = settings.server
        self._origins = frozenset(server.cors_origins)
        public = urlsplit(server.public_url).hostname if server.public_url else None
        self._hosts = frozenset(name.lower() for name in (server.host, public) if name)

    def check(self, headers: Headers) -> None:
        """Check a request's headers.

        Raises:
            ApiError: 403, another site's page sent the request.
        """
        said = {name: value.decode("latin-1") for name, value in headers}
        if said.get(b"sec-fetch-site") == "cross-site" and b"origin" not in said and not self._welcome(said):
            raise _refused("Sec-Fetch-Site", "site_not_allowed")
        for name, value in headers:
            if name == b"host" and not self._is_here(_host_of(f"//{value.decode('latin-1')}")):
                raise _refused("Host", "host_not_allowed")
            if name == b"origin":
                origin = value.decode("latin-1")
                if origin not in self._origins and not self._is_here(_host_of(origin)):
                    raise _refused("Origin", "origin_not_allowed")

    def _welcome(self, said: Mapping[bytes, str]) -> bool:
        """Whether a local page embeds the resource, or a user follows a link to it."""
        if self._is_here(_host_of(said.get(b"referer", ""))):
            return True
        return said.get(b"sec-fetch-mode") == "navigate" and said.get(b"sec-fetch-dest") == "document"

    def _is_here(self, host: str) -> bool:
        return is_loopback(host) or host in self._hosts


def _host_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _refused(header: str, code: str) -> ApiError:
    message = f"This server accepts requests from its own machine only; the header '{header}' names another."
    return ApiError(403, message, code=code)
