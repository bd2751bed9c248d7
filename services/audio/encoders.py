"""Encoders: PCM at the response's rate in, bytes out, as early as the coding allows.

Exceptions::

    ValueError
    └── AudioTooLong    the buffer that is kept until the end reached its limit
"""

from typing import Final, Protocol

import numpy as np

from engines.contract import Pcm
from services.audio import g711
from services.audio.codings import Uncompressed
from services.audio.wav import wav_header

MAX_BUFFERED: Final = 64 * 1024 * 1024
"""Bytes of a response kept until its end, at most: 23 minutes of 24 kHz WAV, over two hours of µ-law."""


class AudioTooLong(ValueError):  # noqa: N818 - named for the cause
    """The buffer that is kept until the end reached its limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The audio would exceed the {limit} bytes that can be buffered.")


class Encoder(Protocol):
    """One response's encoder; not thread-safe."""

    def feed(self, pcm: Pcm) -> bytes:
        """Encode samples; what is not complete yet stays inside.

        Raises:
            AudioTooLong: More is kept than allowed.
        """
        ...

    def finish(self) -> bytes:
        """The remaining bytes and the container's end; frees everything."""
        ...

    def close(self) -> None:
        """Free everything; safe to repeat, and without ``finish``."""
        ...


class PlainEncoder:
    """PCM and G.711, bare or in WAV.

    Args:
        coding: Of the samples.
        sample_rate: Hertz.
        wav: Wrap them in RIFF/WAVE.
        buffered: Keep everything until ``finish``; a WAV header then has exact sizes.
        limit: Bytes kept, at most.
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
        """Encode samples."""
        data = self._encode(pcm)
        if not self._buffered:
            return self._header() + data
        if len(self._kept) + len(data) > self._limit:
            raise AudioTooLong(self._limit)
        self._kept += data
        return b""

    def finish(self) -> bytes:
        """The header, if nothing was sent yet, and what was kept."""
        if not self._buffered:
            return self._header()
        kept = bytes(self._kept)
        self.close()
        if not self._wav:
            return kept
        return wav_header(self._coding, self._rate, len(kept)) + kept + b"\0" * (len(kept) % 2)

    def close(self) -> None:
        """Drop what was kept."""
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
