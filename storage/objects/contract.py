"""What an object store does, whichever it is."""

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from storage.errors import StorageError, StorageUnavailable

CHUNK: Final = 256 * 1024
"""Bytes that are read and sent at once."""


ABANDONED_SECONDS: Final = 86_400.0
"""Seconds after which a put that has not ended belongs to a process that died."""


MIN_FREE: Final = 100_000_000
"""Bytes of disk below which a store in a folder takes nothing more: the rest of the machine needs them."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object without its bytes.

    Attributes:
        key: Its name.
        size: Bytes.
        etag: Changes when the bytes do; without quotes.
        content_type: As it was put.
        modified: When it was put.
    """

    key: str
    size: int
    etag: str
    content_type: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """An object being read.

    Attributes:
        info: The whole object's.
        start: The first byte that is read.
        length: Bytes that are read.
        chunks: The bytes in order; closing it frees everything.
    """

    info: ObjectInfo
    start: int
    length: int
    chunks: AsyncGenerator[bytes, None]


class ObjectMissing(StorageError):  # noqa: N818 - named for the cause
    """There is no such object."""


class InvalidKey(StorageError):  # noqa: N818 - named for the cause
    """That cannot be an object's name."""


class InvalidRange(StorageError):  # noqa: N818 - named for the cause
    """The range begins after the object's end.

    Args:
        size: Of the object.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the object has {size} bytes")
        self.size = size


class TooLarge(StorageError):  # noqa: N818 - named for the cause
    """What was to be put is larger than was allowed; nothing was kept.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class ObjectsUnavailable(StorageUnavailable):
    """The store is away for now.

    Args:
        reason: For the operator.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("object store", reason)


class ObjectStore(Protocol):
    """Keeps objects by key. No call blocks the event loop, and each may raise ``ObjectsUnavailable``."""

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, content_type: str, max_bytes: int
    ) -> ObjectInfo:
        """Keep an object, all or nothing: readers see the old one or the new one, never a part.

        A put that fails or is cancelled leaves nothing behind.

        Args:
            key: Its name; see :mod:`storage.objects.keys`.
            data: Its bytes, of which few are in memory at once.
            content_type: Media type.
            max_bytes: The most it may have.

        Raises:
            InvalidKey: That is no name.
            TooLarge: There are more bytes.
        """
        ...

    async def head(self, key: str) -> ObjectInfo:
        """An object without its bytes.

        Raises:
            ObjectMissing: There is none.
        """
        ...

    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> ObjectReader:
        """Read an object, or the bytes from ``start`` up to but not including ``end``.

        Raises:
            ObjectMissing: There is none.
            InvalidRange: It begins after the end.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        """The objects whose keys begin with ``prefix``, in the order of their keys."""
        ...

    async def sweep(self) -> int:
        """Remove what puts of processes that died left behind; gives how many."""
        ...

    async def ping(self) -> None:
        """Ask whether it can be used.

        Raises:
            ObjectsUnavailable: It cannot; with the reason.
        """
        ...

    async def aclose(self) -> None:
        """Free everything."""
        ...
