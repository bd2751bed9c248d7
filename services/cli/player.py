"""Playback of audio with programs of the machine."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from services.cli.audio import PCM_RATE
from services.cli.console import CommandError

_RATE: Final = str(PCM_RATE)

STREAM_PLAYERS: Final[Mapping[str, Sequence[str]]] = {
    "aplay": ("-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", _RATE, "-"),
    "paplay": ("--raw", "--format=s16le", "--channels=1", f"--rate={_RATE}"),
    # Mono is ffplay's default; the option for channels differs between versions.
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error", "-f", "s16le", "-sample_rate", _RATE, "-i", "-"),
    "play": ("-q", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-r", _RATE, "-"),
    "pw-play": ("--raw", "--format=s16", "--channels=1", f"--rate={_RATE}", "-"),
}
"""Programs that play PCM from standard input, preferred ones first, and their arguments."""

_ANY: Final = frozenset({"mp3", "opus", "aac", "flac", "wav"})

FILE_PLAYERS: Final[Mapping[str, tuple[Sequence[str], frozenset[str]]]] = {
    "ffplay": (("-nodisp", "-autoexit", "-loglevel", "error"), _ANY),
    "afplay": ((), frozenset({"mp3", "aac", "flac", "wav"})),
    "play": (("-q",), frozenset({"mp3", "opus", "flac", "wav"})),
    "paplay": ((), frozenset({"opus", "flac", "wav"})),
    "pw-play": ((), frozenset({"opus", "flac", "wav"})),
    "aplay": (("-q",), frozenset({"wav"})),
}
"""Programs that play files, their arguments before the file name, and their formats."""

MAX_PLAYING_SECONDS: Final = 7_200.0
"""Maximum duration of a file in seconds."""

SPARE_SECONDS: Final = 15.0
"""Seconds that a player may take in addition to the duration of the audio."""

STOP_TIMEOUT_SECONDS: Final = 2.0
"""Seconds that a player may take to stop."""

MAX_COMPLAINT: Final = 300
"""Maximum number of characters of a player's message that are shown."""

NO_PLAYER: Final = "Install alsa-utils, ffmpeg or sox, or write a file with --out."


def stream_player() -> list[str] | None:
    """Return a command that plays PCM from standard input; ``None`` if no player is installed."""
    for name, arguments in STREAM_PLAYERS.items():
        if found := shutil.which(name):
            return [found, *arguments]
    return None


def file_player(audio_format: str) -> list[str] | None:
    """Return a command to which a file name can be appended; ``None`` without a player of the format."""
    for name, (arguments, formats) in FILE_PLAYERS.items():
        if audio_format in formats and (found := shutil.which(name)):
            return [found, *arguments]
    return None


def can_play_files(audio_format: str) -> bool:
    """Whether :func:`play_file` can play a format."""
    return file_player(audio_format) is not None or (os.name == "nt" and audio_format == "wav")


def play_file(path: Path, audio_format: str) -> None:
    """Play a file to its end.

    Raises:
        CommandError: No player is installed, or the player failed.
    """
    command = file_player(audio_format)
    if command is None:
        if sys.platform == "win32" and audio_format == "wav":
            import winsound  # noqa: PLC0415 - exists on Windows only

            winsound.PlaySound(str(path), winsound.SND_FILENAME)
            return
        raise CommandError(f"No installed program can play {audio_format}.", NO_PLAYER)
    try:
        done = subprocess.run(  # noqa: S603 - one of our own commands
            [*command, str(path.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=MAX_PLAYING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{command[0]} did not finish within {MAX_PLAYING_SECONDS:g} s.") from error
    except OSError as error:
        raise CommandError(f"{command[0]} cannot be started: {error.strerror}.", NO_PLAYER) from error
    if done.returncode != 0:
        raise _player_failed(command[0], done.stderr)


class PlayerSink:
    """Plays PCM while it arrives.

    Args:
        command: Command from :func:`stream_player`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._bytes = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        """Start the player."""
        # A file never blocks, unlike a pipe that is not read.
        self._complaint = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - one of our own commands
                self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._complaint
            )
        except OSError as error:
            self._complaint.close()
            message = f"{self._command[0]} cannot be started: {error.strerror}."
            raise CommandError(message, NO_PLAYER) from error
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all audio has been played; after an exception, stop at once."""
        del error, trace
        with self._complaint:
            try:
                if kind is None:
                    self._drain()
            finally:
                self._stop()

    def write(self, data: bytes) -> None:
        """Write to the player; blocks while its buffer is full."""
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError as error:
            raise self._failed() from error
        self._bytes += len(data)

    def _drain(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        left = self._bytes / (2 * PCM_RATE) - (time.monotonic() - self._began)
        try:
            self._process.stdin.close()
            status = self._process.wait(timeout=max(left, 0.0) + SPARE_SECONDS)
        except OSError as error:
            raise self._failed() from error
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"{self._command[0]} did not finish in time.", NO_PLAYER) from error
        if status != 0:
            raise self._failed()

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=STOP_TIMEOUT_SECONDS)
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except OSError:
                # The player has exited with data still buffered.
                return

    def _failed(self) -> CommandError:
        self._stop()
        self._complaint.seek(0)
        return _player_failed(self._command[0], self._complaint.read(MAX_COMPLAINT * 4))


def _player_failed(name: str, complaint: bytes) -> CommandError:
    text = " ".join(complaint.decode("utf-8", "replace").split())[:MAX_COMPLAINT]
    message = f"{Path(name).name} could not play{f': {text}' if text else '.'}"
    return CommandError(message, "Is there a sound device? Without one, write a file with --out.")
