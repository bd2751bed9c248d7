"""Voice bundles: zip files of recordings, prepared voices, and a manifest with checksums.

::

    manifest.json                   contents and checksums, see :class:`Manifest`
    samples/<n>/original            recording as uploaded, if it is still kept
    samples/<n>/audio.wav           canonical recording, from which voices are prepared
    embeddings/<n>.safetensors      prepared voice
    consent/recording               recording in which the speaker consents
"""

import hashlib
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.embedding import LARGEST

MEDIA_TYPE: Final = "application/vnd.awaaztwin.voice+zip"

MANIFEST: Final = "manifest.json"

LARGEST_MANIFEST: Final = 4 * 1024 * 1024

MOST_FILES: Final = 2_500

LARGEST_DIRECTORY: Final = 1024 * 1024
"""Maximum size of the zip's central directory in bytes: reading it takes ten times as much memory."""

LARGEST_STATEMENT: Final = 20_000
"""Maximum number of characters of a consent's statement, as JSON."""

DEEPEST: Final = 32
"""Maximum depth of nesting in a manifest."""

CHUNK: Final = 1024 * 1024

END: Final = struct.Struct("<4s4H2LH")
"""The end of central directory record.

Signature, disk numbers and counts, size and offset of the central directory, and length of the comment
(PKWARE's APPNOTE, section 4.3.16).
"""

LOCATOR: Final = 20
"""Size of the ZIP64 locator in bytes, which precedes that record in zips of several gigabytes."""

DAMAGE: Final = (
    *(KeyError, IndexError, NotImplementedError, RuntimeError, EOFError),
    *(ValueError, OverflowError, struct.error, zlib.error),
)
"""Exceptions of zipfile for missing, encrypted, invalid, truncated and damaged members.

``OSError`` is not included, as it is a failure of this server's disk: members outside the file are refused
before they are read.
"""

Tag = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$")]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Text = Annotated[str, Field(max_length=10_000)]
FileName = Annotated[
    str,
    Field(
        pattern=r"^(samples/\d{1,4}/(original|audio\.wav)|embeddings/\d{1,3}\.safetensors|consent/recording)$"
    ),
]


class BadBundle(ValueError):  # noqa: N818 - named for the state
    """The file is not a voice bundle, or it is damaged; the message has the details."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FileEntry(_Entry):
    """A file in the bundle."""

    name: FileName
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class SampleEntry(_Entry):
    """A recording; ``original`` and ``audio`` are ``None`` if retention has deleted them."""

    filename: Annotated[str, Field(max_length=200)]
    content_type: Annotated[str, Field(max_length=100)]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    duration_ms: int = Field(ge=0, le=10**9)
    transcript: Text | None = None
    language: Tag | None = None
    report: dict[str, Any]
    original: FileName | None = None
    audio: FileName | None = None


class EmbeddingEntry(_Entry):
    """A prepared voice."""

    engine: Annotated[str, Field(max_length=63)]
    model: Annotated[str, Field(max_length=200)]
    file: FileName


class ConsentEntry(_Entry):
    """The consent that allows the voice."""

    kind: Literal["recording", "attestation"]
    name: Title
    language: Tag | None = None
    statement: dict[str, Any]
    content_type: Annotated[str, Field(max_length=100)] | None = None
    recording: FileName | None = None


class Manifest(_Entry):
    """The contents of a bundle."""

    format: Literal["awaaztwin-voice"]
    version: Literal[1]
    name: Title
    language: Tag | None = None
    description: Annotated[str, Field(max_length=2_000)] = ""
    labels: dict[
        Annotated[str, Field(min_length=1, max_length=63)], Annotated[str, Field(max_length=200)]
    ] = Field(default_factory=dict[str, str], max_length=50)
    aliases: tuple[Title, ...] = Field(default=(), max_length=100)
    samples: tuple[SampleEntry, ...] = Field(default=(), max_length=1_000)
    embeddings: tuple[EmbeddingEntry, ...] = Field(default=(), max_length=64)
    consent: ConsentEntry | None = None
    files: tuple[FileEntry, ...] = Field(default=(), max_length=MOST_FILES)


def write_bundle(target: Path, manifest: Manifest, files: Iterable[tuple[str, Path]]) -> None:
    """Write a bundle, and add the list of files to its manifest.

    Args:
        target: Path of the bundle.
        manifest: The manifest, without the list of files.
        files: Name in the bundle and current path of each file.
    """
    entries: list[FileEntry] = []
    # Uncompressed, since audio and floats hardly compress.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:
        for name, path in files:
            bundle.write(path, name)
            entries.append(FileEntry(name=name, size=path.stat().st_size, sha256=_digest(path)))
        whole = manifest.model_copy(update={"files": tuple(entries)})
        bundle.writestr(MANIFEST, whole.model_dump_json(indent=1))


def read_bundle(source: Path, folder: Path, *, most: int) -> Manifest:
    """Check a bundle and unpack its files into a folder, under hashes of their names.

    Args:
        source: Path of the bundle, whose contents are untrusted.
        folder: An empty folder; see :func:`unpacked` for the paths in it.
        most: Maximum total size of the unpacked files in bytes.

    Returns:
        The manifest.

    Raises:
        BadBundle: The file is not a bundle, damaged or too large.
    """
    _check_directory(source)
    try:
        with zipfile.ZipFile(source) as bundle:
            manifest = _read(bundle, folder, length=source.stat().st_size, most=most)
    except BadBundle:
        raise
    except zipfile.BadZipFile as error:
        raise BadBundle("It is not a zip file, or it is damaged.") from error
    except DAMAGE as error:
        raise BadBundle("A file in it is missing or cannot be read.") from error
    _check_references(manifest)
    return manifest


def unpacked(folder: Path, name: str) -> Path:
    """Return the path of an unpacked file; it contains no text from the bundle."""
    return folder / hashlib.sha256(name.encode()).hexdigest()


def _check_directory(source: Path) -> None:
    """Refuse a central directory that is too large or misplaced, before zipfile reads it into memory."""
    with source.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - LOCATOR - END.size))
        before, end = (tail := file.read())[: -END.size], tail[-END.size :]
    # With a comment, zipfile may find a different record.
    if len(end) < END.size or not end.startswith(b"PK\5\6") or end[-2:] != b"\0\0":
        raise BadBundle("It is not a zip file, or it is damaged.")
    *_, size, start, _ = END.unpack(end)
    if size > LARGEST_DIRECTORY or before.startswith(b"PK\6\7"):
        raise BadBundle("It has too many files.")
    # Otherwise, zipfile would shift the offsets of the members.
    if start + size != length - END.size:
        raise BadBundle("It is not a zip file, or it is damaged.")


def _read(bundle: zipfile.ZipFile, folder: Path, *, length: int, most: int) -> Manifest:
    if len(bundle.infolist()) > MOST_FILES:
        raise BadBundle("It has too many files.")
    _check_places(bundle, length)
    manifest = _manifest(bundle)
    left = most
    for entry in manifest.files:
        left -= entry.size
        if left < 0:
            raise BadBundle(f"Its files have more than {most} bytes together.")
        _unpack(bundle, entry, unpacked(folder, entry.name))
    return manifest


def _check_places(bundle: zipfile.ZipFile, length: int) -> None:
    """Refuse members outside the file: an extra field may set their offset to any 64-bit value."""
    for info in bundle.infolist():
        if info.header_offset < 0 or info.header_offset + info.compress_size > length:
            raise BadBundle("It is not a zip file, or it is damaged.")


def _open(bundle: zipfile.ZipFile, name: str) -> zipfile.ZipExtFile:
    info = bundle.getinfo(name)
    # With other methods, zipfile decompresses a whole block at once, whatever its expanded size.
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise BadBundle("A file in it uses an unsupported compression method.")
    return cast("zipfile.ZipExtFile", bundle.open(info))


def _manifest(bundle: zipfile.ZipFile) -> Manifest:
    with _open(bundle, MANIFEST) as file:
        data = file.read(LARGEST_MANIFEST + 1)
    if len(data) > LARGEST_MANIFEST:
        raise BadBundle("Its manifest is too large.")
    try:
        given = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadBundle("Its manifest is not valid JSON.") from error
    if not _storable(given):
        raise BadBundle("Its manifest contains a value that cannot be stored.")
    try:
        manifest = Manifest.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or MANIFEST
        raise BadBundle(f"Its manifest does not describe a voice: {where}: {first['msg']}.") from error
    consent = manifest.consent
    if consent is not None and len(json.dumps(consent.statement)) > LARGEST_STATEMENT:
        raise BadBundle("The text of its consent is too long.")
    return manifest


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _storable(given: object) -> bool:
    """Whether all databases accept a value: without control characters, lone surrogates or infinite numbers.

    It must not be nested deeper than :data:`DEEPEST` either.
    """
    waiting = [(given, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            return False
        if isinstance(value, dict):
            entries = cast("dict[str, object]", value)
            waiting += [(entry, depth + 1) for entry in (*entries.keys(), *entries.values())]
        elif isinstance(value, list):
            waiting += [(entry, depth + 1) for entry in cast("list[object]", value)]
        elif isinstance(value, str):
            if any(
                (letter < " " and letter not in "\n\r\t") or "\ud800" <= letter <= "\udfff"
                for letter in value
            ):
                return False
        elif isinstance(value, float) and not math.isfinite(value):
            return False
    return True


def _unpack(bundle: zipfile.ZipFile, entry: FileEntry, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with _open(bundle, entry.name) as source, path.open("wb") as target:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > entry.size:
                break
            digest.update(chunk)
            target.write(chunk)
    if size != entry.size or digest.hexdigest() != entry.sha256:
        raise BadBundle(f"{entry.name} does not match the manifest: its checksum or size differs.")


def _check_references(manifest: Manifest) -> None:
    sizes = {entry.name: entry.size for entry in manifest.files}
    if len(sizes) < len(manifest.files):
        raise BadBundle("Its manifest names a file twice.")
    named = [name for sample in manifest.samples for name in (sample.original, sample.audio)]
    named += [entry.file for entry in manifest.embeddings]
    named += [manifest.consent.recording if manifest.consent else None]
    if any(name is not None and name not in sizes for name in named):
        raise BadBundle("Its manifest names a file that is not in it.")
    if any(sizes[entry.file] > LARGEST for entry in manifest.embeddings):
        raise BadBundle("A prepared voice in it is too large.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
