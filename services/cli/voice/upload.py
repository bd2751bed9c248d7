"""Uploading of files with a progress bar."""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from services.cli.client import Client
from services.cli.console import CommandError
from services.cli.meter import transfer_bar

TIMEOUT_SECONDS: Final = 900.0
"""Seconds to wait for the response; the server examines one recording after another."""


class CountedFile(io.FileIO):
    """A file that reports how much of it has been read.

    Args:
        path: Path of the file.
        count: Called with the size of each piece in bytes.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, count: Callable[[int], None]) -> None:
        super().__init__(path, "rb")
        self._count = count

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the next piece."""
        data = super().read(-1 if size is None else size)
        self._count(len(data))
        return data


def upload(
    client: Client,
    path: str,
    fields: Mapping[str, str | Sequence[str]],
    files: Sequence[Path],
    *,
    field: str,
    then: str,
) -> Mapping[str, Any]:
    """Send a form with files; return the response.

    Args:
        client: The server.
        path: Path from the server's root.
        fields: Texts, or lists of texts.
        files: Paths of the files.
        field: Name of the files' field in the form.
        then: Message that is shown after all files have been sent.

    Raises:
        CommandError: A file cannot be read, or the request failed.
    """
    bar = transfer_bar()
    task = bar.add_task("sending", total=None)
    left = 0

    def count(size: int) -> None:
        nonlocal left
        left -= size
        bar.update(task, advance=size, description="sending" if left > 0 else then)

    with ExitStack() as stack:
        opened: list[tuple[str, tuple[str, io.FileIO]]] = []
        for file in files:
            try:
                counted = stack.enter_context(CountedFile(file, count))
            except OSError as error:
                raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
            left += file.stat().st_size
            opened.append((field, (file.name.encode("utf-8", "replace").decode(), counted)))
        bar.update(task, total=left)
        stack.enter_context(bar)
        return client.upload(path, fields, opened, timeout=TIMEOUT_SECONDS)
