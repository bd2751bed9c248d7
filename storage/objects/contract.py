"""The interface of the object stores, and its errors."""

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from storage.errors import StorageError, StorageUnavailable

CHUNK: Final = 256 * 1024
"""Maximum number of bytes that are read and sent at once."""


ABANDONED_SECONDS: Final = 86_400.0
"""Seconds after which an unfinished put is considered abandoned by a process that died."""


MIN_FREE: Final = 100_000_000
"""Free disk space in bytes below which a folder store is unavailable: the machine needs the rest."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Metadata of an object.

    Attributes:
        key: Name of the object.
        size: Size in bytes.
        etag: Identifier of the content, without quotes; changes with it.
        content_type: Media type that it was stored with.
        modified: Time at which it was stored.
    """

    key: str
    size: int
    etag: str
    content_type: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """An object, or a range of one, open for reading.

    Attributes:
        info: Metadata of the whole object.
        start: Index of the first byte that is read.
        length: Number of bytes that are read.
        chunks: The bytes, in order; close it to free all resources.
    """

    info: ObjectInfo
    start: int
    length: int
    chunks: AsyncGenerator[bytes, None]


class ObjectMissing(StorageError):  # noqa: N818 - named for the cause
    """The object does not exist."""


class InvalidKey(StorageError):  # noqa: N818 - named for the cause
    """The key is not a valid object name."""


class InvalidRange(StorageError):  # noqa: N818 - named for the cause
    """The range starts after the end of the object.

    Args:
        size: Size of the object in bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the object has {size} bytes")
        self.size = size


class TooLarge(StorageError):  # noqa: N818 - named for the cause
    """The data is larger than allowed; nothing was stored.

    Args:
        limit: Maximum size in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class ObjectsUnavailable(StorageUnavailable):
    """The object store is temporarily unavailable.

    Args:
        reason: Reason for the operator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("object store", reason)


class ObjectStore(Protocol):
    """Stores objects by key. No method blocks the event loop, and each can raise ``ObjectsUnavailable``."""

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, content_type: str, max_bytes: int
    ) -> ObjectInfo:
        """Store an object atomically: readers see the old or the new one, never a part.

        A put that fails or is cancelled leaves nothing behind.

        Args:
            key: Name of the object; see :mod:`storage.objects.keys`.
            data: Its bytes, which are streamed.
            content_type: Media type.
            max_bytes: Maximum size.

        Raises:
            InvalidKey: The key is invalid.
            TooLarge: The data is larger than ``max_bytes``.
        """
        ...

    async def head(self, key: str) -> ObjectInfo:
        """Return an object's metadata.

        Raises:
            ObjectMissing: The object does not exist.
        """
        ...

    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> ObjectReader:
        """Open an object for reading, or its bytes from ``start`` up to but not including ``end``.

        Raises:
            ObjectMissing: The object does not exist.
            InvalidRange: ``start`` is after the end of the object.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; does nothing if it does not exist."""
        ...

    def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        """Yield the objects whose keys start with ``prefix``, sorted by key."""
        ...

    async def sweep(self) -> int:
        """Remove unfinished puts of processes that died; return their number."""
        ...

    async def ping(self) -> None:
        """Check that the store can be used.

        Raises:
            ObjectsUnavailable: It cannot be used; with the reason.
        """
        ...

    async def aclose(self) -> None:
        """Free all resources."""
        ...
