"""An object store in a folder.

An object is one file: its metadata as JSON in the first kilobyte, then its bytes. The file is written under
a temporary name, flushed to disk and renamed, so that a crash never leaves a partial object or bytes without
metadata.
"""

import asyncio
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, ParamSpec, TypeVar

from storage.errors import scarce
from storage.objects.contract import (
    ABANDONED_SECONDS,
    CHUNK,
    MIN_FREE,
    InvalidRange,
    ObjectInfo,
    ObjectMissing,
    ObjectReader,
    ObjectsUnavailable,
    TooLarge,
)
from storage.objects.keys import checked
from storage.private import make_private_folder, private_opener
from storage.transactions import refuse_while_writing

P = ParamSpec("P")
T = TypeVar("T")

PARTIAL: Final = ".partial"
"""Suffix of files that are being written."""

AT_ONCE: Final = 16
"""Maximum number of concurrent disk operations per process."""

SETTING: Final = "storage.object_store.path"

HEAD: Final = 1_024
"""Size in bytes of the head with the metadata, padded with spaces."""


class FolderStore:
    """Stores objects in a folder.

    Args:
        root: The folder; created when it is first needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._turns = asyncio.Semaphore(AT_ONCE)
        # A separate pool, so that a slow disk delays nothing else.
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="objects")

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, content_type: str, max_bytes: int
    ) -> ObjectInfo:
        """See :meth:`storage.objects.contract.ObjectStore.put`."""
        path = self._path(key)
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
        digest, size = hashlib.sha256(), 0
        try:
            file = await self._run(_create, partial)
            try:
                async for chunk in data:
                    size += len(chunk)
                    if size > max_bytes:
                        raise TooLarge(max_bytes)
                    digest.update(chunk)
                    await self._run(file.write, chunk)
                info = ObjectInfo(key, size, digest.hexdigest()[:32], content_type, datetime.now(UTC))
                await self._run(_finish, file, info)
            finally:
                await asyncio.shield(self._run(file.close))
            await self._run(_place, partial, path)
        finally:
            await asyncio.shield(self._run(_remove, partial))
        return info

    async def head(self, key: str) -> ObjectInfo:
        """See :meth:`storage.objects.contract.ObjectStore.head`."""
        file, info = await self._run(_open, self._path(key), key)
        await self._run(file.close)
        return info

    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> ObjectReader:
        """See :meth:`storage.objects.contract.ObjectStore.open`."""
        file, info = await self._run(_open, self._path(key), key)
        stop = info.size if end is None else min(end, info.size)
        if start > info.size or (start == info.size and start > 0):
            await self._run(file.close)
            raise InvalidRange(info.size)
        length = max(0, stop - start)
        return ObjectReader(info, start, length, self._chunks(file, start, length))

    async def delete(self, key: str) -> None:
        """See :meth:`storage.objects.contract.ObjectStore.delete`."""
        await self._run(_remove, self._path(key))

    async def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        """See :meth:`storage.objects.contract.ObjectStore.list`."""
        for key in await self._run(lambda: sorted(self._keys(prefix))):
            with suppress(ObjectMissing):
                yield await self.head(key)

    async def ping(self) -> None:
        """See :meth:`storage.objects.contract.ObjectStore.ping`."""
        await self._run(_try_out, self._root)

    async def sweep(self) -> int:
        """See :meth:`storage.objects.contract.ObjectStore.sweep`."""
        return await self._run(_sweep, self._root, time.time() - ABANDONED_SECONDS)

    async def aclose(self) -> None:
        """Shut the thread pool down without waiting for running operations."""
        self._pool.shutdown(wait=False)

    async def _chunks(self, file: BinaryIO, start: int, length: int) -> AsyncGenerator[bytes, None]:
        try:
            await self._run(file.seek, start, os.SEEK_CUR)
            left = length
            while left > 0:
                chunk = await self._run(file.read, min(CHUNK, left))
                if not chunk:
                    raise ObjectsUnavailable("an object is shorter than declared")
                left -= len(chunk)
                yield chunk
        finally:
            file.close()

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    def _keys(self, prefix: str) -> Iterator[str]:
        # Walk the deepest folder that the prefix names; the rest of the prefix filters the names.
        top = self._root / prefix.rpartition("/")[0]
        for folder, _, names in os.walk(top):
            for name in names:
                key = (Path(folder) / name).relative_to(self._root).as_posix()
                if not name.endswith(PARTIAL) and key.startswith(prefix):
                    yield key

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        refuse_while_writing("the object store is used")
        async with self._turns:
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))
            except OSError as error:
                raise ObjectsUnavailable(error.strerror or type(error).__name__) from error


def _create(path: Path) -> BinaryIO:
    make_private_folder(path.parent)
    file = open(path, "xb", opener=private_opener)  # noqa: SIM115 - the caller closes it
    file.write(b" " * HEAD)
    return file


def _finish(file: BinaryIO, info: ObjectInfo) -> None:
    """Write the metadata into the head, and flush the file to disk."""
    head = {
        "size": info.size,
        "etag": info.etag,
        "content_type": info.content_type,
        "modified": info.modified.isoformat(),
    }
    file.seek(0)
    file.write(json.dumps(head).encode().ljust(HEAD - 1) + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _place(partial: Path, path: Path) -> None:
    partial.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows cannot, and keeps its directories consistent itself
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, key: str) -> tuple[BinaryIO, ObjectInfo]:
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise ObjectMissing(key) from error
    try:
        head = json.loads(file.read(HEAD))
        info = ObjectInfo(
            key,
            int(head["size"]),
            str(head["etag"]),
            str(head["content_type"]),
            datetime.fromisoformat(head["modified"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        file.close()
        raise ObjectsUnavailable(f"a file in its folder is not an object: {key}") from error
    return file, info


def _remove(*paths: Path) -> None:
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _try_out(root: Path) -> None:
    path = root / f"ping.{uuid.uuid4().hex}{PARTIAL}"
    try:
        try:
            _create(path).close()
        finally:
            path.unlink(missing_ok=True)
        free = shutil.disk_usage(root).free
    except OSError as error:
        raise ObjectsUnavailable(f"{root} ({SETTING}) cannot be written: {error.strerror}") from error
    if free < MIN_FREE:
        raise ObjectsUnavailable(scarce(SETTING, root, free, MIN_FREE))


def _sweep(root: Path, before: float) -> int:
    swept = 0
    for path in root.rglob(f"*{PARTIAL}"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()
                swept += 1
    return swept
