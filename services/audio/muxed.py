# PyAV's stubs leave the type of a packet's stream open.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""Encoding of MP3, Opus, AAC and FLAC with FFmpeg's libraries, in process."""

import io
from fractions import Fraction
from typing import Final, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

from engines.contract import Pcm
from services.audio.codings import Compressed
from services.audio.encoders import AudioTooLong

_EMPTY_SECONDS: Final = 0.02
"""Seconds of silence in a response without any samples."""


class _Outlet(io.RawIOBase):
    """Collects the output of a muxer; not seekable."""

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
    """Encodes with FFmpeg, in a container.

    Args:
        coding: Coding of the response.
        sample_rate: Sample rate in hertz.
        bit_rate: Bits per second; ``None`` for the coding's default for the sample rate.
        buffered: Whether to keep all data until ``finish``; the header then has the exact length.
        limit: Maximum size of the buffer in bytes.
    """

    def __init__(
        self, coding: Compressed, sample_rate: int, *, bit_rate: int | None, buffered: bool, limit: int
    ) -> None:
        self._rate = sample_rate
        self._limit = limit
        self._position = 0
        self._sample_format = coding.sample_format
        self._closed = False
        self._outlet = None if buffered else _Outlet()
        self._file = io.BytesIO() if buffered else None
        options = {"flush_packets": "1", **coding.muxing, **({} if buffered else coding.streamed)}
        self._container = av.open(self._outlet or self._file, "w", format=coding.container, options=options)
        codec_options = dict(coding.options)
        if coding.frames:
            codec_options["frame_size"] = str(sample_rate // coding.frames)
        stream = self._container.add_stream(coding.codec, rate=sample_rate, options=codec_options)
        self._stream = cast("AudioStream", stream)
        context = self._stream.codec_context
        context.layout = "mono"
        context.format = coding.sample_format
        context.time_base = Fraction(1, sample_rate)
        if bits := coding.bit_rate(sample_rate):
            context.bit_rate = bit_rate or bits

    def feed(self, pcm: Pcm) -> bytes:
        """Encode samples; return the bytes that are complete.

        Raises:
            AudioTooLong: The buffer exceeds its limit.
        """
        if pcm.size:
            self._encode(pcm)
        if self._file is not None and self._file.tell() > self._limit:
            raise AudioTooLong(self._limit)
        return self._outlet.take() if self._outlet is not None else b""

    def finish(self) -> bytes:
        """Flush the encoder and end the container; return the remaining bytes."""
        if not self._position:
            # Without samples, the muxer would write no file at all.
            self._encode(np.zeros(round(self._rate * _EMPTY_SECONDS), np.int16))
        self._container.mux(self._stream.encode(None))
        self._end()
        if self._outlet is not None:
            return self._outlet.take()
        return self._file.getvalue() if self._file is not None else b""

    def close(self) -> None:
        """Free the encoder and the container."""
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
