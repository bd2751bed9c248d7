"""Keeps other sites' web pages away from a server without authentication.

A page on the web can make its visitor's browser call ``127.0.0.1``. Headers that pages cannot forge tell:
``Origin``, which browsers send with every call of another origin that can change something; ``Host``, which
shows a page that has pointed its own name at this machine (DNS rebinding); and ``Sec-Fetch-Site``, which they
send with what a page embeds, images or scripts. Following a link to this server is allowed.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from services.config import Settings
from services.config.rules import is_loopback
from services.errors import ApiError
from services.tenancy.credentials import Headers


class LocalGuard:
    """Refuses requests of web pages that are not this server's own.

    Args:
        settings: Have the hosts of this server, and the origins that may call it.
    """

    def __init__(self, settings: Settings) -> None:
        server = settings.server
        self._origins = frozenset(server.cors_origins)
        public = urlsplit(server.public_url).hostname if server.public_url else None
        self._hosts = frozenset(name.lower() for name in (server.host, public) if name)

    def check(self, headers: Headers) -> None:
        """Check a request's headers.

        Raises:
            ApiError: 403.
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
        """Whether a local page embeds it, or a user follows a link."""
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
