"""Download of one file from a hub; an interrupted download is resumed."""

import hashlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from services.models.errors import SourceDownError, SourceError, WrongError, reason_of
from services.models.manifest import ModelFile
from services.models.meter import Progress
from services.models.staging import Staging, bounded, writing

CONNECT_TIMEOUT_SECONDS: Final = 5.0
"""Timeout per address of the hub, in seconds; short, so that behind a firewall another source is tried."""

READ_TIMEOUT_SECONDS: Final = 30.0
"""Timeout for receiving the next bytes, in seconds."""

IDLE_TRIES: Final = 2
"""Number of consecutive tries without progress after which a download is given up."""

MAX_TRIES: Final = 100
"""Maximum number of tries, even with progress."""

_RIGHTS: Final = "Set HF_TOKEN to a token that may read the repository."

RETRY_SECONDS: Final = 1.0
"""Delay before a retry, in seconds."""


def client() -> httpx.Client:
    """Create the HTTP client for downloads.

    Raises:
        SourceDownError: The environment's proxy or certificates cannot be used.
    """
    timeout = httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    try:
        return httpx.Client(timeout=timeout, follow_redirects=True)
    except Exception as error:
        # httpx reads the environment, whose values can cause any exception.
        variables = "ALL_PROXY, HTTPS_PROXY, SSL_CERT_FILE or SSL_CERT_DIR"
        remedy = "Correct or unset that variable."
        raise SourceDownError(f"{variables} cannot be used ({reason_of(error)})", remedy=remedy) from error


class Download:
    """The download of one file."""

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
        self._resumed = False

    def run(self, meter: Progress, before: int) -> None:
        """Download the file, with retries.

        Args:
            meter: Shows the progress.
            before: Total size of the files downloaded before, in bytes.

        Raises:
            SourceError: The download failed; the received bytes are kept for the next pull.
        """
        try:
            self._complete(meter, before)
        except WrongError:
            if not self._resumed:
                raise
            # The resumed beginning may belong to another file or response.
            self._complete(meter, before)
        self._staging.accept(self._file)

    def _complete(self, meter: Progress, before: int) -> None:
        """Download the missing bytes and verify the file; an incorrect file is removed."""
        try:
            self._bring(meter, before)
            with self._part.open("rb") as part:
                digest = hashlib.file_digest(part, "sha256").hexdigest()
            self._staging.check(self._file, self._size(), digest)
        except WrongError:
            self._part.unlink(missing_ok=True)
            raise

    def _bring(self, meter: Progress, before: int) -> None:
        brought, idle = False, 0
        for _ in range(MAX_TRIES):
            size = self._size()
            try:
                for _ in self._append():
                    meter.at(before + self._size())
            except (httpx.RequestError, httpx.InvalidURL) as error:
                more = self._size() > size
                brought, idle = brought or more, 0 if more else idle + 1
                if idle == IDLE_TRIES or not _may_pass(error, brought):
                    raise SourceDownError(_told(error)) from error
                time.sleep(RETRY_SECONDS)
            else:
                return
        raise SourceDownError(f"the connection was cut {MAX_TRIES} times")

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _append(self) -> Iterator[None]:
        """Request and write the missing bytes; yields after each chunk."""
        size = self._size()
        self._resumed = size > 0
        if size >= self._file.size:
            return
        headers = {**self._headers, "range": f"bytes={size}-"} if size else self._headers
        with _answer(self._client, self._url, headers, self._file) as answer:
            rest = self._resumed = answer.status_code == HTTPStatus.PARTIAL_CONTENT
            size = size if rest else 0
            length = answer.headers.get("content-length")
            if length is not None and length != str(self._file.size - size):
                raise WrongError(f"{self._file.path} differs there ({size + int(length):,} bytes)")
            with self._part.open("ab" if rest else "wb") as part:
                for piece in bounded(answer.iter_raw(), self._file, size):
                    with writing(self._part):
                        part.write(piece)
                    yield
                with writing(self._part):
                    part.flush()


def joined(
    client: httpx.Client, urls: Sequence[str], headers: Mapping[str, str], file: ModelFile
) -> Iterator[bytes]:
    """Yield the contents of a file that the hub has in parts, in order.

    Raises:
        SourceError: A part cannot be downloaded.
    """
    try:
        for url in urls:
            with _answer(client, url, headers, file) as answer:
                yield from answer.iter_raw()
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise SourceDownError(_told(error)) from error


@contextmanager
def _answer(
    client: httpx.Client, url: str, headers: Mapping[str, str], file: ModelFile
) -> Generator[httpx.Response, None, None]:
    try:
        request = client.build_request("GET", url, headers=headers)
    except UnicodeEncodeError as error:
        raise SourceDownError(
            "HF_TOKEN is not a valid token: it contains characters beyond ASCII", remedy=_RIGHTS
        ) from error
    with closing(client.send(request, stream=True)) as answer:
        if answer.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise _refusal(answer.status_code, file.path)
        yield answer


def _may_pass(error: Exception, brought: bool) -> bool:
    """Whether a retry may help; a hub that was never reached is not retried."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return brought
    return isinstance(error, httpx.NetworkError | httpx.TimeoutException | httpx.RemoteProtocolError)


def _told(error: Exception) -> str:
    if isinstance(error, httpx.TooManyRedirects):
        return "it redirects in a loop"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return f"its address cannot be used ({error})"
    if isinstance(error, httpx.LocalProtocolError):
        # The error's message may contain the token.
        return "the request cannot be sent: HF_TOKEN may contain invalid characters"
    if isinstance(error, httpx.ConnectTimeout):
        return f"it cannot be reached (no connection within {CONNECT_TIMEOUT_SECONDS:g} s)"
    if isinstance(error, httpx.ConnectError):
        return f"it cannot be reached ({error})"
    return f"the connection was cut ({error or type(error).__name__})"


def _refusal(status: int, path: str) -> SourceError:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return SourceDownError(
                f"it answered {status} without an HF_TOKEN that may read it", remedy=_RIGHTS
            )
        case HTTPStatus.FORBIDDEN:
            return SourceError(f"it answered {status} without an HF_TOKEN that may read it", remedy=_RIGHTS)
        case HTTPStatus.NOT_FOUND:
            return SourceError(f"it has no file for {path} at that revision")
        case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return WrongError(f"{path} differs there")
        case _ if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return SourceDownError(f"it answered {status}")
        case _:
            return SourceError(f"it answered {status} for {path}")
