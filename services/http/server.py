"""The server in BentoML's worker processes: uvicorn's, with limits on clients and an orderly shutdown."""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any, Final

import psutil
import uvicorn
from bentoml._internal.context import server_context

from services.config import Settings
from services.http.protocol import BoundedHttp, ConnectionLimits, Crowd
from services.http.supervisor import stop_in_order
from services.stopping import Stopping

POLL_SECONDS: Final = 0.05
"""Polling interval of a process that is stopping, in seconds."""

SPARE_SECONDS: Final = 10.0
"""Seconds that a runner waits for the Gateways, in addition to their own grace period."""

RESERVED: Final = 256
"""File descriptors reserved for databases, runners and recordings, not for clients' connections."""

FEWEST: Final = 8

GATEWAY: Final = "Gateway"


class Server(uvicorn.Server):
    """Serves the app of one process.

    While stopping, it still accepts connections, whose requests the app refuses, until the earlier requests
    are answered: the supervisor keeps the listening socket open, so unaccepted clients would wait forever. A
    runner of Gateways on the same host first waits until they have ended.

    Args:
        config: uvicorn's configuration.
        settings: The settings.
        stopping: Set to begin when the app is to refuse new requests.
    """

    def __init__(self, config: uvicorn.Config, *, settings: Settings, stopping: Stopping) -> None:
        limits = connection_limits(settings)
        limits = replace(limits, connections=_affordable(limits.connections))
        # uvicorn accepts any factory of protocols.
        config.http = partial(BoundedHttp, limits=limits, crowd=Crowd(limits.connections))  # type: ignore[assignment]
        config.ws = "none"
        # A pipelined request is started by the task of the previous one, whose context it must not inherit.
        config.reset_contextvars = True
        super().__init__(config)
        self._stopping = stopping
        self._grace = settings.server.shutdown_grace_seconds
        self._parent = os.getppid()
        self._serves_gateways = server_context.service_type == "service"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: stop; at a second Ctrl-C, stop at once."""
        if not self._serves_gateways:
            self._stopping.begin()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Wait for the Gateways to end, then for running requests, then shut the app down."""
        clock = asyncio.get_running_loop().time
        # Polling, since uvicorn has no events to wait for.
        if self._serves_gateways:
            until = clock() + self._grace + SPARE_SECONDS
            while self._waits(until) and await asyncio.to_thread(self._has_gateways):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
            self._stopping.begin()
        until = clock() + self._grace
        while self._waits(until) and self.server_state.tasks:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        self.config.timeout_graceful_shutdown = max(1, round(until - clock()))
        await super().shutdown(sockets)

    def _waits(self, until: float) -> bool:
        """Whether there is time left, and the supervisor, which holds the socket, is alive."""
        in_time = asyncio.get_running_loop().time() < until
        return in_time and not self.force_exit and os.getppid() == self._parent

    def _has_gateways(self) -> bool:
        try:
            siblings = psutil.Process(self._parent).children()
        except psutil.Error:
            return False
        return any(_serves(sibling, GATEWAY) for sibling in siblings)


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits of connections from the settings."""
    server, limits = settings.server, settings.limits
    return ConnectionLimits(
        head_bytes=limits.max_head_bytes,
        headers=limits.max_headers,
        head_seconds=server.head_timeout_seconds,
        connections=server.max_connections,
    )


def _affordable(connections: int) -> int:
    """Raise the limit of file descriptors as needed; return how many of the connections it permits."""
    if sys.platform == "win32":
        return connections
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(ValueError, OSError):  # macOS has a lower limit than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return connections if soft == resource.RLIM_INFINITY else max(FEWEST, min(connections, soft - RESERVED))


def serve_with(settings: Settings, stopping: Stopping) -> None:
    """Make BentoML's workers use :class:`Server`, and its supervisor stop them in order."""
    uvicorn.Server = partial(Server, settings=settings, stopping=stopping)  # type: ignore[assignment,misc]
    stop_in_order()


def _serves(process: psutil.Process, service: str) -> bool:
    """Whether a process is a BentoML worker of a service; false for one that has ended."""
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return any(line[i : i + 2] == ["--service-name", service] for i in range(len(line)))
