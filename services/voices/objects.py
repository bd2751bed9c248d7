"""Whole objects in memory: for those that are small enough."""

from collections.abc import AsyncGenerator

from storage.objects.contract import ObjectStore, TooLarge


async def read_object(objects: ObjectStore, key: str, *, most: int) -> bytes:
    """The bytes of an object.

    Raises:
        ObjectMissing: There is none.
        ObjectsUnavailable: The store is away.
        TooLarge: It has more than ``most`` bytes.
    """
    reader = await objects.open(key)
    try:
        if reader.length > most:
            raise TooLarge(most)
        return b"".join([chunk async for chunk in reader.chunks])
    finally:
        await reader.chunks.aclose()


async def single_chunk(data: bytes) -> AsyncGenerator[bytes, None]:
    """Bytes as the object store takes them."""
    yield data
