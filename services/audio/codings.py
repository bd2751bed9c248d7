"""Codings: how samples become bytes. Everything that depends on the coding is here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Law = Literal["ulaw", "alaw"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Uncompressed:
    """Samples of a constant size, bare or in WAV. Encoding a second takes 0.5 ms, less than a thread costs.

    Attributes:
        name: Of the format without a container.
        width: Bytes of a sample.
        wav_tag: The format tag in a WAV header, of RFC 2361.
        law: G.711's; ``None`` is linear PCM, signed and little-endian.
    """

    name: str
    width: int
    wav_tag: int
    law: Law | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compressed:
    """A coding of FFmpeg's libraries and its container.

    Attributes:
        name: Of the format.
        container: The muxer.
        codec: The encoder.
        sample_format: The encoder's input format.
        muxing: Options of the muxer.
        streamed: More of them, for an output that is not seekable.
        options: Of the encoder.
        frames: Per second, where the frame length is an option of the encoder.
        bit_rates: Highest sample rate and bits a second; empty for a lossless coding.
    """

    name: str
    container: str
    codec: str
    sample_format: Literal["s16", "s16p", "fltp"]
    muxing: Mapping[str, str] = field(default_factory=dict[str, str])
    streamed: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    frames: int | None = None
    bit_rates: tuple[tuple[int, int], ...] = ()

    def bit_rate(self, sample_rate: int) -> int | None:
        """Bits a second that suit speech at a sample rate (hertz); ``None`` for a lossless coding."""
        return next((bits for highest, bits in self.bit_rates if sample_rate <= highest), None)


Coding: TypeAlias = Uncompressed | Compressed

PCM: Final = Uncompressed(name="pcm", width=2, wav_tag=1)
ULAW: Final = Uncompressed(name="ulaw", width=1, wav_tag=7, law="ulaw")
ALAW: Final = Uncompressed(name="alaw", width=1, wav_tag=6, law="alaw")

_SPEECH_BIT_RATES: Final = ((12_000, 32_000), (16_000, 48_000), (24_000, 96_000), (48_000, 128_000))
"""MPEG-2.5, up to 12,000 Hz, allows no more than 64,000."""

# No bit reservoir: each frame is independent. A stream has no Xing header, whose counts would be wrong; at a
# constant bit rate the size tells the duration. Level 7 takes 60 % of the default's time.
MP3: Final = Compressed(
    name="mp3",
    container="mp3",
    codec="libmp3lame",
    sample_format="s16p",
    muxing={"id3v2_version": "0"},
    streamed={"write_xing": "0"},
    options={"reservoir": "0", "compression_level": "7"},
    bit_rates=_SPEECH_BIT_RATES,
)

# One packet a page; complexity 5 takes a third of the default's time.
OPUS: Final = Compressed(
    name="opus",
    container="ogg",
    codec="libopus",
    sample_format="s16",
    muxing={"page_duration": "20000"},
    options={"frame_duration": "20", "compression_level": "5"},
    bit_rates=((12_000, 24_000), (16_000, 32_000), (48_000, 48_000)),
)

# The fast coder takes a third of the default's time and keeps to the bit rate better.
AAC: Final = Compressed(
    name="aac",
    container="adts",
    codec="aac",
    sample_format="fltp",
    options={"aac_coder": "fast"},
    bit_rates=_SPEECH_BIT_RATES,
)

# Without the option of the muxer the first bytes are 8 KiB of padding for tags that nobody will write. Short
# frames cost 1.5 % of size and give the first sound after 20 ms instead of 100.
FLAC: Final = Compressed(
    name="flac",
    container="flac",
    codec="flac",
    sample_format="s16",
    muxing={"metadata_header_padding": "0"},
    options={"compression_level": "5"},
    frames=50,
)
