"""Recordings that are named on the command line, and their transcripts."""

import glob
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from services.cli.console import USAGE, CommandError
from services.cli.text import read_text

MOST_FILES: Final = 1_000
"""Maximum number of recordings of a voice; servers have lower limits."""

MAX_TRANSCRIPT_CHARS: Final = 5_000
"""Maximum length of a transcript in characters."""

_DIGITS: Final = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """A recording to send.

    Attributes:
        path: Path of the file.
        transcript: Text of the recording; empty if unknown.
    """

    path: Path
    transcript: str = ""


def find_recordings(
    patterns: Sequence[str], transcripts: Path | None = None, *, neighbours: bool = True
) -> list[RecordingFile]:
    """Return the recordings that match patterns, each with its transcript.

    Args:
        patterns: Files or glob patterns such as ``~/voice/*.mp3``.
        transcripts: A file with transcripts; see :func:`read_transcripts`.
        neighbours: Whether, without that file, ``x.txt`` is the transcript of ``x.wav`` beside it.

    Raises:
        CommandError: A pattern matches nothing, or transcripts cannot be used.
    """
    paths = _matches(patterns)
    if transcripts is not None:
        texts = read_transcripts(transcripts, paths)
    elif neighbours:
        texts = [_read(text) if (text := _beside(path)) else "" for path in paths]
    else:
        texts = [""] * len(paths)
    for path, text in zip(paths, texts, strict=True):
        if len(text) > MAX_TRANSCRIPT_CHARS:
            limit = f"{MAX_TRANSCRIPT_CHARS:,}"
            message = f"The transcript of {path} has {len(text):,} characters; the limit is {limit}."
            raise CommandError(message, "To use none: --no-transcripts.", status=USAGE)
    return [RecordingFile(path, text) for path, text in zip(paths, texts, strict=True)]


def read_transcripts(file: Path, paths: Sequence[Path]) -> list[str]:
    """Return the transcript of each recording; empty if the file has none.

    Args:
        file: ``.json``: an object that maps file names to texts. ``.tsv``: lines with a file name, a tab and
            a text. Names may have a path relative to this file, and may lack their suffix. ``.txt``: one line
            per recording, in order, or the whole text for a single one.
        paths: The recordings.

    Raises:
        CommandError: The file cannot be read, or matches none of the recordings.
    """
    match file.suffix.lower():
        case ".json":
            return _named(file, _json(file), paths)
        case ".tsv":
            return _named(file, _tsv(file), paths)
        case ".txt":
            return _lines(file, paths)
        case _:
            message = f"The format of the transcripts cannot be inferred from '{file.name}'."
            raise CommandError(message, "Give a .json, .tsv or .txt file.", status=USAGE)


def _matches(patterns: Sequence[str]) -> list[Path]:
    found: dict[Path, None] = {}
    for pattern in patterns:
        matched = _match(pattern)
        if not matched:
            folder = Path(pattern).expanduser().is_dir()
            message = f"{pattern} is a folder." if folder else f"No file matches {pattern}."
            raise CommandError(message, f"Name its files, such as '{pattern}/*.wav'." if folder else None)
        found.update(dict.fromkeys(matched))
    taken = set(found)
    # `folder/*` matches transcripts as well.
    texts = {text for path in taken if (text := _beside(path))}
    paths = [path for path in found if path not in texts]
    if len(paths) > MOST_FILES:
        raise CommandError(f"More than {MOST_FILES:,} files match.", "Choose the best few minutes of them.")
    return paths


def _match(pattern: str) -> list[Path]:
    plain = Path(pattern).expanduser()
    if plain.is_file():
        return [plain]
    names = islice(glob.iglob(str(plain), recursive=True), 2 * MOST_FILES + 1)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return sorted((path for path in map(Path, names) if path.is_file()), key=_natural)


def _natural(path: Path) -> list[str | int]:
    """Return a sort key in natural order: ``2.wav`` before ``10.wav``."""
    parts = _DIGITS.split(str(path))
    return [int(part) if n % 2 else part.casefold() for n, part in enumerate(parts)]


def _beside(path: Path) -> Path | None:
    """Return the transcript beside a recording, if it exists."""
    text = path.with_suffix(".txt")
    return text if text != path and text.is_file() else None


def _read(file: Path) -> str:
    return read_text(None, None, file).strip()


def _json(file: Path) -> Mapping[str, str]:
    try:
        value: Any = json.loads(_read(file))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{file} is not JSON.", status=USAGE) from error
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - whatever JSON holds
        raise CommandError(
            f"{file} is not a JSON object.", 'For example: {"one.wav": "What is said."}', status=USAGE
        )
    return cast("Mapping[str, str]", value)


def _tsv(file: Path) -> Mapping[str, str]:
    table: dict[str, str] = {}
    for number, line in enumerate(_read(file).splitlines(), 1):
        name, tab, text = line.partition("\t")
        if not tab and line.strip():
            message = f"{file}:{number} is not a file name, a tab, and a text."
            raise CommandError(message, status=USAGE)
        table[name.strip()] = text
    return table


def _named(file: Path, table: Mapping[str, str], paths: Sequence[Path]) -> list[str]:
    # Files in different folders may have the same name.
    names = Counter(path.name for path in paths)
    stems = Counter(path.stem for path in paths)
    texts: list[str] = []
    for path in paths:
        keys = [str(path), path.as_posix()]
        if path.resolve().is_relative_to(file.resolve().parent):
            keys.append(path.resolve().relative_to(file.resolve().parent).as_posix())
        keys += [path.name] * (names[path.name] == 1) + [path.stem] * (stems[path.stem] == 1)
        texts.append(next((table[key].strip() for key in keys if key in table), ""))
    if not any(texts):
        raise CommandError(f"{file} names none of the recordings.", status=USAGE)
    return texts


def _lines(file: Path, paths: Sequence[Path]) -> list[str]:
    text = _read(file)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(paths) == 1 and lines:
        return [" ".join(lines)]
    if len(lines) != len(paths):
        message = f"{file} has {len(lines)} lines, and there are {len(paths)} recordings."
        raise CommandError(message, "It needs one for each, in the order of their names.", status=USAGE)
    return lines
