"""Connections to one runner, over a Unix socket or a network."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import aiohttp
from pydantic import ValidationError

from engines.config import EngineConfig
from engines.contract import EngineError, EngineUnavailable
from services.log_context import handed_on
from services.wire.frames import Failure

KEEP_ALIVE_SECONDS: Final = 3.0
"""Seconds for which an idle connection is kept; less than the runner's 5, which must not close first."""

CONNECT_TIMEOUT_SECONDS: Final = 5.0
"""Maximum seconds to establish a connection."""

MAX_ANSWER: Final = 1024 * 1024
"""Maximum size of a JSON response in bytes."""


class RunnerConnection:
    """A connection pool for one runner. Use as an asynchronous context manager.

    Args:
        config: The engine's settings.
        address: ``unix:///path`` or ``file:///path`` of a socket, or an ``http(s)://`` address.
    """

    def __init__(self, config: EngineConfig, address: str) -> None:
        self._config = config
        self._address = address
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        address = urlsplit(self._address)
        # limit=0: calls are bounded by the Gateway's own limit of streams, not by waiting for a connection.
        if address.scheme in {"unix", "file"}:
            path = unquote(address.path)
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                path, limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS
            )
            base = "http://runner"
        else:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
            base = self._address.replace("tcp://", "http://", 1)
        token = self._config.token
        self._session = aiohttp.ClientSession(
            base_url=base.rstrip("/") + "/",
            connector=connector,
            headers={"authorization": f"Bearer {token.get_secret_value()}"} if token else None,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections, see :meth:`close`."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; the runner cancels their calls."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The underlying session.

        Raises:
            EngineUnavailable: The pool is closed.
        """
        if self._session is None:
            raise EngineUnavailable("The Gateway is shutting down.")
        return self._session

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,  # noqa: ASYNC109 - of the whole block, the reading of the answer included
        **options: Any,  # noqa: ANN401 - aiohttp's own
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """Send a request and yield the response.

        Args:
            method: HTTP method.
            path: Path of the URL.
            headers: Additional headers.
            timeout: Maximum seconds of the whole block, including reading the response.
            **options: Further options of :meth:`aiohttp.ClientSession.request`.

        Raises:
            EngineUnavailable: The runner is unreachable, the connection is lost, or the timeout has expired.
        """
        try:
            async with (
                asyncio.timeout(timeout),
                self.session.request(
                    method, path.removeprefix("/"), headers={**(headers or {}), **handed_on()}, **options
                ) as answer,
            ):
                yield answer
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise self.unreachable(error) from error

    async def read(self, answer: aiohttp.ClientResponse, limit: int) -> bytes:
        """Return the body of a response.

        Raises:
            EngineUnavailable: The body is longer than ``limit`` bytes.
        """
        body = bytearray()
        while piece := await answer.content.readany():
            body += piece
            if len(body) > limit:
                raise EngineUnavailable(f"The runner of {self._config.name} sent more than {limit} bytes.")
        return bytes(body)

    async def failed(self, answer: aiohttp.ClientResponse) -> EngineError:
        """Return the error in a response (:class:`Failure`)."""
        try:
            failure = Failure.model_validate_json(await self.read(answer, MAX_ANSWER))
        except ValidationError:
            return EngineUnavailable(self.says(answer.status))
        error = failure.error()
        # Other errors are between Gateway and runner, and not the client's fault.
        return EngineUnavailable(failure.message) if type(error) is EngineError else error

    def says(self, status: int) -> str:
        """Return the error message for an unexpected status."""
        return f"The runner of {self._config.name} answered with status {status}."

    def unreachable(self, error: Exception) -> EngineUnavailable:
        """Return the error for a failed connection."""
        name = self._config.name
        if isinstance(error, TimeoutError):
            return EngineUnavailable(f"The runner of {name} does not answer.", retry_after=5.0)
        return EngineUnavailable(f"The runner of {name} cannot be reached or was lost.", retry_after=5.0)
