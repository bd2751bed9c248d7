"""Reading and writing small objects as a whole."""

from collections.abc import AsyncGenerator

from storage.objects.contract import ObjectStore, TooLarge


async def read_object(objects: ObjectStore, key: str, *, most: int) -> bytes:
    """Return the bytes of an object.

    Args:
        objects: The object store.
        key: Key of the object.
        most: Maximum size in bytes.

    Raises:
        ObjectMissing: There is no such object.
        ObjectsUnavailable: The store is unavailable.
        TooLarge: The object has more than ``most`` bytes.
    """
    reader = await objects.open(key)
    try:
        if reader.length > most:
            raise TooLarge(most)
        return b"".join([chunk async for chunk in reader.chunks])
    finally:
        await reader.chunks.aclose()


async def single_chunk(data: bytes) -> AsyncGenerator[bytes, None]:
    """Yield all bytes as one chunk, for :meth:`ObjectStore.put`."""
    yield data
