"""Downloading one file of a hub; one that was cut off goes on where it was."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from services.models.errors import SourceDownError, SourceError, reason_of
from services.models.manifest import ModelFile
from services.models.meter import Meter
from services.models.staging import Staging, bounded, writing

CONNECT_TIMEOUT: Final = 5.0
"""Seconds to reach the hub: where a firewall is in the way, another source is tried soon."""

READ_TIMEOUT: Final = 30.0
"""Seconds to wait for the next bytes."""

TRIES: Final = 4
"""Of a download that is cut off, as long as each brings something."""

PAUSE: Final = 1.0
"""Seconds between two tries."""


def client() -> httpx.Client:
    """What files are downloaded with.

    Raises:
        SourceDownError: The environment's proxy or certificates cannot be used.
    """
    timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    try:
        return httpx.Client(timeout=timeout, follow_redirects=True)
    except Exception as error:
        # httpx reads the environment, and raises whatever its values make it raise.
        variables = "ALL_PROXY, HTTPS_PROXY, SSL_CERT_FILE or SSL_CERT_DIR"
        raise SourceDownError(f"{variables} cannot be used ({reason_of(error)})") from error


class Download:
    """One file."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        headers: Mapping[str, str],
        file: ModelFile,
        part: Path,
        staging: Staging,
    ) -> None:
        self._client = client
        self._url = url
        self._headers = headers
        self._file = file
        self._part = part
        self._staging = staging

    def run(self, meter: Meter, before: int) -> None:
        """Fetch it, in as many tries as it takes.

        Args:
            meter: Told how far it is.
            before: Bytes of the files before it.

        Raises:
            SourceError: It does not come; what came stays for the next time.
        """
        for attempt in range(TRIES):
            size = self._size()
            try:
                for _ in self._append():
                    meter.at(before + self._size())
            except (httpx.RequestError, httpx.InvalidURL) as error:
                stuck = self._size() == size or attempt == TRIES - 1
                if stuck or isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
                    raise SourceDownError(_told(error)) from error
                time.sleep(PAUSE)
            else:
                break
        with self._part.open("rb") as part:
            digest = hashlib.file_digest(part, "sha256").hexdigest()
        try:
            self._staging.check(self._file, self._size(), digest)
        except SourceError:
            self._part.unlink()
            raise
        self._staging.accept(self._file)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _append(self) -> Iterator[None]:
        """Write what is not there yet; a step for each piece."""
        size = self._size()
        if size >= self._file.size:
            return
        headers = {**self._headers, "range": f"bytes={size}-"} if size else self._headers
        try:
            request = self._client.build_request("GET", self._url, headers=headers)
        except UnicodeEncodeError as error:
            raise SourceDownError("HF_TOKEN has characters beyond ASCII, which no token has") from error
        with closing(self._client.send(request, stream=True)) as answer:
            if answer.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise _refusal(answer.status_code, self._file.path)
            rest = answer.status_code == HTTPStatus.PARTIAL_CONTENT
            size = size if rest else 0
            length = answer.headers.get("content-length")
            if length is not None and length != str(self._file.size - size):
                raise SourceError(f"{self._file.path} is another file there ({size + int(length):,} bytes)")
            with self._part.open("ab" if rest else "wb") as part:
                for piece in bounded(answer.iter_raw(), self._file, size):
                    with writing(self._part):
                        part.write(piece)
                    yield
                with writing(self._part):
                    part.flush()


def _told(error: Exception) -> str:
    if isinstance(error, httpx.TooManyRedirects):
        return "it redirects in a loop"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return f"its address cannot be used ({error})"
    if isinstance(error, httpx.LocalProtocolError):
        # What the error says may hold the token.
        return "the request cannot be sent: HF_TOKEN may have characters that no token has"
    if isinstance(error, httpx.ConnectTimeout):
        return f"it cannot be reached within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, httpx.ConnectError):
        return f"it cannot be reached ({error})"
    return f"the connection was cut ({error or type(error).__name__})"


def _refusal(status: int, path: str) -> SourceError:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return SourceDownError(f"it answers {status}: set HF_TOKEN to a token that may read it")
        case HTTPStatus.FORBIDDEN:
            return SourceError(f"it answers {status}: set HF_TOKEN to a token that may read it")
        case HTTPStatus.NOT_FOUND:
            return SourceError(f"it has no file for {path} at that revision")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return SourceDownError(f"it answers {status}, too many requests")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return SourceDownError(f"it answers {status}")
        case _:
            return SourceError(f"it answers {status} for {path}")
