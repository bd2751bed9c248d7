"""An object store in Amazon S3, MinIO or a compatible service, through boto3.

boto3 blocks, so every call runs in the store's own thread pool. Large objects are uploaded in parts, of which
one is in memory at a time; an upload that fails or is cancelled is aborted.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from storage.config import ObjectStoreConfig
from storage.objects.contract import (
    ABANDONED_SECONDS,
    CHUNK,
    InvalidRange,
    ObjectInfo,
    ObjectMissing,
    ObjectReader,
    ObjectsUnavailable,
    TooLarge,
)
from storage.objects.keys import ORGS_PREFIX, checked
from storage.transactions import refuse_while_writing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 16

PART: Final = 8 * 1024 * 1024
"""Size of an uploaded part in bytes; S3 requires at least 5 MiB, except for the last part."""

CONNECT_TIMEOUT: Final = 3.0
READ_TIMEOUT: Final = 20.0

ATTEMPTS: Final = 3

MISSING: Final = {"404", "NoSuchKey", "NotFound"}


class S3Store:
    """Stores objects in a bucket.

    Args:
        config: The settings; ``bucket`` must be set.
        part: Size of an uploaded part in bytes.
    """

    def __init__(self, config: ObjectStoreConfig, *, part: int = PART) -> None:
        self._bucket = config.bucket or ""
        self._part = part
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        own = config.access_key is not None and config.secret_key is not None
        self._client: S3Client = boto3.client(  # pyright: ignore[reportUnknownMemberType] - typed for all of Amazon's services
            "s3",
            endpoint_url=config.endpoint_url,
            region_name=config.region or ("us-east-1" if config.endpoint_url else None),
            aws_access_key_id=config.access_key.get_secret_value() if config.access_key and own else None,
            aws_secret_access_key=config.secret_key.get_secret_value() if config.secret_key and own else None,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=THREADS,
                signature_version="s3v4",
                # Services other than Amazon's lack a host per bucket, and some checksums.
                s3={"addressing_style": "path" if config.endpoint_url else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, content_type: str, max_bytes: int
    ) -> ObjectInfo:
        """See :meth:`storage.objects.contract.ObjectStore.put`."""
        name = checked(key)
        buffer, size = bytearray(), 0
        upload: _Upload | None = None
        try:
            async for chunk in data:
                size += len(chunk)
                if size > max_bytes:
                    raise TooLarge(max_bytes)  # noqa: TRY301 - the handler aborts and raises it again
                buffer += chunk
                while len(buffer) >= self._part:
                    if upload is None:
                        upload = await self._run(self._begin, name, content_type)
                    await self._run(self._add, upload, bytes(buffer[: self._part]))
                    del buffer[: self._part]
            if upload is None:
                await self._run(self._put_whole, name, bytes(buffer), content_type)
            else:
                if buffer:
                    await self._run(self._add, upload, bytes(buffer))
                await self._run(self._complete, upload)
        except BaseException:
            if upload is not None:
                await asyncio.shield(self._run(self._abort, upload))
            raise
        return await self.head(key)

    async def head(self, key: str) -> ObjectInfo:
        """See :meth:`storage.objects.contract.ObjectStore.head`."""
        return await self._run(self._head, checked(key))

    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> ObjectReader:
        """See :meth:`storage.objects.contract.ObjectStore.open`."""
        info = await self.head(key)
        if start > info.size or (start == info.size and start > 0):
            raise InvalidRange(info.size)
        stop = info.size if end is None else min(end, info.size)
        length = max(0, stop - start)
        body = await self._run(self._get, info, start, length) if length else None
        return ObjectReader(info, start, length, self._chunks(body))

    async def delete(self, key: str) -> None:
        """See :meth:`storage.objects.contract.ObjectStore.delete`."""
        await self._run(self._client.delete_object, Bucket=self._bucket, Key=checked(key))

    async def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        """See :meth:`storage.objects.contract.ObjectStore.list`; without media types."""
        token: str | None = None
        while True:
            page = await self._run(self._page, prefix, token)
            for entry in page.get("Contents", []):
                yield ObjectInfo(
                    entry["Key"], entry["Size"], entry["ETag"].strip('"'), "", entry["LastModified"]
                )
            token = page.get("NextContinuationToken")
            if token is None:
                return

    async def sweep(self) -> int:
        """See :meth:`storage.objects.contract.ObjectStore.sweep`."""
        return await self._run(self._abort_old)

    async def ping(self) -> None:
        """See :meth:`storage.objects.contract.ObjectStore.ping`."""
        await self._run(self._client.head_bucket, Bucket=self._bucket)

    async def aclose(self) -> None:
        """Close the connections and end the threads."""
        await asyncio.to_thread(self._pool.shutdown)
        self._client.close()

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        refuse_while_writing("the object store is used")
        loop = asyncio.get_running_loop()
        try:
            # In the caller's context, so that log records of boto3 and urllib3 belong to its request.
            return await loop.run_in_executor(self._pool, copy_context().run, lambda: work(*args, **kwargs))
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in MISSING and "Key" in kwargs:
                raise ObjectMissing(str(kwargs["Key"])) from error
            raise ObjectsUnavailable(f"it answered {code or 'an error'}") from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise ObjectsUnavailable(type(error).__name__) from error
        except RuntimeError as error:
            # The pool has been shut down.
            raise ObjectsUnavailable("it is closed") from error

    def _head(self, key: str) -> ObjectInfo:
        try:
            told = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code", "")) in MISSING:
                raise ObjectMissing(key) from error
            raise
        return ObjectInfo(
            key,
            told["ContentLength"],
            told["ETag"].strip('"'),
            told.get("ContentType", "application/octet-stream"),
            told["LastModified"],
        )

    def _get(self, info: ObjectInfo, start: int, length: int) -> Any:  # noqa: ANN401 - botocore's stream
        # An error if the object has been replaced since its metadata was read.
        answer = self._client.get_object(
            Bucket=self._bucket,
            Key=info.key,
            Range=f"bytes={start}-{start + length - 1}",
            IfMatch=f'"{info.etag}"',
        )
        return answer["Body"]

    async def _chunks(self, body: Any) -> AsyncGenerator[bytes, None]:  # noqa: ANN401 - as above
        if body is None:
            return
        try:
            while chunk := await self._run(body.read, CHUNK):
                yield chunk
        finally:
            body.close()

    def _page(self, prefix: str, token: str | None) -> Any:  # noqa: ANN401 - a page of S3's
        if token is None:
            return self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        return self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, ContinuationToken=token)

    def _put_whole(self, key: str, data: bytes, content_type: str) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type)

    def _begin(self, key: str, content_type: str) -> "_Upload":
        told = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        return _Upload(key, told["UploadId"])

    def _add(self, upload: "_Upload", data: bytes) -> None:
        number = len(upload.parts) + 1
        told = self._client.upload_part(
            Bucket=self._bucket, Key=upload.key, UploadId=upload.id, PartNumber=number, Body=data
        )
        upload.parts.append({"PartNumber": number, "ETag": told["ETag"]})

    def _complete(self, upload: "_Upload") -> None:
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=upload.key,
            UploadId=upload.id,
            MultipartUpload={"Parts": upload.parts},
        )

    def _abort(self, upload: "_Upload") -> None:
        self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload.key, UploadId=upload.id)

    def _abort_old(self) -> int:
        before = datetime.now(UTC) - timedelta(seconds=ABANDONED_SECONDS)
        # The bucket may have uploads of other applications.
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=ORGS_PREFIX
        )
        old = [
            entry
            for page in pages
            for entry in page.get("Uploads", [])
            if entry.get("Initiated", before) < before
        ]
        for entry in old:
            self._abort(_Upload(entry.get("Key", ""), entry.get("UploadId", "")))
        return len(old)


class _Upload:
    """A multipart upload."""

    def __init__(self, key: str, upload_id: str) -> None:
        self.key = key
        self.id = upload_id
        self.parts: list[CompletedPartTypeDef] = []
