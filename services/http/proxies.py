"""The client's address and the URL by which it reached the server, as reported by trusted proxies.

Two families of headers report them: ``Forwarded`` (RFC 7239) and ``X-Forwarded-For``, ``-Proto``, ``-Host``
and ``-Port``. Anyone can send them, so they count only from an address in ``server.trusted_proxies``. They
are read from the right, where the nearest proxy has written, up to the first address that is not a trusted
proxy.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from services.addresses import Address, address_of
from services.asgi import is_request

MAX_HOPS: Final = 20
"""Maximum number of proxies that are followed."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}
PAGE_SCHEMES: Final = {"ws": "http", "wss": "https"}

_PAIR: Final = re.compile(
    # A token, `=`, and a token or a quoted string, up to the next separator.
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]*)|\"((?:[^\"\\]|\\.)*)\")"
    r"[ \t]*([;,]|$)"
)
_WITH_PORT: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_NAME: Final = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z._-]{0,251}[0-9A-Za-z])?")


@dataclass(frozen=True, slots=True)
class Hop:
    """A proxy's report on the request as it received it.

    Attributes:
        client: Address of the sender; ``None`` if it is invalid or missing.
        scheme: ``http`` or ``https``.
        host: Requested host, with the port unless it is the scheme's default.
    """

    client: Address | None = None
    scheme: str | None = None
    host: str | None = None


class TrustedProxies:
    """ASGI middleware that determines the client's address and the server's URL.

    Sets the scope's ``client`` to the address, or ``None``, and ``base_url`` in its state to the scheme and
    host by which a trusted proxy was reached, else to the address that the client connected to. The header
    ``Host`` is not used, since the client can set it to anything.

    Args:
        app: The wrapped ASGI app.
        trusted: Addresses and networks of trusted proxies.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the client and the URL, and pass the request on."""
        if is_request(scope):
            self._place(scope)
        await self._app(scope, receive, send)

    def _place(self, scope: Scope) -> None:
        peer, port = scope.get("client") or ("", 0)
        client, base = address_of(peer.partition("%")[0]), _own(scope)
        if client is not None and self._trusts(client):
            hop = self._first(scope["headers"])
            if hop is not None and hop.client is not None and hop.client != client:
                client, port = hop.client, 0
            if hop is not None and hop.host is not None:
                base = f"{hop.scheme or _scheme_of(scope)}://{hop.host}"
            if hop is not None and hop.scheme is not None:
                websocket = scope["type"] == "websocket"
                scope["scheme"] = WEBSOCKET_SCHEMES[hop.scheme] if websocket else hop.scheme
        scope["client"] = None if client is None else (str(client), port)
        scope.setdefault("state", {})["base_url"] = base

    def _first(self, headers: Iterable[tuple[bytes, bytes]]) -> Hop | None:
        """Return the report of the first trusted proxy; ``None`` without one."""
        ours = [(name, value.decode("latin-1")) for name, value in headers if b"forwarded" in name]
        standard = self._walk(_forwarded([value for name, value in ours if name == b"forwarded"]))
        common = self._walk(_x_forwarded(ours))
        if standard is None or common is None:
            return standard or common
        # A proxy that writes one family passes the other on unchecked; on a conflict, neither can be trusted.
        return standard if standard.client == common.client else None

    def _walk(self, hops: Iterator[Hop]) -> Hop | None:
        last: Hop | None = None
        for hop in islice(hops, MAX_HOPS):
            if hop.client is None:
                return last
            last = hop
            if not self._trusts(hop.client):
                break
        return last

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _own(scope: Scope) -> str:
    """Return the URL of the address that the client connected to."""
    host, port = (scope.get("server") or ("127.0.0.1", None))[:2]
    shown = f"[{host.partition('%')[0]}]" if ":" in host else host
    scheme = _scheme_of(scope)
    return f"{scheme}://{shown}{_shown_port(port, scheme)}"


def _scheme_of(scope: Scope) -> str:
    """Return ``http`` or ``https``, for WebSockets too, since links are built with it."""
    scheme: str = scope["scheme"]
    return PAGE_SCHEMES.get(scheme, scheme)


def _forwarded(lines: Sequence[str]) -> Iterator[Hop]:
    """Yield the hops of ``Forwarded``, the last first; an invalid header ends them."""
    for line in reversed(lines):
        hops = _parsed(line)
        if hops is None:
            yield Hop()
            return
        yield from reversed(hops)


def _parsed(line: str) -> list[Hop] | None:
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(line):
        match = _PAIR.match(line, position)
        if match is None:
            return None
        name, token, quoted, separator = match.groups()
        elements[-1][name.lower()] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position = match.end()
        if separator == ",":
            elements.append({})
        elif not separator:
            break
    return [
        Hop(_client(said.get("for", "")), _scheme(said.get("proto", "")), _host(said.get("host", "")))
        for said in elements
    ]


def _x_forwarded(headers: Sequence[tuple[bytes, str]]) -> Iterator[Hop]:
    """Yield the hops of ``X-Forwarded-For``, the last first, with the other headers' values for each."""

    def values(name: bytes) -> list[str]:
        lines = [value for header, value in headers if header == b"x-forwarded-" + name]
        # From the right, at most as many as are followed.
        return [value.strip() for value in ",".join(lines).rsplit(",", MAX_HOPS)[-MAX_HOPS:]] if lines else []

    schemes, hosts, ports = values(b"proto"), values(b"host"), values(b"port")

    def said(values: Sequence[str], depth: int) -> str:
        # Some proxies append to these, others replace them; to the left of the first value, the first counts.
        return values[max(0, len(values) - 1 - depth)] if values else ""

    for depth, value in enumerate(reversed(values(b"for"))):
        scheme = _scheme(said(schemes, depth))
        host = _host(said(hosts, depth))
        port = said(ports, depth)
        if host is not None and port and (match := _WITH_PORT.fullmatch(host)) and match[3] is None:
            host = _host(f"{host}:{port}") or host
        yield Hop(_client(value), scheme, _plain(host, scheme))


def _client(text: str) -> Address | None:
    """Parse an address with an optional port; ``None`` if it is invalid."""
    if (bare := address_of(text)) is not None:
        return bare
    match = _WITH_PORT.fullmatch(text)
    if match is None or (match[3] and int(match[3]) > 65_535):  # noqa: PLR2004 - the last port
        return None
    address = address_of(match[1] or match[2])
    return address if address is None or match[2] or ":" in match[1] else None


def _scheme(text: str) -> str | None:
    return text.lower() if text.lower() in DEFAULT_PORTS else None


def _host(text: str) -> str | None:
    """Validate a name or an address with an optional port, IPv6 in brackets; ``None`` if it is invalid."""
    match = _WITH_PORT.fullmatch(text)
    if match is None or (match[3] and not 0 < int(match[3]) <= 65_535):  # noqa: PLR2004 - the ports
        return None
    if match[1]:
        return text if ":" in match[1] and address_of(match[1]) else None
    return text.lower() if _NAME.fullmatch(match[2]) else None


def _plain(host: str | None, scheme: str | None) -> str | None:
    """Remove the scheme's default port from a host."""
    return host if host is None or scheme is None else host.removesuffix(f":{DEFAULT_PORTS[scheme]}")


def _shown_port(port: int | None, scheme: str) -> str:
    return "" if port is None or port == DEFAULT_PORTS.get(scheme) else f":{port}"
