# PyAV's stubs leave the type of a packet's stream open.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""mp3, Opus, AAC and FLAC through FFmpeg's libraries, in process."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Literal, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

from engines.contract import Pcm
from services.audio.encoders import AudioTooLong
from services.audio.formats import AudioFormat, Coding

_SPEECH_BIT_RATES: Final = ((12_000, 32_000), (16_000, 48_000), (24_000, 96_000), (48_000, 128_000))
"""Highest sample rate, and the bits a second up to it; MPEG-2.5 allows no more than 64,000."""

_OPUS_BIT_RATES: Final = ((12_000, 24_000), (16_000, 32_000), (48_000, 48_000))

_FRAMES: Final = 50
"""A second, of FLAC's. Short ones cost 1.5 % of size and give the first sound after 20 ms instead of 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """How FFmpeg makes a coding.

    Attributes:
        container: The muxer.
        codec: The encoder.
        sample_format: What the encoder takes.
        muxing: Options of the muxer.
        streamed: More of them, for when it cannot go back.
        options: Of the encoder.
        bit_rates: Highest sample rate and bits a second; empty for a lossless coding.
    """

    container: str
    codec: str
    sample_format: Literal["s16", "s16p", "fltp"]
    muxing: Mapping[str, str] = field(default_factory=dict[str, str])
    streamed: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    bit_rates: tuple[tuple[int, int], ...] = ()


_RECIPES: Final[Mapping[Coding, _Recipe]] = MappingProxyType(
    {
        # No bit reservoir: each frame stands alone. A stream has no Xing header, whose counts would be wrong;
        # at a constant bit rate the size tells the duration. Level 7 takes 60 % of the default's time.
        "mp3": _Recipe(
            container="mp3",
            codec="libmp3lame",
            sample_format="s16p",
            muxing={"id3v2_version": "0"},
            streamed={"write_xing": "0"},
            options={"reservoir": "0", "compression_level": "7"},
            bit_rates=_SPEECH_BIT_RATES,
        ),
        # One packet a page; complexity 5 takes a third of the default's time.
        "opus": _Recipe(
            container="ogg",
            codec="libopus",
            sample_format="s16",
            muxing={"page_duration": "20000"},
            options={"frame_duration": "20", "compression_level": "5"},
            bit_rates=_OPUS_BIT_RATES,
        ),
        # The fast coder takes a third of the default's time and keeps to the bit rate better.
        "aac": _Recipe(
            container="adts",
            codec="aac",
            sample_format="fltp",
            options={"aac_coder": "fast"},
            bit_rates=_SPEECH_BIT_RATES,
        ),
        # Without this the first bytes are 8 KiB of padding for tags that nobody will write.
        "flac": _Recipe(
            container="flac",
            codec="flac",
            sample_format="s16",
            muxing={"metadata_header_padding": "0"},
            options={"compression_level": "5"},
        ),
    }
)


class _Outlet(io.RawIOBase):
    """Where a muxer writes a response: it cannot go back."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        before = len(self._written)
        self._written += cast("bytes", data)
        return len(self._written) - before

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


class MuxedEncoder:
    """An encoder of FFmpeg's and its container.

    Args:
        audio_format: Of the response.
        sample_rate: Hertz.
        buffered: Keep everything until ``finish``; the container's header then tells the exact length.
        limit: Bytes kept, at most.
    """

    def __init__(self, audio_format: AudioFormat, sample_rate: int, *, buffered: bool, limit: int) -> None:
        recipe = _RECIPES[audio_format.coding]
        self._rate = sample_rate
        self._limit = limit
        self._position = 0
        self._sample_format = recipe.sample_format
        self._closed = False
        self._outlet = None if buffered else _Outlet()
        self._file = io.BytesIO() if buffered else None
        options = {"flush_packets": "1", **recipe.muxing, **({} if buffered else recipe.streamed)}
        self._container = av.open(self._outlet or self._file, "w", format=recipe.container, options=options)
        codec_options = dict(recipe.options)
        if audio_format.coding == "flac":
            codec_options["frame_size"] = str(sample_rate // _FRAMES)
        stream = self._container.add_stream(recipe.codec, rate=sample_rate, options=codec_options)
        self._stream = cast("AudioStream", stream)
        context = self._stream.codec_context
        context.layout = "mono"
        context.format = recipe.sample_format
        context.time_base = Fraction(1, sample_rate)
        if recipe.bit_rates:
            context.bit_rate = audio_format.bit_rate or next(
                bits for highest, bits in recipe.bit_rates if sample_rate <= highest
            )

    def feed(self, pcm: Pcm) -> bytes:
        """Encode samples."""
        if pcm.size:
            self._encode(pcm)
        if self._file is not None and self._file.tell() > self._limit:
            raise AudioTooLong(self._limit)
        return self._outlet.take() if self._outlet is not None else b""

    def finish(self) -> bytes:
        """Flush the codec and end the container."""
        if not self._position:
            # Without a sample there would be no file at all.
            self._encode(np.zeros(self._rate // _FRAMES, np.int16))
        self._container.mux(self._stream.encode(None))
        self._end()
        if self._outlet is not None:
            return self._outlet.take()
        return self._file.getvalue() if self._file is not None else b""

    def close(self) -> None:
        """Free the contexts."""
        self._end()
        if self._outlet is not None:
            self._outlet.take()

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            self._container.close()

    def _encode(self, pcm: Pcm) -> None:
        samples = self._samples(pcm)
        frame = av.AudioFrame.from_ndarray(samples, format=self._sample_format, layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._position
        frame.time_base = Fraction(1, self._rate)
        self._position += pcm.size
        self._container.mux(self._stream.encode(frame))

    def _samples(self, pcm: Pcm) -> npt.NDArray[np.int16] | npt.NDArray[np.float32]:
        if self._sample_format == "fltp":
            return (pcm.astype(np.float32) * np.float32(1 / 32_768))[np.newaxis]
        return np.ascontiguousarray(pcm)[np.newaxis]
