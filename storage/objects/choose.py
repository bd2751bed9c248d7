"""Opening the configured object store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from storage.config import ObjectStoreConfig
from storage.objects.contract import ObjectStore
from storage.objects.folder import FolderStore


@asynccontextmanager
async def open_object_store(config: ObjectStoreConfig) -> AsyncGenerator[ObjectStore, None]:
    """Open the configured object store; it is closed at the end of the block."""
    if config.type == "folder":
        store: ObjectStore = FolderStore(config.path)
    else:
        # Importing boto3 takes half a second, and memory; a folder does not need it.
        from storage.objects.s3 import S3Store  # noqa: PLC0415 - as above

        store = S3Store(config)
    try:
        yield store
    finally:
        await store.aclose()
