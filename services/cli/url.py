"""URLs of servers on this machine."""

import ipaddress
from typing import Final

IPV4: Final = 4


def server_url(host: str, port: int) -> str:
    """Return a URL for a server on this machine that listens on ``host``.

    Args:
        host: Name or address; an unspecified address (all interfaces) becomes loopback.
        port: TCP port.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == IPV4 else "::1")
    return f"http://{address}:{port}" if address.version == IPV4 else f"http://[{address}]:{port}"
