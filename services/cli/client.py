"""The HTTP client of a server."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import IO, Any, Final, Self, cast
from urllib.parse import quote

import httpx

from services.cli.address import ServerAddress
from services.cli.console import USAGE, CommandError

CONNECT_TIMEOUT_SECONDS: Final = 5.0
"""Seconds to connect."""

SEND_TIMEOUT_SECONDS: Final = 30.0
"""Seconds the server may leave the request unread."""

ANSWER_TIMEOUT_SECONDS: Final = 15.0
"""Seconds to wait for an answer that needs no engine."""

MAX_ANSWER: Final = 16_777_216
"""Bytes of a JSON answer, or of one event."""

GOOD: Final = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
"""Statuses of a successful change, with its result."""

HINTS: Final[Mapping[str, str]] = {
    "voice": "`awaaztwin voices` lists the voices.",
    "language": "`awaaztwin voices` lists the languages of each voice.",
    "model": "`awaaztwin engines` lists the engines.",
}
"""Hints by the field at fault."""


class SilenceError(CommandError):
    """The server sent nothing within the timeout."""


class Client:
    """A connection to one server; every failure is a :class:`~services.cli.console.CommandError`.

    Args:
        address: The server.
        timeout: Seconds to wait for the next bytes of an answer.
    """

    def __init__(self, address: ServerAddress, *, timeout: float = ANSWER_TIMEOUT_SECONDS) -> None:
        self._address = address
        self._timeout = timeout
        self._http = httpx.Client(
            base_url=address.url,
            headers={} if address.key is None else {"authorization": f"Bearer {address.key}"},
            timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT_SECONDS, write=SEND_TIMEOUT_SECONDS),
            # A proxy cannot reach this machine's loopback.
            trust_env=not address.here,
        )

    def __enter__(self) -> Self:
        """Keep the connection open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._http.close()

    def get(
        self, path: str, params: Mapping[str, str] | None = None, *, fine: Sequence[int] = (HTTPStatus.OK,)
    ) -> Mapping[str, Any]:
        """The JSON object at ``path``.

        Args:
            path: From the server's root.
            params: Of the query.
            fine: Statuses with such an object.

        Raises:
            CommandError: The request failed.
        """
        with self._failures(), self._http.stream("GET", path, params=params) as response:
            return self._object(response, fine)

    def send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Mapping[str, Any]:
        """Send a change; returns its result.

        Args:
            method: Such as ``POST``.
            path: From the server's root.
            body: Sent as JSON.

        Raises:
            CommandError: It was refused.
        """
        with self._failures(), self._http.stream(method, path, json=body) as response:
            return self._object(response, GOOD)

    def delete(self, path: str) -> None:
        """Remove what is at ``path``.

        Raises:
            CommandError: It was refused.
        """
        with self._failures(), self._http.stream("DELETE", path) as response:
            if response.status_code != HTTPStatus.NO_CONTENT:
                raise self._refusal(response)

    def upload(
        self,
        path: str,
        fields: Mapping[str, str | Sequence[str]],
        files: Sequence[tuple[str, tuple[str, IO[bytes]]]],
        *,
        timeout: float,
    ) -> Mapping[str, Any]:
        """Send a form with files, read as they are sent; returns its result.

        Args:
            path: From the server's root.
            fields: Texts, or lists of them.
            files: The field of each, its name, and itself.
            timeout: Seconds to wait for the answer, which takes longer the more there is to look at.

        Raises:
            CommandError: It was refused.
        """
        waiting = httpx.Timeout(timeout, connect=CONNECT_TIMEOUT_SECONDS, write=SEND_TIMEOUT_SECONDS)
        with (
            self._failures(timeout),
            self._http.stream("POST", path, data=fields, files=files, timeout=waiting) as response,
        ):
            return self._object(response, GOOD)

    @contextmanager
    def speech(self, request: Mapping[str, object]) -> Generator[Iterator[bytes], None, None]:
        """Request speech; yields the audio as it arrives.

        Args:
            request: The body of ``POST /v1/audio/speech``.

        Raises:
            CommandError: It was refused, or cut off.
        """
        with self._failures(), self._http.stream("POST", "/v1/audio/speech", json=request) as response:
            yield self._data(response)

    @contextmanager
    def download(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> Generator[Iterator[bytes], None, None]:
        """Download ``path``; yields the bytes as they arrive.

        Raises:
            CommandError: It was refused, or cut off.
        """
        with self._failures(), self._http.stream("GET", path, params=params) as response:
            yield self._data(response)

    @contextmanager
    def events(
        self, path: str, *, timeout: float
    ) -> Generator[Iterator[tuple[str, Mapping[str, Any]]], None, None]:
        """Follow the server-sent events at ``path``: the name of each and its JSON object.

        Args:
            path: From the server's root.
            timeout: Seconds to wait for the next one.

        Raises:
            SilenceError: None arrived in time.
            CommandError: It was refused, or cut off.
        """
        waiting = httpx.Timeout(timeout, connect=CONNECT_TIMEOUT_SECONDS, write=SEND_TIMEOUT_SECONDS)
        with self._failures(timeout), self._http.stream("GET", path, timeout=waiting) as response:
            yield self._events(self._data(response, timeout))

    def _events(self, data: Iterator[bytes]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        waiting = bytearray()
        for piece in data:
            waiting += piece
            while (end := waiting.find(b"\n\n")) >= 0:
                event = _event(bytes(waiting[:end]))
                del waiting[: end + 2]
                if event is not None:
                    yield event
            if len(waiting) > MAX_ANSWER:
                raise self._alien()

    def _data(self, response: httpx.Response, timeout: float | None = None) -> Iterator[bytes]:
        """The body, once the request has succeeded."""
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response)
        return self._pieces(response, timeout)

    def _pieces(self, response: httpx.Response, timeout: float | None) -> Iterator[bytes]:
        with self._failures(timeout):
            yield from response.iter_bytes()

    def _object(self, response: httpx.Response, fine: Sequence[int]) -> Mapping[str, Any]:
        if response.status_code not in fine:
            raise self._refusal(response)
        answer = _json_object(response)
        if answer is None:
            raise self._alien()
        return answer

    def _alien(self) -> CommandError:
        return CommandError(f"{self._address.url} does not answer like an AwaazTwin server.")

    @contextmanager
    def _failures(self, timeout: float | None = None) -> Generator[None, None, None]:
        url = self._address.url
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            how = "Start one with: awaaztwin serve" if self._address.here else "Check --url and the network."
            raise CommandError(f"No server answers at {url}.", how) from error
        except httpx.TimeoutException as error:
            message = f"The server at {url} sent nothing for {timeout or self._timeout:g} s."
            raise SilenceError(message, "`awaaztwin engines` shows what it is busy with.") from error
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            message = f"The server at {url} closed the connection."
            raise CommandError(message, "Its log says why.") from error
        except UnicodeEncodeError as error:
            raise _no_text() from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CommandError(f"The request to {url} failed: {error}") from error

    def _refusal(self, response: httpx.Response) -> CommandError:
        status = response.status_code
        answer = _json_object(response) or {}
        error: object = answer.get("error")
        details = cast("Mapping[str, Any]", error if isinstance(error, dict) else {})
        message = details.get("message")
        if not isinstance(message, str) or not message:
            return CommandError(f"The server at {self._address.url} answered {status}.")
        return CommandError(message, self._hint(response, details.get("param"), details.get("code")))

    def _hint(self, response: httpx.Response, param: object, code: object) -> str | None:
        if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return "Pass a key with --api-key or AWAAZTWIN_API_KEY."
        if code == "unknown_url":
            return f"Is {self._address.url} an AwaazTwin server?"
        if wait := response.headers.get("retry-after"):
            return f"Try again in {wait} s."
        return HINTS.get(param) if isinstance(param, str) else None


def part(text: str) -> str:
    """A text as one segment of a path.

    Raises:
        CommandError: It contains lone surrogates.
    """
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise _no_text() from error


def _no_text() -> CommandError:
    return CommandError("An argument is not valid in this terminal's encoding.", status=USAGE)


def _json_object(response: httpx.Response) -> Mapping[str, Any] | None:
    """The object in the body, or ``None`` when there is none in its first :data:`MAX_ANSWER` bytes."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_ANSWER:
            return None
    return _parsed(bytes(body))


def _event(text: bytes) -> tuple[str, Mapping[str, Any]] | None:
    """The name and the object of an event, or ``None`` for a comment; lines end as our server ends them."""
    fields = {name: value for name, _, value in (line.partition(b": ") for line in text.split(b"\n"))}
    value = _parsed(fields.get(b"data", b""))
    return None if value is None else (fields.get(b"event", b"").decode("utf-8", "replace"), value)


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None
