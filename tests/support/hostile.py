"""Files that a stranger may upload: broken, lying, huge, or no audio at all. All are made by code."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import av
import numpy as np

import media
from speaking import speech

ANY = frozenset({"any"})
"""Every code will do."""


@dataclass(frozen=True)
class HostileFile:
    """A file and what has to come of it.

    Attributes:
        name: Of the case.
        data: The bytes.
        codes: It is refused with one of these; :data:`ANY` is one of all; ``None``: it is accepted.
        either: It may be accepted as well.
    """

    name: str
    data: bytes
    codes: frozenset[str] | None
    either: bool = False


def hostile_files() -> list[HostileFile]:
    """The corpus; each name once."""
    return list(_corpus())


@cache
def _corpus() -> tuple[HostileFile, ...]:
    files = [*_foreign(), *_wavs(), *_sounds(), *_cut(), *_random(), *_polyglots(), *_mp3(), *_flac()]
    files += [*_ogg(), *_mp4(), *_matroska(), *_fuzzed()]
    assert len({file.name for file in files}) == len(files), sorted(file.name for file in files)
    return tuple(files)


def _refused(name: str, data: bytes, *codes: str) -> HostileFile:
    return HostileFile(name, data, frozenset(codes))


def _accepted(name: str, data: bytes) -> HostileFile:
    return HostileFile(name, data, None)


def _either(name: str, data: bytes) -> HostileFile:
    return HostileFile(name, data, ANY, either=True)


@cache
def good() -> dict[str, bytes]:
    """A sound file of each format, four seconds of speech."""
    sound = speech(count=1)
    return {
        "wav": media.wav(media.pcm16(sound)),
        "mp3": media.encode(sound, "mp3", "libmp3lame", 24_000),
        "flac": media.encode(sound, "flac", "flac", 24_000),
        "opus": media.encode(sound, "ogg", "libopus", 48_000),
        "vorbis": media.encode(
            sound, "ogg", "vorbis", 44_100, layout="stereo", codec_options={"strict": "experimental"}
        ),
        "m4a": (m4a := media.encode(sound, "ipod", "aac", 24_000)),
        "m4a_fast": _table_first(m4a),
        "m4a_parts": media.encode(
            sound, "mp4", "aac", 24_000, options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        ),
        "alac": media.encode(sound, "ipod", "alac", 24_000),
        "aac": media.encode(sound, "adts", "aac", 24_000),
        "webm": media.encode(sound, "webm", "libopus", 48_000),
        "mkv": media.encode(sound, "matroska", "pcm_s16le", 24_000),
    }


def _foreign() -> Iterator[HostileFile]:
    """Things that are no audio, and say so."""
    yield _refused("empty", b"", "empty")
    yield _refused("one byte", b"\xff", "not_audio")
    yield _refused("a PNG image", _png(), "not_audio")
    filled = b"\0" * 2_000
    magics = {
        "a JPEG image": b"\xff\xd8\xff\xe0\0\x10JFIF",
        "a GIF image": b"GIF89a\x10\0\x10\0",
        "a BMP image": b"BM\x36\x10",
        "a TIFF image": b"II*\0",
        "a WebP image": b"RIFF\x40\0\0\0WEBPVP8 ",
        "a HEIC image": b"\0\0\0\x18ftypheic",
        "a PDF document": b"%PDF-1.7\n",
        "an Office document": b"\xd0\xcf\x11\xe0",
        "a ZIP archive": b"PK\x03\x04\x14\0",
        "a gzip archive": b"\x1f\x8b\x08\0",
        "a 7z archive": b"7z\xbc\xaf\x27\x1c",
        "a Linux program": b"\x7fELF\x02\x01\x01",
        "a Windows program": b"MZ\x90\0",
        "a macOS program": b"\xcf\xfa\xed\xfe",
        "a database": b"SQLite format 3\0",
        "a MIDI file": b"MThd\0\0\0\x06",
        "zeros": b"",
    }
    for name, magic in magics.items():
        yield _refused(name, magic + filled, "not_audio")
    texts = {
        "HTML": "<!DOCTYPE html><html><script>alert(1)</script></html>",
        "SVG": '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "XML": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "JSON": '{"audio": "UklGRg=="}',
        "text": "This is no audio.\n" * 50,
        "Devanagari text": "यह आवाज़ नहीं है।\n" * 50,
        "a script": "#!/bin/sh\nrm -rf /\n",
        "a playlist of local files": "#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        "a playlist of the network": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://169.254.169.254/\n",
        "a playlist with an encrypted part": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"\nx.ts\n',
        "ffconcat": "ffconcat version 1.0\nfile '/etc/passwd'\n",
        "a Winamp playlist": "[playlist]\nFile1=file:///etc/passwd\nNumberOfEntries=1\n",
        "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        "a DASH manifest": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file:///etc/</BaseURL></MPD>',
    }
    for name, text in texts.items():
        yield _refused(name, text.encode(), "not_audio")
    for name, magic in {
        "AIFF": b"FORM\0\0\x10\0AIFFCOMM",
        "AMR": b"#!AMR\n",
        "CAF": b"caff\0\x01\0\0",
        "WMA": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        "big-endian wav": b"RIFX\0\0\x10\0WAVEfmt ",
    }.items():
        yield _refused(name, magic + filled, "unsupported_container")
    yield _refused("AVI", b"RIFF\0\x10\0\0AVI LIST" + filled, "video")
    yield _refused("Flash video", b"FLV\x01\x05" + filled, "video")
    yield _refused("an MPEG transport stream", media.video_only("mpegts", "mpeg2video"), "video")


def _wavs() -> Iterator[HostileFile]:
    """Headers of wav that are wrong, odd, or lie."""
    data = media.pcm16(speech(count=1))
    guid = bytes.fromhex("0000001000800000aa00389b71")
    extensible = struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", 1) + b"\0" + guid
    yield _refused("wav: header alone", media.wav(b""), "empty")
    yield _refused("wav: no data", media.wav(b"")[:-8], "empty")
    yield _refused("wav: cut in its header", media.wav(data)[:30], "empty", "truncated", "damaged")
    yield _refused("wav: one sample", media.wav(b"\1\0"), "no_speech")
    yield _refused("wav: half a sample", media.wav(b"\1"), "empty", "damaged", "no_speech")
    yield _refused("wav: says ten hours", media.wav(data, size=1_728_000_000), "truncated")
    yield _accepted("wav: size of a stream", media.wav(data, size=0xFFFFFFFF))
    yield _accepted("wav: size 0 of a stream", media.wav(data, size=0))
    yield _accepted("wav: size of the RIFF is wrong", b"RIFF\1\0\0\0" + media.wav(data)[8:])
    yield _refused("wav: 64 channels", media.wav(data, channels=64), "too_many_channels", "damaged")
    yield _refused("wav: 65,535 channels", media.wav(data, channels=65_535, align=2), "any")
    yield _refused("wav: no channel", media.wav(data, channels=0), "any")
    yield _refused("wav: 1 Hz", media.wav(data, rate=1), "unsupported_rate")
    yield _refused("wav: 0 Hz", media.wav(data, rate=0), "any")
    yield _refused("wav: 4 GHz", media.wav(data, rate=4_000_000_000), "unsupported_rate", "damaged")
    yield _refused("wav: 0 bits", media.wav(data, bits=0), "any")
    yield _either("wav: 7 bits", media.wav(data, bits=7))
    yield _either("wav: block of nothing", media.wav(data, align=0))
    yield _either("wav: block of 60,000 bytes", media.wav(data, align=60_000))
    yield _accepted("wav: extensible", media.wav(data, tag=0xFFFE, extension=extensible))
    odd = extensible[:8] + bytes(range(16))
    yield _refused("wav: extensible, of no known kind", media.wav(data, tag=0xFFFE, extension=odd), "any")
    for name, tag in {"MS ADPCM": 2, "IMA ADPCM": 0x11, "GSM": 0x31, "ATRAC3": 0x270, "WMA": 0x161}.items():
        bomb = media.wav(bytes(100_000), tag=tag, bits=4, align=60_000, extension=b"\x02\0\xff\xff")
        yield _refused(f"wav: {name}", bomb, "unsupported_codec", "damaged")
    yield _either("wav: mp3 inside", media.wav(good()["mp3"], tag=0x55, bits=0, align=1))
    many = b"junk\0\0\0\0" * 2_000
    yield _refused("wav: two thousand empty chunks", media.wav(data, before=many), "empty")
    yield _accepted("wav: three megabytes of notes", media.wav(data, before=_chunk(b"LIST", bytes(3 << 20))))
    yield _refused("wav: a chunk of 4 GB", media.wav(data, before=b"junk\xf0\xff\xff\xff"), "truncated")
    sizes = struct.pack("<QQQI", 0, len(data), len(data) // 2, 0)
    rf64 = media.wav(data, riff=b"RF64", size=0xFFFFFFFF, before=_chunk(b"ds64", sizes))
    yield _accepted("wav: RF64", rf64)
    liar = struct.pack("<QQQI", 1 << 62, 1 << 62, 1 << 62, 0xFFFFFFFF)
    yield _either("wav: RF64 of exabytes", media.wav(data, riff=b"RF64", before=_chunk(b"ds64", liar)))


def _sounds() -> Iterator[HostileFile]:
    """Whole files whose sound is no use."""
    rng = np.random.default_rng(5)
    count = 72_000
    zeros = np.zeros(count, np.float32)
    yield _refused("silence", media.wav(media.pcm16(zeros)), "no_speech")
    yield _refused("direct current", media.wav(media.pcm16(zeros + 0.7)), "no_speech")
    noise = rng.normal(0, 0.1, count).astype(np.float32)
    yield _refused("noise", media.wav(media.pcm16(noise)), "no_speech")
    square = np.sign(np.sin(np.arange(count) / 40)).astype(np.float32)
    yield _refused("a square wave at full scale", media.wav(media.pcm16(square)), "no_speech")
    floats = speech(count=1).astype("<f4")

    def floating(data: np.ndarray) -> bytes:
        return media.wav(data.astype("<f4").tobytes(), tag=3, bits=32)

    yield _refused("nothing but NaN", floating(np.full(count, np.nan)), "damaged")
    yield _refused("nothing but infinity", floating(np.full(count, np.inf)), "damaged")
    yield _refused("samples of 1e38", floating(floats * 1e38), "damaged")
    some = floats.copy()
    some[::5_000] = np.nan
    yield _accepted("a few NaN", floating(some))
    double = np.full(count, 1e300).astype("<f8").tobytes()
    yield _refused("doubles of 1e300", media.wav(double, tag=3, bits=64), "damaged")
    yield _refused("ten silent hours", _silent_hours(), "too_long")


def _cut() -> Iterator[HostileFile]:
    """Every format, cut off."""
    told = {"wav", "flac", "opus", "vorbis", "m4a", "m4a_fast", "alac", "mp3", "webm", "mkv", "aac"}
    for name, data in good().items():
        half = data[: len(data) // 2]
        yield _refused(f"{name}: half", half, "truncated") if name in told else _either(f"{name}: half", half)
        codes = ("truncated", "damaged", "empty", "not_audio", "no_speech", "too_short")
        yield _refused(f"{name}: 100 bytes", data[:100], *codes)


def _random() -> Iterator[HostileFile]:
    """Noise behind each magic number."""
    source = random.Random(11)
    magics = {
        "wav": b"RIFF\xff\xff\xff\x7fWAVE",
        "wav with a format": media.wav(b"")[:36],
        "flac": b"fLaC",
        "ogg": b"OggS\0\2",
        "matroska": b"\x1aE\xdf\xa3",
        "mp4": b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42isom",
        "mp4 with a table": b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\xff\xffmoov",
        "mp3": b"\xff\xfb\x90\x64",
        "aac": b"\xff\xf1\x50\x80",
        "an ID3 tag": b"ID3\4\0\0\0\0\0\x0a" + bytes(10),
    }
    for name, magic in magics.items():
        yield _refused(f"noise behind the magic of {name}", magic + source.randbytes(20_000), "any")
    yield _refused("noise without a magic", source.randbytes(20_000).replace(b"\xff", b"\xfe"), "any")


def _polyglots() -> Iterator[HostileFile]:
    """Two things in one."""
    files = good()
    yield _refused("a PDF with a wav inside", b"%PDF-1.7\n" + files["wav"], "not_audio")
    yield _refused("a JPEG with an mp3 inside", b"\xff\xd8\xff\xfe\x7f\xff" + files["mp3"], "not_audio")
    yield _refused("HTML with an mp3 inside", b"<html>" + files["mp3"], "not_audio")
    yield _accepted(
        "a wav with a ZIP behind it", files["wav"] + b"PK\3\4" + bytes(2_000) + b"PK\5\6" + bytes(18)
    )
    yield _accepted("a flac with HTML behind it", files["flac"] + b"<script>alert(1)</script>" * 20)
    yield _either("an mp4 that begins with a wav", files["wav"][:200] + files["m4a"])


def _mp3() -> Iterator[HostileFile]:
    """Tags and frames of mp3."""
    mp3 = good()["mp3"]
    bare = media.encode(
        speech(count=1), "mp3", "libmp3lame", 24_000, options={"id3v2_version": "0", "write_xing": "0"}
    )
    yield _accepted("mp3: HTML in its tag", _id3(b"TIT2", b"\3<script>alert(1)</script>") + bare)
    yield _accepted("mp3: a picture", _id3(b"APIC", b"\0image/png\0\3\0" + _png()) + bare)
    yield _accepted(
        "mp3: four megabytes of picture", _id3(b"APIC", b"\0image/png\0\3\0" + bytes(4 << 20)) + bare
    )
    yield _refused("mp3: a tag of 256 MB", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bare, "empty", "truncated")
    yield _refused("mp3: nothing behind the tag", _id3(b"TIT2", b"\3nothing"), "empty")
    yield _refused("mp3: ten tags", _id3(b"TIT2", b"\3again") * 10 + bare, "not_audio")
    yield _refused("mp3: text behind the tag", _id3(b"TIT2", b"\3x") + b"This is text.\n" * 20, "not_audio")
    yield _either(
        "mp3: a frame in the tag that lies", b"ID3\3\0\0\0\0\0\x14APIC\x7f\xff\xff\xff" + bytes(10) + bare
    )
    parts = [bare[at : at + 1_000] for at in range(0, len(bare), 1_000)]
    garbage = random.Random(3)
    yield _either("mp3: garbage between frames", b"".join(part + garbage.randbytes(300) for part in parts))
    other = media.encode(
        speech(count=1), "mp3", "libmp3lame", 44_100, options={"id3v2_version": "0", "write_xing": "0"}
    )
    yield _refused("mp3: two rates in turn", (bare + other) * 3, "changing_format")
    at = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    lying = mp3[: at + 8] + struct.pack(">I", 1_500_000) + mp3[at + 12 :]
    yield _refused("mp3: says ten hours", lying, "truncated")
    yield _refused("mp3: free format", (b"\xff\xfb\x00\x64" + bytes(400)) * 50, "any")
    yield _refused("mp3: headers alone", b"\xff\xfb\x90\x64" * 2_000, "any")


def _flac() -> Iterator[HostileFile]:
    """Lies in the header of flac."""
    flac = good()["flac"]
    rate_at = 18  # twenty bits of rate, three of channels, five of bits, thirty-six of samples
    head = int.from_bytes(flac[rate_at : rate_at + 8], "big")

    def patched(rate: int | None = None, samples: int | None = None) -> bytes:
        value = head
        if rate is not None:
            value = value & ~(0xFFFFF << 44) | rate << 44
        if samples is not None:
            value = value & ~0xFFFFFFFFF | samples
        return flac[:rate_at] + value.to_bytes(8, "big") + flac[rate_at + 8 :]

    yield _refused("flac: says ten hours", patched(samples=864_000_000), "truncated")
    yield _either("flac: says one sample", patched(samples=1))
    yield _either("flac: says 1 Hz", patched(rate=1))
    yield _either("flac: says 0 Hz", patched(rate=0))
    picture = (
        struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">I", 0) + struct.pack(">IIIII", 1, 1, 8, 0, 69)
    )
    picture += _png()
    yield _accepted(
        "flac: a picture", flac[:42] + b"\6" + len(picture).to_bytes(3, "big") + picture + flac[42:]
    )
    lying = struct.pack(">II", 3, 0x7FFFFFFF) + b"image/png" + bytes(40)
    yield _either(
        "flac: a picture that lies", flac[:42] + b"\6" + len(lying).to_bytes(3, "big") + lying + flac[42:]
    )
    padding = b"\1" + (1 << 20).to_bytes(3, "big") + bytes(1 << 20)
    yield _accepted("flac: four megabytes of padding", flac[:42] + padding * 4 + flac[42:])
    yield _refused("flac: header alone", flac[:42].replace(b"\0\0\0\x22", b"\x80\0\0\x22", 1), "any")


def _ogg() -> Iterator[HostileFile]:
    """Chains and pages of Ogg."""
    opus, vorbis = good()["opus"], good()["vorbis"]
    sound = speech(count=1)
    slow = media.encode(
        sound, "ogg", "vorbis", 22_050, layout="stereo", codec_options={"strict": "experimental"}
    )
    yield _either("ogg: a chain of one rate", opus + opus)
    yield _either("ogg: a chain of two rates", vorbis + slow)
    yield _either("ogg: a chain of two codecs", opus + vorbis)
    yield _refused("ogg: headers alone", opus[: _page_ends(opus)[1]], "any")
    yield _refused("ogg: two hundred beginnings", opus[: _page_ends(opus)[0]] * 200, "any")
    ends = _page_ends(opus)
    yield _either(
        "ogg: pages in the wrong order", opus[: ends[1]] + opus[ends[2] :] + opus[ends[1] : ends[2]]
    )
    wild = opus.replace(b"OpusHead\1\1", b"OpusHead\1\xff")
    yield _refused("ogg: opus of 255 channels", wild, "any")
    yield _refused(
        "ogg: video", media.video_only("ogg", "libtheora") if _has("libtheora") else _theora(), "any"
    )


def _mp4() -> Iterator[HostileFile]:
    """Boxes of mp4."""
    sound = speech(count=1)
    m4a = good()["m4a"]
    yield _refused(
        "mp4: a video with sound", media.encode(sound, "mp4", "aac", 24_000, video="mpeg4"), "video"
    )
    yield _refused("mp4: a video without", media.video_only("mp4", "mpeg4"), "video")
    yield _refused(
        "mp4: an iPhone's video", media.encode(sound, "mov", "aac", 24_000, video="mpeg4"), "video"
    )
    deep = b""
    for _ in range(5_000):
        deep = struct.pack(">I", len(deep) + 8) + b"moov" + deep
    yield _refused("mp4: five thousand boxes in each other", _ftyp() + deep, "any")
    yield _refused(
        "mp4: nothing but empty boxes", _ftyp() + b"\0\0\0\x08free" * 5_000, "truncated", "damaged"
    )
    yield _refused("mp4: a box of 2^63 bytes", _ftyp() + b"\0\0\0\1moov\x7f" + b"\xff" * 7, "truncated")
    yield _refused("mp4: boxes of no size", _ftyp() + b"\0\0\0\1free" + bytes(8) + b"\0\0\0\3moov", "any")
    at = m4a.find(b"stco")
    beyond = m4a[: at + 12] + b"\x7f\xff\xff\xff" + m4a[at + 16 :]
    yield _refused("mp4: samples beyond its end", beyond, "any")
    at = m4a.find(b"stsz")
    many = m4a[: at + 8] + b"\0\0\0\1\x7f\xff\xff\xff" + m4a[at + 16 :]
    yield _either("mp4: two thousand million samples", many)
    at = m4a.find(b"mdhd")
    long = m4a[: at + 20] + struct.pack(">I", 24_000 * 36_000) + m4a[at + 24 :]
    yield _either("mp4: says ten hours", long)
    at = m4a.find(b"url ")
    away = m4a[: at + 4] + b"\0\0\0\0" + m4a[at + 8 :]
    yield _either("mp4: its sound is elsewhere", away)
    yield _either("mp4: no samples", m4a.replace(b"stts", b"free"))
    yield _accepted("mp4: the table first", good()["m4a_fast"])


def _matroska() -> Iterator[HostileFile]:
    """Elements of Matroska and WebM."""
    webm = good()["webm"]
    sound = speech(count=1)
    video = "libvpx"
    yield _refused(
        "webm: a video with sound", media.encode(sound, "webm", "libopus", 48_000, video=video), "video"
    )
    yield _refused("webm: a video without", media.video_only("webm", video), "video")
    deep = b""
    for _ in range(3_000):
        deep = b"\x18\x53\x80\x67\x08" + (len(deep)).to_bytes(7, "big") + deep
    yield _refused("matroska: segments in each other", webm[:40] + deep, "any")
    yield _refused("matroska: header alone", webm[:40], "any")
    segment = webm.find(b"\x18\x53\x80\x67")
    yield _either(
        "webm: an unknown size, as a browser writes",
        webm[: segment + 4] + b"\x01" + b"\xff" * 7 + webm[segment + 12 :],
    )
    yield _refused(
        "matroska: an element of exabytes", webm[:segment] + b"\x16\x54\xae\x6b\x01" + b"\xfe" * 7, "any"
    )
    at = webm.find(b"\x44\x89\x88")
    long = webm[: at + 3] + struct.pack(">d", 3.6e7) + webm[at + 11 :]
    yield _refused("webm: says ten hours", long, "truncated")
    wild = webm[: at + 3] + struct.pack(">d", float("nan")) + webm[at + 11 :]
    yield _either("webm: says it lasts no number", wild)


def _fuzzed() -> Iterator[HostileFile]:
    """Each format with some bits turned over."""
    source = random.Random(7)
    for name, data in good().items():
        for where, span in (("everywhere", len(data)), ("in its beginning", min(400, len(data)))):
            damaged = bytearray(data)
            for _ in range(max(4, span // 400)):
                damaged[source.randrange(4, span)] ^= 1 << source.randrange(8)
            yield _either(f"{name}: bits turned over {where}", bytes(damaged))


@cache
def _silent_hours() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as output:
        stream = output.add_stream(
            "flac", rate=4_000, options={"frame_size": "65535", "compression_level": "0"}
        )
        stream.layout = "mono"
        block = np.zeros((1, 65_535), np.int16)
        for _ in range(36_000 * 4_000 // block.size):
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = 4_000
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def _png() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    lines = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _id3(name: bytes, data: bytes) -> bytes:
    frame = name + struct.pack(">I", len(data)) + b"\0\0" + data
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame


def _ftyp() -> bytes:
    return b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom"


def _table_first(m4a: bytes) -> bytes:
    """As for streaming: the table of contents before the samples, whose places move on by its length."""
    boxes: dict[bytes, bytes] = {}
    at = 0
    while at < len(m4a):
        length = int.from_bytes(m4a[at : at + 4], "big")
        boxes[m4a[at + 4 : at + 8]] = m4a[at : at + length]
        at += length
    table = bytearray(boxes.pop(b"moov"))
    at = table.find(b"stco")
    for place in range(at + 12, at + 12 + 4 * int.from_bytes(table[at + 8 : at + 12], "big"), 4):
        moved = int.from_bytes(table[place : place + 4], "big") + len(table)
        table[place : place + 4] = moved.to_bytes(4, "big")
    return boxes.pop(b"ftyp") + bytes(table) + b"".join(boxes.values())


def _page_ends(data: bytes) -> list[int]:
    ends: list[int] = []
    at = 0
    while at < len(data):
        count = data[at + 26]
        at += 27 + count + sum(data[at + 27 : at + 27 + count])
        ends.append(at)
    return ends


def _has(codec: str) -> bool:
    return codec in av.codecs_available


def _theora() -> bytes:
    """The first page of a video in Ogg, where no encoder is at hand."""
    packet = b"\x80theora\3\2\1" + bytes(32)
    header = b"OggS\0\2" + bytes(8) + b"\1\0\0\0" + bytes(8) + bytes((1, len(packet)))
    return header + packet
