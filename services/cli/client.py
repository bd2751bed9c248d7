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
"""Timeout of connecting in seconds."""

SEND_TIMEOUT_SECONDS: Final = 30.0
"""Timeout of sending in seconds, while the server does not read the request."""

ANSWER_TIMEOUT_SECONDS: Final = 15.0
"""Timeout in seconds of a response that needs no engine."""

MAX_ANSWER: Final = 16_777_216
"""Maximum size of a JSON response, or of one event, in bytes."""

GOOD: Final = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
"""Statuses of a successful change whose result is in the body."""

HINTS: Final[Mapping[str, str]] = {
    "voice": "`awaaztwin voices` lists the voices.",
    "language": "`awaaztwin voices` lists the languages of each voice.",
    "model": "`awaaztwin engines` lists the engines.",
}
"""Hints by the request field that causes an error."""


class SilenceError(CommandError):
    """The server sent nothing within the timeout."""


class Client:
    """A connection to one server; every failure is a :class:`~services.cli.console.CommandError`.

    Args:
        address: The server.
        timeout: Seconds to wait for the next bytes of a response.
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
        """Close the connection."""
        self._http.close()

    def get(
        self, path: str, params: Mapping[str, str] | None = None, *, fine: Sequence[int] = (HTTPStatus.OK,)
    ) -> Mapping[str, Any]:
        """Return the JSON object at ``path``.

        Args:
            path: Path from the server's root.
            params: Query parameters.
            fine: Accepted statuses.

        Raises:
            CommandError: The request failed.
        """
        with self._failures(), self._http.stream("GET", path, params=params) as response:
            return self._object(response, fine)

    def send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Mapping[str, Any]:
        """Send a change; return its result.

        Args:
            method: HTTP method, such as ``POST``.
            path: Path from the server's root.
            body: Body, sent as JSON.

        Raises:
            CommandError: The request failed.
        """
        with self._failures(), self._http.stream(method, path, json=body) as response:
            return self._object(response, GOOD)

    def delete(self, path: str) -> None:
        """Delete the resource at ``path``.

        Raises:
            CommandError: The request failed.
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
        """Send a form with files, which are streamed; return its result.

        Args:
            path: Path from the server's root.
            fields: Texts, or lists of texts.
            files: For each file, the field, the name and the open file.
            timeout: Seconds to wait for the response, which depends on the number of files.

        Raises:
            CommandError: The request failed.
        """
        waiting = httpx.Timeout(timeout, connect=CONNECT_TIMEOUT_SECONDS, write=SEND_TIMEOUT_SECONDS)
        with (
            self._failures(timeout),
            self._http.stream("POST", path, data=fields, files=files, timeout=waiting) as response,
        ):
            return self._object(response, GOOD)

    @contextmanager
    def speech(self, request: Mapping[str, object]) -> Generator[Iterator[bytes], None, None]:
        """Request speech; yield the audio as it arrives.

        Args:
            request: Body of ``POST /v1/audio/speech``.

        Raises:
            CommandError: The request failed, or the response was cut off.
        """
        with self._failures(), self._http.stream("POST", "/v1/audio/speech", json=request) as response:
            yield self._data(response)

    @contextmanager
    def download(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> Generator[Iterator[bytes], None, None]:
        """Download ``path``; yield the bytes as they arrive.

        Raises:
            CommandError: The request failed, or the response was cut off.
        """
        with self._failures(), self._http.stream("GET", path, params=params) as response:
            yield self._data(response)

    @contextmanager
    def events(
        self, path: str, *, timeout: float
    ) -> Generator[Iterator[tuple[str, Mapping[str, Any]]], None, None]:
        """Yield the server-sent events at ``path``, each as its name and its JSON object.

        Args:
            path: Path from the server's root.
            timeout: Seconds to wait for the next event.

        Raises:
            SilenceError: No event arrived in time.
            CommandError: The request failed, or the response was cut off.
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
        """Return the body of a successful response."""
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
    """Quote a text as one segment of a path.

    Raises:
        CommandError: The text contains lone surrogates.
    """
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise _no_text() from error


def _no_text() -> CommandError:
    return CommandError("An argument is not valid in this terminal's encoding.", status=USAGE)


def _json_object(response: httpx.Response) -> Mapping[str, Any] | None:
    """Return the JSON object in the body; ``None`` if it is invalid or longer than :data:`MAX_ANSWER`."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_ANSWER:
            return None
    return _parsed(bytes(body))


def _event(text: bytes) -> tuple[str, Mapping[str, Any]] | None:
    """Return the name and the object of an event; ``None`` for a comment. Lines must end with LF."""
    fields = {name: value for name, _, value in (line.partition(b": ") for line in text.split(b"\n"))}
    value = _parsed(fields.get(b"data", b""))
    return None if value is None else (fields.get(b"event", b"").decode("utf-8", "replace"), value)


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None
