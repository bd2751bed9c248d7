"""Destinations of audio while it arrives. After an exception, no partial file is left."""

import os
import secrets
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import BinaryIO, Final, Protocol, Self

from services.cli.audio import settle_wav
from services.cli.console import CommandError

_ENDING: Final = (signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else []))


class Sink(Protocol):
    """A destination of audio."""

    def __enter__(self) -> Self:
        """Open the destination."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the output; after an exception, undo it."""
        ...

    def write(self, data: bytes) -> None:
        """Write the next bytes.

        Raises:
            CommandError: The data cannot be written.
        """
        ...


class FileSink:
    """A file that is written under a temporary name, and renamed when it is complete.

    Args:
        path: Final path; a device or pipe is written directly.
        private: Whether only this user may read it.
    """

    def __init__(self, path: Path, *, private: bool = False) -> None:
        # Follow symbolic links, like a shell's redirection.
        self._path = path.resolve()
        self._direct = self._path.exists() and not self._path.is_file()
        self._mode = 0o600 if private else 0o666
        self._part = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.part")

    def __enter__(self) -> Self:
        """Open a temporary file beside the final one."""
        if self._path.is_dir():
            raise CommandError(f"{self._path} is a folder.", "Name a file in it.")
        try:
            self._file = self._path.open("wb") if self._direct else self._new()
        except OSError as error:
            raise self._failed(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Rename the file; after an exception, remove it."""
        del error, trace
        try:
            if kind is None and not self._direct:
                settle_wav(self._file)
            self._file.close()
            if kind is None and not self._direct:
                self._part.replace(self._path)
        except OSError as failure:
            if kind is None:
                raise self._failed(failure) from failure
        finally:
            if not self._direct:
                self._part.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append to the file."""
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error

    def _new(self) -> BinaryIO:
        return open(self._part, "xb+", opener=lambda name, flags: os.open(name, flags, self._mode))

    def _failed(self, error: OSError) -> CommandError:
        return CommandError(f"{self._path} cannot be written: {error.strerror}.")


class OutputSink:
    """Standard output, flushed after each write."""

    def __enter__(self) -> Self:
        """Check that it is not a terminal."""
        if sys.stdout.isatty():
            raise CommandError("Audio cannot go to a terminal.", "Redirect it, or name a file with --out.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        """Write to standard output."""
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            # Buffered data would fail again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CommandError("The reader of the audio closed it.") from error
        except OSError as error:
            raise CommandError(f"Standard output cannot be written: {error.strerror}.") from error


@contextmanager
def terminable() -> Generator[None, None, None]:
    """Make SIGTERM and SIGHUP raise ``SystemExit`` in the block, so that no partial file is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # An ignored signal, as with nohup, remains ignored.
    before = {
        signum: handler for signum in _ENDING if (handler := signal.getsignal(signum)) != signal.SIG_IGN
    }
    for signum in before:
        signal.signal(signum, _end)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _end(signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signum)
