"""A folder and S3 keep objects alike."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.config import ObjectStoreConfig
from storage.objects.choose import open_object_store
from storage.objects.contract import (
    ABANDONED_SECONDS,
    InvalidKey,
    InvalidRange,
    ObjectInfo,
    ObjectMissing,
    ObjectStore,
    ObjectsUnavailable,
    TooLarge,
)
from storage.objects.folder import PARTIAL, FolderStore
from storage.objects.keys import checked, org_prefix, output_key
from storage.objects.s3 import S3Store

from s3_server import S3Server, given_s3

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def s3() -> Generator[ObjectStoreConfig, None, None]:
    if (config := given_s3()) is not None:
        yield config
        return
    server = S3Server()
    server.start()
    yield server.config
    server.stop()


@pytest.fixture(params=["folder", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[ObjectStore, None]:
    if request.param == "folder":
        config = ObjectStoreConfig(path=tmp_path / "objects")
    else:
        config = request.getfixturevalue("s3")
    async with open_object_store(config) as store:
        yield store


@pytest.fixture
def prefix() -> str:
    return f"org/{uuid.uuid4().hex}/"


async def bytes_of(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def put(store: ObjectStore, key: str, *chunks: bytes, most: int = 100 * MIB) -> ObjectInfo:
    return await store.put(key, bytes_of(*chunks), content_type="audio/mpeg", max_bytes=most)


async def read(store: ObjectStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    reader = await store.open(key, start=start, end=end)
    data = b"".join([chunk async for chunk in reader.chunks])
    assert (reader.start, reader.length) == (start, len(data))
    return data


async def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [info.key async for info in store.list(prefix)]


async def test_what_is_put_is_read(store: ObjectStore, prefix: str):
    before = datetime.now(UTC)
    info = await put(store, f"{prefix}a.mp3", b"Hello, ", b"world")
    assert (info.key, info.size, info.content_type) == (f"{prefix}a.mp3", 12, "audio/mpeg")
    assert abs((info.modified - before).total_seconds()) < 60
    assert info.etag
    assert '"' not in info.etag
    found = await store.head(f"{prefix}a.mp3")
    assert (found.size, found.etag, found.content_type) == (12, info.etag, "audio/mpeg")
    assert await read(store, f"{prefix}a.mp3") == b"Hello, world"


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 5, b"Hello"), (7, None, b"world"), (7, 99, b"world"), (3, 4, b"l")]
)
async def test_a_range_is_read(store: ObjectStore, prefix: str, start: int, end: int | None, expected: bytes):
    await put(store, f"{prefix}a", b"Hello, world")
    assert await read(store, f"{prefix}a", start, end) == expected


async def test_a_range_beyond_the_end_is_refused(store: ObjectStore, prefix: str):
    await put(store, f"{prefix}a", b"Hello")
    with pytest.raises(InvalidRange) as caught:
        await store.open(f"{prefix}a", start=5)
    assert caught.value.size == 5


async def test_an_empty_object_is_one(store: ObjectStore, prefix: str):
    assert (await put(store, f"{prefix}empty")).size == 0
    assert await read(store, f"{prefix}empty") == b""


async def test_what_is_not_there(store: ObjectStore, prefix: str):
    for ask in (store.head(f"{prefix}none"), store.open(f"{prefix}none")):
        with pytest.raises(ObjectMissing):
            await ask
    await store.delete(f"{prefix}none")
    assert await keys(store, prefix) == []


async def test_a_new_object_takes_the_place_of_the_old(store: ObjectStore, prefix: str):
    first = await put(store, f"{prefix}a", b"old")
    second = await put(store, f"{prefix}a", b"newer")
    assert first.etag != second.etag
    assert await read(store, f"{prefix}a") == b"newer"
    assert await keys(store, prefix) == [f"{prefix}a"]
    await store.delete(f"{prefix}a")
    with pytest.raises(ObjectMissing):
        await store.head(f"{prefix}a")


async def test_a_large_object_goes_through_whole(store: ObjectStore, prefix: str):
    piece = bytes(range(256)) * 4 * 1024
    info = await put(store, f"{prefix}large", *[piece] * 19)
    assert info.size == 19 * MIB
    assert await read(store, f"{prefix}large") == piece * 19
    assert await read(store, f"{prefix}large", 9 * MIB - 1, 9 * MIB + 1) == b"\xff\x00"


async def test_too_many_bytes_leave_nothing(store: ObjectStore, prefix: str):
    await put(store, f"{prefix}a", b"old")
    with pytest.raises(TooLarge):
        await put(store, f"{prefix}a", *[bytes(MIB)] * 20, most=18 * MIB)
    assert await read(store, f"{prefix}a") == b"old"
    with pytest.raises(TooLarge):
        await put(store, f"{prefix}b", b"12345", most=4)
    assert await keys(store, prefix) == [f"{prefix}a"]


async def test_a_put_that_is_cancelled_leaves_nothing(store: ObjectStore, prefix: str, tmp_path: Path):
    started = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        while True:
            yield bytes(MIB)
            started.set()
            await asyncio.sleep(0)

    task = asyncio.create_task(
        store.put(f"{prefix}a", endless(), content_type="audio/mpeg", max_bytes=1_000 * MIB)
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await keys(store, prefix) == []
    assert not list(tmp_path.rglob(f"*{PARTIAL}"))


async def test_a_source_that_fails_leaves_nothing(store: ObjectStore, prefix: str):
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.put(f"{prefix}a", broken(), content_type="audio/mpeg", max_bytes=MIB)
    assert await keys(store, prefix) == []


async def test_many_at_once_on_one_key(store: ObjectStore, prefix: str):
    texts = [f"{index}" * 1_000 for index in range(8)]
    await asyncio.gather(*(put(store, f"{prefix}a", text.encode()) for text in texts))
    assert (await read(store, f"{prefix}a")).decode() in texts


async def test_a_reader_that_leaves_early_frees_everything(store: ObjectStore, prefix: str):
    await put(store, f"{prefix}a", bytes(2 * MIB))
    reader = await store.open(f"{prefix}a")
    async for _ in reader.chunks:
        break
    await reader.chunks.aclose()


async def test_a_list_is_in_order_and_of_its_prefix(store: ObjectStore, prefix: str):
    for name in ("b/2", "b/1", "a", "bb"):
        await put(store, f"{prefix}{name}", b"x")
    assert await keys(store, prefix) == [f"{prefix}{name}" for name in ("a", "b/1", "b/2", "bb")]
    assert await keys(store, f"{prefix}b/") == [f"{prefix}b/1", f"{prefix}b/2"]
    assert await keys(store, f"{prefix}none/") == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "a//b",
        "../a",
        "a/../b",
        "a/.hidden",
        "a\\b",
        "c:/a",
        "a\0b",
        "a\nb",
        "é",
        "a/",
        "x" * 600,
    ],
)
async def test_what_is_no_key_is_refused(store: ObjectStore, key: str):
    for ask in (store.head(key), store.open(key), store.delete(key), put(store, key, b"x")):
        with pytest.raises(InvalidKey):
            await ask


async def test_what_is_being_put_is_not_swept(store: ObjectStore, prefix: str):
    if isinstance(store, S3Store) and given_s3() is None:
        pytest.skip("moto says of every upload that it began in 2010")
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncGenerator[bytes, None]:
        yield bytes(9 * MIB)
        started.set()
        await go_on.wait()
        yield b"end"

    task = asyncio.create_task(
        store.put(f"{prefix}a", slow(), content_type="audio/mpeg", max_bytes=100 * MIB)
    )
    await started.wait()
    assert await store.sweep() == 0
    go_on.set()
    assert (await task).size == 9 * MIB + 3


@pytest.mark.skipif(given_s3() is not None, reason="only moto says of every upload that it began in 2010")
async def test_uploads_of_other_applications_are_not_swept(s3: ObjectStoreConfig, prefix: str):
    async with open_object_store(s3) as store:
        assert isinstance(store, S3Store)
        client, bucket = store._client, store._bucket
        for number in range(3):
            client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}{number}")
        theirs = client.create_multipart_upload(Bucket=bucket, Key="theirs/backup")
        assert await store.sweep() == 3
        left = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        assert [upload.get("UploadId") for upload in left] == [theirs["UploadId"]]


async def test_it_can_be_reached(store: ObjectStore):
    await store.ping()


async def test_the_event_loop_goes_on(store: ObjectStore, prefix: str):
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticker = asyncio.create_task(tick())
    await put(store, f"{prefix}a", *[bytes(MIB)] * 12)
    ticker.cancel()
    assert ticks > 20


async def test_s3_away_is_told_and_is_over_when_it_is_over():
    server = S3Server()
    server.start()
    try:
        store = S3Store(server.config)
        await put(store, "org/a/x", b"1")
        server.stop()
        for ask in (store.ping(), store.head("org/a/x"), put(store, "org/a/y", b"2")):
            with pytest.raises(ObjectsUnavailable):
                await ask
        server.start()
        await store.ping()
        await put(store, "org/a/y", b"2")
        await store.aclose()
    finally:
        server.stop()


async def test_a_bucket_that_is_not_there_is_told(s3: ObjectStoreConfig):
    async with open_object_store(s3.model_copy(update={"bucket": "nobodys-bucket"})) as store:
        for ask in (store.ping(), put(store, "org/a/x", b"1")):
            with pytest.raises(ObjectsUnavailable):
                await ask


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "objects").write_text("a file")
    store = FolderStore(tmp_path / "objects")
    for ask in (store.ping(), put(store, "org/a/x", b"1")):
        with pytest.raises(ObjectsUnavailable):
            await ask


async def test_a_file_that_is_no_object_is_told(tmp_path: Path):
    store = FolderStore(tmp_path)
    (tmp_path / "a").write_text("by hand")
    with pytest.raises(ObjectsUnavailable, match="not an object"):
        await store.head("a")


KILLED = """
import asyncio, sys
from pathlib import Path
from storage.objects.folder import FolderStore

async def endless():
    while True:
        yield bytes(65536)
        print("more", flush=True)

asyncio.run(FolderStore(Path(sys.argv[1])).put("org/a/x", endless(), content_type="a/b", max_bytes=10**9))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
async def test_a_crash_in_the_middle_leaves_no_object_and_is_swept(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    store = FolderStore(tmp_path)
    (left,) = tmp_path.rglob(f"*{PARTIAL}")
    assert await keys(store, "") == []
    assert await store.sweep() == 0
    old = time.time() - ABANDONED_SECONDS - 1
    os.utime(left, (old, old))
    assert await store.sweep() == 1
    assert not left.exists()


def test_keys_are_made_of_ids():
    at = datetime(2026, 3, 4, tzinfo=UTC)
    assert output_key("org_1", "audio_2", "mp3", at) == "org/org_1/outputs/2026/03/audio_2.mp3"
    assert org_prefix("org_1") == "org/org_1/"
    for bad in ("../x", "a/b/../c", "", "a/"):
        with pytest.raises(InvalidKey):
            org_prefix(bad)
        with pytest.raises(InvalidKey):
            checked(output_key("org_1", bad, "mp3", at))
