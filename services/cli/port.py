"""Checks whether an address is free, and which process listens on it."""

import errno
import http.client
import ipaddress
import json
import os
import socket
from pathlib import Path
from typing import Final, cast

PROBE_TIMEOUT_SECONDS: Final = 2.0
"""Timeout in seconds of a probe of the listener."""

MAX_ANSWER: Final = 65_536
"""Maximum number of bytes of the response that are read."""

_LISTENING: Final = "0A"
"""State ``TCP_LISTEN`` in Linux' ``/proc/net/tcp``."""


class AddressError(Exception):
    """The server cannot listen on an address.

    Args:
        message: The reason.
        in_use: Whether another process listens there.
    """

    def __init__(self, message: str, *, in_use: bool = False) -> None:
        super().__init__(message)
        self.in_use = in_use


def resolve(host: str) -> str:
    """Return an IP address of ``host``, preferably IPv4.

    Raises:
        AddressError: The host has no address.
    """
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"The host '{host}' has no address.") from error
    addresses = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return str(addresses[0][4][0])


def check_free(address: str, port: int) -> None:
    """Check that it is possible to listen on ``address``.

    Args:
        address: An IP address.
        port: TCP port.

    Raises:
        AddressError: It is not possible.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            if os.name == "posix":
                # Like the server, so that closing connections do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            probe.listen(1)
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                raise AddressError(f"Port {port} of {address} is in use", in_use=True) from error
            case errno.EACCES:
                raise AddressError(f"Port {port} needs more rights than this user has") from error
            case errno.EADDRNOTAVAIL:
                raise AddressError(f"{address} is not an address of this machine") from error
            case _:
                raise AddressError(f"{address}:{port} cannot be used: {error.strerror}") from error


def readiness(address: str, port: int) -> dict[str, object] | None:
    """Return the readiness report of the AwaazTwin server at ``address``; ``None`` without one."""
    connection = http.client.HTTPConnection(address, port, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer: object = json.loads(connection.getresponse().read(MAX_ANSWER))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    if not isinstance(answer, dict):
        return None
    ready = cast("dict[str, object]", answer)
    parts = ready.get("parts")
    return ready if isinstance(parts, dict) and "gateway" in parts else None


def owner(port: int) -> str | None:
    """Return the ID and command of the process that listens on a port, if visible to this user (Linux)."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process / "fd", inodes):
            try:
                command = (process / "comm").read_text().strip()
            except OSError:
                continue
            return f"process {process.name}, {command}"
    return None


def _inodes(port: int) -> list[str]:
    found: list[str] = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.append(fields[9])
    return found


def _holds(descriptors: Path, targets: set[str]) -> bool:
    try:
        for descriptor in descriptors.iterdir():
            try:
                if str(descriptor.readlink()) in targets:
                    return True
            except OSError:
                # The descriptor was closed meanwhile.
                continue
    except OSError:
        # Another user's process, or one that has exited.
        return False
    return False
