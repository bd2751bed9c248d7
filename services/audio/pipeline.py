"""The pipeline from PCM to the bytes of a response: edges → tempo → resample → encode."""

import threading
from typing import Final

import numpy as np

from engines.contract import Pcm
from services.audio.codings import Compressed, Uncompressed
from services.audio.edges import Edges
from services.audio.encoders import MAX_BUFFERED, Encoder, PlainEncoder
from services.audio.formats import AudioFormat
from services.audio.muxed import MuxedEncoder
from services.audio.resampler import Resampler
from services.audio.tempo import Tempo

MAX_SILENCE_SECONDS: Final = 600.0
"""Maximum duration of a pause in seconds."""

_BLOCK_SECONDS: Final = 2.0
"""Seconds of audio processed at once, to limit memory for long utterances."""


class AudioPipeline:
    """Turns an engine's PCM into the bytes of one response, incrementally.

    Resampling and encoding are continuous, so that utterances follow each other without gaps. Tempo is
    changed before, separately for each utterance, so that pauses are in the right place; this creates new
    edges, which are faded as well.

    Use it in one thread at a time. Only ``close`` may be called from another thread: it stops the call in
    progress and waits for it. Feed long pieces in a thread; the codecs release the GIL.

    Args:
        audio_format: Format of the response.
        source_rate: Sample rate of the engine's PCM in hertz.
        sample_rate: Sample rate of the response in hertz; ``None`` for the format's default.
        tempo: Factor from 0.25 to 4: the output is ``1 / tempo`` as long, at unchanged pitch.
        buffered: Whether to keep all data until ``finish``, so that the header has exact sizes. Formats that
            are ``exact`` are always buffered.
        max_buffered: Maximum size of the buffer in bytes.

    Raises:
        SampleRateError: The format does not support the sample rate.
        ValueError: The tempo or ``source_rate`` is out of range.
    """

    def __init__(
        self,
        audio_format: AudioFormat,
        source_rate: int,
        sample_rate: int | None = None,
        tempo: float = 1.0,
        *,
        buffered: bool = False,
        max_buffered: int = MAX_BUFFERED,
    ) -> None:
        rate = audio_format.default_rate if sample_rate is None else sample_rate
        audio_format.check_rate(rate)
        if source_rate <= 0:
            raise ValueError(f"The source's rate is {source_rate} Hz.")
        self._format = audio_format
        self._source_rate = source_rate
        self._rate = rate
        self._lock = threading.Lock()
        self._over = False
        self._edges = Edges(source_rate)
        self._tempo = Tempo(source_rate, tempo) if tempo != 1.0 else None
        self._tempo_edges = Edges(source_rate)
        self._resampler = Resampler(source_rate, rate) if rate != source_rate else None
        self._encoder = _make_encoder(
            audio_format, rate, buffered=buffered or audio_format.exact, limit=max_buffered
        )

    @property
    def format(self) -> AudioFormat:
        """Format of the response."""
        return self._format

    @property
    def sample_rate(self) -> int:
        """Sample rate of the response in hertz."""
        return self._rate

    def feed(self, pcm: Pcm) -> bytes:
        """Process samples of an utterance; return the bytes that are complete.

        Raises:
            AudioTooLong: The buffer exceeds its limit.
            RuntimeError: The pipeline is finished or closed.
        """
        with self._lock:
            self._check()
            block = round(_BLOCK_SECONDS * self._source_rate)
            return b"".join(self._shape(pcm[start : start + block]) for start in range(0, pcm.size, block))

    def end_utterance(self) -> bytes:
        """End the utterance; return its last bytes, faded if it ends abruptly."""
        with self._lock:
            self._check()
            return self._end_utterance()

    def silence(self, seconds: float) -> bytes:
        """End the utterance and add a pause, which the tempo does not change; return the complete bytes.

        Raises:
            ValueError: The pause is negative or longer than ten minutes.
        """
        if not 0 <= seconds <= MAX_SILENCE_SECONDS:
            raise ValueError(f"A pause of {seconds} s is not between 0 and {MAX_SILENCE_SECONDS:g}.")
        with self._lock:
            self._check()
            data = [self._end_utterance()]
            left = round(seconds * self._source_rate)
            block = round(_BLOCK_SECONDS * self._source_rate)
            while left:
                size = min(left, block)
                data.append(self._encode(np.zeros(size, np.int16)))
                left -= size
            return b"".join(data)

    def finish(self) -> bytes:
        """Return the last bytes of the response, with the end of the container."""
        with self._lock:
            self._check()
            data = self._end_utterance()
            if self._resampler is not None:
                data += self._emit(self._resampler.finish())
            self._over = True
            return data + self._encoder.finish()

    def close(self) -> None:
        """Free all resources, also after an abort. Further calls do nothing."""
        self._over = True
        with self._lock:
            self._encoder.close()
            if self._tempo is not None:
                self._tempo.close()

    def _check(self) -> None:
        if self._over:
            raise RuntimeError("The response is finished or closed.")

    def _shape(self, pcm: Pcm) -> bytes:
        self._check()
        shaped = self._edges.feed(pcm)
        if self._tempo is not None:
            shaped = self._tempo_edges.feed(self._tempo.feed(shaped))
        return self._encode(shaped)

    def _end_utterance(self) -> bytes:
        rest = self._edges.end_utterance()
        if self._tempo is not None:
            stretched = np.concatenate([self._tempo.feed(rest), self._tempo.end_utterance()])
            rest = np.concatenate([self._tempo_edges.feed(stretched), self._tempo_edges.end_utterance()])
        return self._encode(rest)

    def _encode(self, pcm: Pcm) -> bytes:
        if not pcm.size:
            return b""
        return self._emit(pcm if self._resampler is None else self._resampler.feed(pcm))

    def _emit(self, pcm: Pcm) -> bytes:
        return self._encoder.feed(pcm)


def _make_encoder(audio_format: AudioFormat, rate: int, *, buffered: bool, limit: int) -> Encoder:
    match audio_format.coding:
        case Compressed() as coding:
            return MuxedEncoder(coding, rate, bit_rate=audio_format.bit_rate, buffered=buffered, limit=limit)
        case Uncompressed() as coding:
            return PlainEncoder(coding, rate, wav=audio_format.wav, buffered=buffered, limit=limit)
