"""Multipart forms: a request's uploaded files, on disk and with limits."""

import asyncio
import hashlib
import os
import shutil
import stat
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final, cast

from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from services.errors import ApiError, invalid, retry_headers
from services.quota.limits import Allowance
from services.sharing.shares import Share, Shares
from services.tenancy.principal import Principal
from storage.objects.contract import ABANDONED_SECONDS

MAX_FIELDS: Final = 200
MAX_FIELD_BYTES: Final = 64 * 1024
LONGEST_NAME: Final = 200
CHUNK: Final = 1024 * 1024
PREFIX: Final = "awaaztwin-upload-"
"""Prefix of temporary folders' names; :mod:`services.host.folder` uses another."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file.

    Attributes:
        path: Path of the file, which exists during the request.
        filename: The client's name for it, sanitised; only for display.
        size: In bytes.
        sha256: Hash of the contents, in hexadecimal.
    """

    path: Path
    filename: str
    size: int
    sha256: str


async def file_chunks(path: Path) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a file, 1 MiB at a time, without blocking the event loop."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
    finally:
        file.close()  # immediately, even during cancellation


class Form:
    """A form with text fields, and files in the order in which they were sent.

    Args:
        data: The parsed form.
        folder: Folder for the files.
    """

    def __init__(self, data: FormData, folder: Path) -> None:
        self._data = data
        self._folder = folder

    def texts(self, name: str) -> list[str]:
        """Return the values of a field, named ``name`` or ``name[]``.

        Raises:
            ApiError: 400 if one of them is a file.
        """
        found = [value for key in (name, f"{name}[]") for value in self._data.getlist(key)]
        if any(not isinstance(value, str) for value in found):
            raise invalid(f"'{name}' must be text, not a file.", name, "invalid_type")
        return [value for value in found if isinstance(value, str)]

    def text(self, name: str) -> str | None:
        """Return the last value of a field; ``None`` if it is missing or empty.

        Raises:
            ApiError: 400 if it is a file.
        """
        found = self.texts(name)
        return (found[-1] or None) if found else None

    async def files(self, *names: str) -> list[Upload]:
        """Write the files of fields, named ``name`` or ``name[]``, to disk.

        Raises:
            ApiError: 400 if one of them is text.
        """
        wanted = {alike for name in names for alike in (name, f"{name}[]")}
        uploads: list[Upload] = []
        for key, value in self._data.multi_items():
            if key not in wanted:
                continue
            if isinstance(value, str):
                raise invalid(
                    f"'{names[0]}' is a file: send it as multipart/form-data.", names[0], "not_a_file"
                )
            path = self._folder / f"upload-{len(uploads)}"
            size, digest = await asyncio.to_thread(_copy, value, path)
            await value.close()  # now, so that the disk does not hold all files twice
            uploads.append(Upload(path, _shown(value.filename), size, digest))
        return uploads


@asynccontextmanager
async def read_form(request: Request, budget: Shares, *, max_files: int) -> AsyncGenerator[Form, None]:
    """Read a request's form; its files are deleted at the end of the block.

    :class:`services.middleware.BodyLimit` limits its size and :class:`services.http.body_pace.BodyPace` its
    time.

    Args:
        request: The request; its caller must be authenticated.
        budget: Bytes of concurrent uploads, shared by tenants.
        max_files: Maximum number of files in the form.

    Raises:
        ApiError: 400 if the body is not a valid form or has too many parts; 429 if the tenant has its share
            of concurrent uploads.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        raise invalid("Send the request as multipart/form-data.", None, "invalid_content_type")
    said = request.headers.get("content-length", "0")
    caller, allowed = cast("Principal", request.state.principal), cast("Allowance", request.state.allowance)
    share = budget.take(caller.org_id, allowed.weight, int(said) if said.isdigit() else 0)
    if share is None:
        raise _too_many()
    with share, temporary_folder() as folder:
        async with _parsed(Request(request.scope, _within(share, request.receive)), max_files) as data:
            yield Form(data, folder)


def _within(share: Share, receive: Receive) -> Receive:
    """Wrap ``receive`` to take more of the budget for a body without ``Content-Length``."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > share.amount and not share.resize(seen):
            raise _too_many()
        return message

    return counted


def _too_many() -> ApiError:
    message = "The organisation is using its share of this server's concurrent uploads; try again shortly."
    return ApiError(
        429, message, kind="rate_limit_exceeded", code="too_many_uploads", headers=retry_headers(1.0)
    )


@asynccontextmanager
async def _parsed(request: Request, max_files: int) -> AsyncGenerator[FormData, None]:
    try:
        data = await request.form(max_files=max_files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    except ClientDisconnect as error:
        raise invalid("The request's body is incomplete.", None, "incomplete_body") from error
    except (LookupError, ValueError) as error:
        # A form may name an unknown charset, or one that cannot decode a part.
        raise invalid("A form field is not valid text in its charset.", None, "invalid_form") from error
    try:
        yield data
    finally:
        await data.close()


@contextmanager
def temporary_folder() -> Generator[Path, None, None]:
    """Create a folder, deleted at the end of the block or, if the process dies, by :func:`sweep_folders`."""
    with TemporaryDirectory(prefix=PREFIX) as folder:
        yield Path(folder)


def sweep_folders() -> int:
    """Remove folders left by processes that died; return their number."""
    old = time.time() - ABANDONED_SECONDS
    swept = 0
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or already removed
            found = folder.lstat()
            ours = os.name != "posix" or found.st_uid == os.geteuid()
            if ours and stat.S_ISDIR(found.st_mode) and found.st_mtime < old:
                shutil.rmtree(folder)
                swept += 1
    return swept


def is_json(request: Request) -> bool:
    """Whether a request's ``Content-Type`` is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"


def _copy(upload: UploadFile, path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as target:
        upload.file.seek(0)
        while chunk := upload.file.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _shown(filename: str | None) -> str:
    """Sanitise a file's name for the database and for display."""
    name = (filename or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in name if letter.isprintable())
    return name.encode("utf-8", "replace").decode("utf-8")[:LONGEST_NAME] or "recording"
