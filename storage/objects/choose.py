"""Which object store the settings ask for."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from storage.config import ObjectStoreConfig
from storage.objects.contract import ObjectStore
from storage.objects.folder import FolderStore


@asynccontextmanager
async def open_object_store(config: ObjectStoreConfig) -> AsyncGenerator[ObjectStore, None]:
    """The store of the settings, closed at the end of the block."""
    if config.type == "folder":
        store: ObjectStore = FolderStore(config.path)
    else:
        # boto3 takes half a second to import, and memory; who keeps a folder needs neither.
        from storage.objects.s3 import S3Store  # noqa: PLC0415 - as above

        store = S3Store(config)
    try:
        yield store
    finally:
        await store.aclose()
