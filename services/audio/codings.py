"""Codings of samples as bytes, with all their parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Law = Literal["ulaw", "alaw"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Uncompressed:
    """Samples of a constant size, raw or in WAV. Encoding a second takes 0.5 ms: a thread would cost more.

    Attributes:
        name: Name of the format without a container.
        width: Size of a sample in bytes.
        wav_tag: Format tag in a WAV header (RFC 2361).
        law: Companding law of G.711; ``None`` for linear PCM, signed and little-endian.
    """

    name: str
    width: int
    wav_tag: int
    law: Law | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compressed:
    """An encoder of FFmpeg and its container.

    Attributes:
        name: Name of the format.
        container: Name of the muxer.
        codec: Name of the encoder.
        sample_format: Sample format of the encoder's input.
        muxing: Options of the muxer.
        streamed: Additional options of the muxer for an output that is not seekable.
        options: Options of the encoder.
        frames: Frames per second, if the frame length is an option of the encoder.
        bit_rates: Pairs of a maximum sample rate in hertz and a bit rate in bits per second, ascending; empty
            for a lossless coding.
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
        """Return the bit rate for speech at a sample rate in hertz; ``None`` for a lossless coding."""
        return next((bits for highest, bits in self.bit_rates if sample_rate <= highest), None)


Coding: TypeAlias = Uncompressed | Compressed

PCM: Final = Uncompressed(name="pcm", width=2, wav_tag=1)
ULAW: Final = Uncompressed(name="ulaw", width=1, wav_tag=7, law="ulaw")
ALAW: Final = Uncompressed(name="alaw", width=1, wav_tag=6, law="alaw")

_SPEECH_BIT_RATES: Final = ((12_000, 32_000), (16_000, 48_000), (24_000, 96_000), (48_000, 128_000))
"""Bit rates for MPEG audio; MPEG-2.5, up to 12,000 Hz, allows at most 64,000."""

# No bit reservoir, so that frames are independent. Streams have no Xing header, since its counts would be
# wrong; at a constant bit rate, the size gives the duration. Level 7 takes 60 % of the default's time.
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

# One packet per page; complexity 5 takes a third of the default's time.
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

# Without the muxer's option, the stream starts with 8 KiB of unused padding for tags. Short frames increase
# the size by 1.5 %, and give the first sound after 20 ms instead of 100.
FLAC: Final = Compressed(
    name="flac",
    container="flac",
    codec="flac",
    sample_format="s16",
    muxing={"metadata_header_padding": "0"},
    options={"compression_level": "5"},
    frames=50,
)
