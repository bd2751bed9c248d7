"""Files of a model hub: Hugging Face's, or another with its protocol.

The hub's own library provides its address, its local cache and the token (``HF_ENDPOINT``, ``HF_HUB_CACHE``,
``HF_TOKEN``, ``HF_HUB_OFFLINE``). It does not resume another process's download, and waits long for an
unreachable hub; so :mod:`services.models.sources.download` fetches the bytes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import httpx

from services import __version__
from services.models.errors import SourceDownError, SourceError, reason_of
from services.models.folder import PIECE
from services.models.manifest import HubSource, ModelFile
from services.models.meter import Progress
from services.models.sources.download import Download, client, joined
from services.models.sources.wanted import Failures, Wanted
from services.models.staging import Staging


def fetch(source: HubSource, wanted: Sequence[Wanted], staging: Staging, meter: Progress) -> None:
    """Fetch the wanted files; interrupted downloads are resumed.

    Raises:
        SourceError: The source does not provide all of them.
        OSError: A file cannot be written.
    """
    meter.begin(f"the hub ({source.repo})", sum(item.file.size for item in wanted))
    failures = Failures()
    done = 0
    with ExitStack() as stack:
        repository = _Repository(source, staging, stack)
        for item in wanted:
            try:
                repository.get(item, meter, done)
            except SourceDownError:
                raise
            except SourceError as error:
                failures.add(error)
                if item.vital:
                    break
            done += item.file.size
            meter.at(done)
    failures.check()


class _Repository:
    """The repository of a source, in the local cache and on the hub."""

    def __init__(self, source: HubSource, staging: Staging, stack: ExitStack) -> None:
        self._source = source
        self._staging = staging
        self._stack = stack

    def get(self, item: Wanted, meter: Progress, before: int) -> None:
        """Fetch a file from the local cache or the hub.

        Raises:
            SourceError: The file is missing or differs.
            SourceDownError: The hub is unavailable.
        """
        # Installed with the extra `server`.
        from huggingface_hub import hf_hub_url, is_offline_mode  # noqa: PLC0415

        if self._cached(item.file, item.members):
            return
        if is_offline_mode():
            raise SourceError(
                "HF_HUB_OFFLINE is set, and the hub's cache on this machine lacks it",
                remedy="Unset HF_HUB_OFFLINE, or set HF_HUB_CACHE to a cache that has it.",
            )
        source, endpoint = self._source, _endpoint()
        urls = [hf_hub_url(source.repo, m, revision=source.revision, endpoint=endpoint) for m in item.members]
        if len(urls) > 1:
            # The parts' sizes are not known in advance, so such a file cannot be resumed.
            self._staging.put(item.file, joined(self._client, urls, _headers(), item.file))
            return
        part = self._staging.part(item.file)
        Download(self._client, urls[0], _headers(), item.file, part, self._staging).run(meter, before)

    @cached_property
    def _client(self) -> httpx.Client:
        """HTTP client, created on first use: with all files cached, an invalid proxy does not matter."""
        return self._stack.enter_context(client())

    def _cached(self, file: ModelFile, members: Sequence[str]) -> bool:
        """Take a file from the local cache; false if it is missing there or differs."""
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

        source = self._source
        found = [try_to_load_from_cache(source.repo, name, revision=source.revision) for name in members]
        paths = [Path(path) for path in found if isinstance(path, str)]
        if len(paths) < len(members):
            return False
        try:
            self._staging.put(file, _read(paths))
        except SourceError:
            return False
        return True


def _endpoint() -> str | None:
    endpoint = os.environ.get("HF_ENDPOINT") or None
    if endpoint is not None and not endpoint.lower().startswith(("https://", "http://")):
        remedy = f"Set HF_ENDPOINT to https://{endpoint}, if that is what you meant."
        raise SourceDownError(f"HF_ENDPOINT is '{endpoint}'; it must start with https://", remedy=remedy)
    return endpoint


def _headers() -> dict[str, str]:
    """Build the headers of a request. The library's own first cause a different request to the hub."""
    from huggingface_hub import constants, get_token  # noqa: PLC0415

    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    sender = {"authorization": f"Bearer {token}"} if token else {}
    return {"user-agent": f"awaaztwin/{__version__}", "accept-encoding": "identity", **sender}


def _read(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        except OSError as error:
            raise SourceError(reason_of(error)) from error
