"""Files of a model hub: Hugging Face's, or one that speaks its protocol.

The hub's own library says where it is, what is in its cache on this machine, who asks (``HF_ENDPOINT``,
``HF_HUB_CACHE``, ``HF_TOKEN``, ``HF_HUB_OFFLINE``). It does not resume a download that another process began,
and waits long for a hub that is out of reach: so the bytes are fetched here.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from services.models.errors import SourceError, reason_of
from services.models.folder import PIECE
from services.models.manifest import HubSource, ModelFile
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


def fetch(
    source: HubSource,
    wanted: Mapping[str, tuple[ModelFile, Sequence[str]]],
    staging: Staging,
    meter: Meter,
) -> None:
    """Put what the source has of ``wanted``; a download that was cut off goes on where it was.

    Raises:
        SourceError: It does not give it.
        OSError: The disk does not take it.
    """
    # In the extra `server`.
    from huggingface_hub import hf_hub_url, is_offline_mode, try_to_load_from_cache  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers  # noqa: PLC0415  # pyright: ignore[reportUnknownVariableType]

    meter.begin(f"the hub ({source.repo})", sum(file.size for file, _ in wanted.values()))
    endpoint = _endpoint()
    done = 0
    with _client() as client:
        for file, (member, *_) in wanted.values():
            cached = try_to_load_from_cache(source.repo, member, revision=source.revision)
            if isinstance(cached, str) and Path(cached).stat().st_size == file.size:
                staging.put(file, _read(Path(cached)))
            elif is_offline_mode():
                raise SourceError("HF_HUB_OFFLINE is set, and the hub's cache here lacks it")
            else:
                url = hf_hub_url(source.repo, member, revision=source.revision, endpoint=endpoint)
                headers = {**build_hf_headers(library_name="awaaztwin"), "accept-encoding": "identity"}
                _Download(client, url, headers, file, staging.part(file), staging).run(meter, done)
            done += file.size
            meter.at(done)


def _endpoint() -> str | None:
    endpoint = os.environ.get("HF_ENDPOINT") or None
    if endpoint is not None and not endpoint.lower().startswith(("https://", "http://")):
        raise SourceError(f"HF_ENDPOINT is '{endpoint}'; it has to begin with https://")
    return endpoint


def _client() -> httpx.Client:
    timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    try:
        return httpx.Client(timeout=timeout, follow_redirects=True)
    except Exception as error:
        # httpx reads the environment's proxies and certificates, and raises whatever these make it raise.
        variables = "ALL_PROXY, HTTPS_PROXY, SSL_CERT_FILE or SSL_CERT_DIR"
        raise SourceError(f"{variables} cannot be used ({reason_of(error)})") from error


class _Download:
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
                    raise SourceError(_told(error)) from error
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
            raise SourceError("HF_TOKEN has characters beyond ASCII, which no token has") from error
        with closing(self._client.send(request, stream=True)) as answer:
            if answer.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise SourceError(_refusal(answer.status_code))
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


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


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


def _refusal(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return f"it answers {status}: set HF_TOKEN to a token that may read it"
        case HTTPStatus.NOT_FOUND:
            return "it has no such file at that revision"
        case _:
            return f"it answers {status}"
