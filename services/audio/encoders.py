"""Encoders of PCM at the response's sample rate; they output bytes as early as the coding allows."""

from typing import Final, Protocol

import numpy as np

from engines.contract import Pcm
from services.audio import g711
from services.audio.codings import Uncompressed
from services.audio.wav import wav_header

MAX_BUFFERED: Final = 64 * 1024 * 1024
"""Maximum size of a buffered response in bytes: 23 minutes of 24 kHz WAV, over two hours of µ-law."""


class AudioTooLong(ValueError):  # noqa: N818 - named for the cause
    """A buffered response exceeds its maximum size."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The audio would exceed the {limit} bytes that can be buffered.")


class Encoder(Protocol):
    """The encoder of one response; not thread-safe."""

    def feed(self, pcm: Pcm) -> bytes:
        """Encode samples; return the bytes that are complete.

        Raises:
            AudioTooLong: The buffer exceeds its limit.
        """
        ...

    def finish(self) -> bytes:
        """Return the remaining bytes, including the container's end, and free all resources."""
        ...

    def close(self) -> None:
        """Free all resources, also without ``finish``. Further calls do nothing."""
        ...


class PlainEncoder:
    """Encodes PCM and G.711, raw or in WAV.

    Args:
        coding: Coding of the samples.
        sample_rate: Sample rate in hertz.
        wav: Whether to wrap them in RIFF/WAVE.
        buffered: Whether to keep all data until ``finish``; a WAV header then has exact sizes.
        limit: Maximum size of the buffer in bytes.
    """

    def __init__(
        self, coding: Uncompressed, sample_rate: int, *, wav: bool, buffered: bool, limit: int
    ) -> None:
        self._coding = coding
        self._wav = wav
        self._rate = sample_rate
        self._buffered = buffered
        self._limit = limit
        self._kept = bytearray()
        self._header_due = wav and not buffered

    def feed(self, pcm: Pcm) -> bytes:
        """Encode samples; return the bytes that are complete."""
        data = self._encode(pcm)
        if not self._buffered:
            return self._header() + data
        if len(self._kept) + len(data) > self._limit:
            raise AudioTooLong(self._limit)
        self._kept += data
        return b""

    def finish(self) -> bytes:
        """Return the buffered data with its header, or the header if it has not been sent."""
        if not self._buffered:
            return self._header()
        kept = bytes(self._kept)
        self.close()
        if not self._wav:
            return kept
        return wav_header(self._coding, self._rate, len(kept)) + kept + b"\0" * (len(kept) % 2)

    def close(self) -> None:
        """Discard the buffer."""
        self._kept.clear()

    def _encode(self, pcm: Pcm) -> bytes:
        if self._coding.law is None:
            return pcm.astype(np.dtype("<i2"), copy=False).tobytes()
        return g711.encode(pcm, self._coding.law)

    def _header(self) -> bytes:
        if not self._header_due:
            return b""
        self._header_due = False
        return wav_header(self._coding, self._rate, None)
