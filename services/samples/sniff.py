"""Detection of a file's format by its first bytes. Its name and declared type are ignored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO, Final

from services.samples.errors import BadSample

HEAD: Final = 512
"""Number of bytes inspected."""
_TAGS: Final = 4
"""Maximum number of leading ID3 tags."""

ACCEPTED: Final = "Send wav, mp3, flac, ogg (Opus, Vorbis), m4a, aac or webm."


@dataclass(frozen=True, slots=True)
class Container:
    """An accepted container format.

    Attributes:
        container: Display name.
        demuxer: Name of FFmpeg's demuxer, the only one that is tried.
        start: Number of bytes of ID3 tags before the container.
    """

    container: str
    demuxer: str
    start: int = 0


_FOREIGN: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"\x89PNG": "a PNG image",
        b"\xff\xd8\xff": "a JPEG image",
        b"GIF8": "a GIF image",
        b"BM": "a BMP image",
        b"II*\x00": "a TIFF image",
        b"MM\x00*": "a TIFF image",
        b"%PDF": "a PDF document",
        b"%!PS": "a PostScript document",
        b"{\\rtf": "an RTF document",
        b"\xd0\xcf\x11\xe0": "an Office document",
        b"PK\x03\x04": "a ZIP archive (or an Office document)",
        b"PK\x05\x06": "an empty ZIP archive",
        b"\x1f\x8b": "a gzip archive",
        b"BZh": "a bzip2 archive",
        b"\xfd7zXZ": "an xz archive",
        b"7z\xbc\xaf": "a 7z archive",
        b"Rar!": "a RAR archive",
        b"\x28\xb5\x2f\xfd": "a zstd archive",
        b"\x7fELF": "an executable",
        b"MZ": "an executable",
        b"\xcf\xfa\xed\xfe": "an executable",
        b"\xca\xfe\xba\xbe": "an executable",
        b"\x00asm": "an executable (WebAssembly)",
        b"#!/": "a script",
        b"SQLite format 3": "a database",
        b"MThd": "a MIDI file (notes, no sound)",
        b"#EXTM3U": "a playlist",
        b"[playlist]": "a playlist",
        b"ffconcat": "a playlist",
    }
)
_OTHER_AUDIO: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"FORM": "an AIFF recording",
        b"#!AMR": "an AMR recording",
        b"caff": "a CAF recording",
        b".snd": "an AU recording",
        b"\x30\x26\xb2\x75": "a WMA recording or a Windows Media video",
        b"MAC ": "a Monkey's Audio recording",
        b"wvpk": "a WavPack recording",
        b"DSD ": "a DSD recording",
        b"riff": "a Wave64 recording",
    }
)
_VIDEO: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        b"FLV": "a Flash video",
        b"\x00\x00\x01\xba": "an MPEG video",
        b"\x00\x00\x01\xb3": "an MPEG video",
        b"G@": "an MPEG transport stream",
    }
)
_RIFF: Final = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_IMAGE_BRANDS: Final = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")
_BOXES: Final = (b"ftyp", b"moov", b"styp", b"wide", b"mdat", b"free", b"skip")
_ANY_CASE: Final = re.IGNORECASE | re.DOTALL
_TEXTS: Final = (
    (
        re.compile(rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!doctype svg[^>]*>\s*)?<svg", _ANY_CASE),
        "an SVG image",
    ),
    (re.compile(rb"<!doctype html|<html|<head|<body|<script", _ANY_CASE), "an HTML page"),
    (re.compile(rb"<\?xml|<[a-z]+[ >]", _ANY_CASE), "an XML document"),
    (re.compile(rb"[{\[]"), "a JSON document"),
)


def sniff(file: BinaryIO) -> Container:
    """Detect the container of a file.

    Raises:
        BadSample: The file is empty or its format is not accepted; the message names the format.
    """
    start = 0
    for _ in range(_TAGS + 1):
        file.seek(start)
        head = file.read(HEAD)
        if not head:
            raise BadSample("empty", "There is no audio after the tags." if start else "The file is empty.")
        if head[:3] != b"ID3" or len(head) < 10:  # noqa: PLR2004 - the size of its header
            return _kind(head, start)
        # A syncsafe integer: four bytes of seven bits each. It excludes the header.
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        start += size + 10
    raise BadSample("not_audio", f"The file starts with more than {_TAGS} ID3 tags.")


def _kind(head: bytes, start: int) -> Container:
    if head[:4] in _RIFF:
        return _riff(head, start)
    if head[:4] == b"fLaC":
        return Container("flac", "flac", start)
    if head[:4] == b"OggS":
        return Container("ogg", "ogg", start)
    if head[:4] == b"\x1aE\xdf\xa3":
        return Container("webm" if b"webm" in head[:64] else "matroska", "matroska", start)
    if head[4:8] in _BOXES:
        if head[4:8] == b"ftyp" and head[8:12] in _IMAGE_BRANDS:
            raise _not_audio("a HEIC or AVIF image")
        return Container("mp4", "mov", start)
    _refuse_known(head)
    if head[0] == 0xFF and head[1:2] and head[1] & 0xE0 == 0xE0:  # noqa: PLR2004 - eleven bits of sync
        # Layer 0 is AAC (ADTS), not MPEG audio.
        adts = head[1] & 0xF6 == 0xF0  # noqa: PLR2004 - as above
        return Container("aac", "aac", start) if adts else Container("mp3", "mp3", start)
    raise _text(head)


def _refuse_known(head: bytes) -> None:
    for table, code in ((_FOREIGN, "not_audio"), (_VIDEO, "video"), (_OTHER_AUDIO, "unsupported_container")):
        for magic, name in table.items():
            if head.startswith(magic):
                raise _refused(code, name)


def _riff(head: bytes, start: int) -> Container:
    form = head[8:12]
    if form == b"WAVE":
        if head[:4] == b"RIFX":
            raise _refused("unsupported_container", "a big-endian wav (RIFX)")
        return Container("wav", "wav", start)
    if form == b"WEBP":
        raise _not_audio("a WebP image")
    if form == b"AVI ":
        raise _refused("video", "an AVI video")
    raise _not_audio("a RIFF file other than wav")


def _text(head: bytes) -> BadSample:
    stripped = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, name in _TEXTS:
        if pattern.match(stripped):
            return _not_audio(name)
    if not head.strip(b"\0"):
        return _not_audio("nothing but zeros")
    text = head.decode("utf-8", errors="ignore")
    # The last character may be cut off; ``ignore`` then drops at most three bytes.
    if (
        text
        and len(text.encode()) >= len(head) - 3
        and all(char.isprintable() or char.isspace() for char in text)
    ):
        return _not_audio("text")
    return BadSample("not_audio", f"Unrecognised audio format. {ACCEPTED}")


def _not_audio(name: str) -> BadSample:
    return _refused("not_audio", name)


def _refused(code: str, name: str) -> BadSample:
    match code:
        case "video":
            message = f"This is {name}; upload its sound track as an audio file. {ACCEPTED}"
        case "unsupported_container":
            message = f"This is {name}, which is not accepted. {ACCEPTED}"
        case _:
            message = f"This is {name}, not audio. {ACCEPTED}"
    return BadSample(code, message)
