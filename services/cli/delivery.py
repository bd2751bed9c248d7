"""Delivery of audio from a server to a file, standard output or a player."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, TypeAlias

import typer

from services.cli.audio import SUFFIXES, format_of
from services.cli.console import USAGE, CommandError
from services.cli.meter import ArrivalMeter
from services.cli.player import NO_PLAYER, PlayerSink, can_play_files, play_file, stream_player
from services.cli.sink import FileSink, OutputSink, Sink
from services.cli.text import STANDARD

FormatOption = Annotated[
    str | None, typer.Option("--format", help="Format of the file; by default inferred from its suffix.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write a file instead of playing; `-` is standard output."),
]
PlayOption = Annotated[
    bool | None, typer.Option("--play/--no-play", help="Play it as well; without --out this is the default.")
]

AudioIn: TypeAlias = Callable[[str], AbstractContextManager[Iterator[bytes]]]
"""Requests audio in a format; returns a context manager that gives the data as it arrives."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The destination of audio.

    Attributes:
        out: A file, ``-`` for standard output, or ``None`` to play it.
        audio_format: Format of the audio.
        play: Whether the file is played afterwards.
    """

    out: Path | None
    audio_format: str
    play: bool = False

    @classmethod
    def checked(cls, out: Path | None, wanted: str | None, play: bool | None) -> Self:
        """Create a delivery from options. The default format for standard output is the API's, ``mp3``.

        Raises:
            CommandError: The options conflict.
        """
        if out is None:
            if wanted is not None:
                message = "--format needs a file to write."
                raise CommandError(message, "Name the file with --out.", status=USAGE)
            if play is False:
                raise CommandError("Nothing to play or write.", "Name a file with --out.", status=USAGE)
            return cls(None, "pcm")
        if str(out) == STANDARD:
            if play:
                raise CommandError("Audio for standard output cannot be played as well.", status=USAGE)
            return cls(out, wanted or "mp3")
        found = wanted or format_of(out)
        if found is None:
            known = ", ".join(SUFFIXES)
            message = f"The format of '{out.name}' cannot be inferred from its name."
            raise CommandError(message, f"Use one of the suffixes {known}, or --format.", status=USAGE)
        if play and not can_play_files(found):
            raise CommandError(f"No installed program can play {found}.", NO_PLAYER)
        return cls(out, found, bool(play))

    def deliver(self, audio_in: AudioIn) -> None:
        """Deliver audio while it arrives.

        Raises:
            CommandError: The delivery failed; no partial file is left.
        """
        if self.out is None:
            _play(audio_in)
            return
        sink = OutputSink() if str(self.out) == STANDARD else FileSink(self.out)
        _pour(audio_in, self.audio_format, sink)
        if self.play:
            play_file(self.out, self.audio_format)


def _play(audio_in: AudioIn) -> None:
    if command := stream_player():
        _pour(audio_in, "pcm", PlayerSink(command))
        return
    if not can_play_files("wav"):
        raise CommandError("No installed program can play audio.", NO_PLAYER)
    with tempfile.TemporaryDirectory(prefix="awaaztwin-") as folder:
        path = Path(folder) / "speech.wav"
        _pour(audio_in, "wav", FileSink(path))
        play_file(path, "wav")


def _pour(audio_in: AudioIn, audio_format: str, sink: Sink) -> None:
    with ArrivalMeter(audio_format) as meter, audio_in(audio_format) as audio, sink:
        for data in audio:
            meter.add(data)
            sink.write(data)
