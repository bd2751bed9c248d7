"""URLs of servers on this machine."""

import ipaddress
from typing import Final

IPV4: Final = 4


def server_url(host: str, port: int) -> str:
    """The URL that reaches a server on this machine which listens on ``host``.

    Args:
        host: A name or an address; one that means every interface is reached through loopback.
        port: TCP port.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == IPV4 else "::1")
    return f"http://{address}:{port}" if address.version == IPV4 else f"http://[{address}]:{port}"
