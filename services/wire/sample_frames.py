"""Encoding of recordings that are sent to a runner for preparation; see :mod:`services.wire.frames`."""

from collections.abc import Generator, Sequence
from typing import Final

import numpy as np
from pydantic import ValidationError

from engines.contract import ReferenceSample, UnsupportedUtterance
from services.wire.frames import BrokenStream, FrameKind, FrameReader, RecordingHeader, Recordings, frame

MAX_RECORDINGS: Final = 100
MAX_SECONDS: Final = 600.0
"""Maximum total seconds of the recordings of a voice."""

RATES: Final = (8_000, 48_000)
"""Minimum and maximum sample rate of a recording in Hz."""

_PIECE: Final = 128 * 1024
"""Maximum number of samples in a frame."""


def encode(samples: Sequence[ReferenceSample]) -> Generator[bytes, None, None]:
    """Yield the frames that carry ``samples``."""
    recordings = tuple(
        RecordingHeader(
            samples=sample.pcm.size,
            sample_rate=sample.sample_rate,
            transcript=sample.transcript,
            language=sample.language,
        )
        for sample in samples
    )
    yield frame(FrameKind.PREPARE, Recordings(recordings=recordings).model_dump_json().encode())
    for sample in samples:
        for at in range(0, sample.pcm.size, _PIECE):
            yield frame(FrameKind.AUDIO, sample.pcm[at : at + _PIECE].astype("<i2", copy=False).tobytes())
    yield frame(FrameKind.END)


class RecordingsReader:
    """Reassembles recordings from pieces of any size. Never buffers more audio than was announced."""

    def __init__(self) -> None:
        self._frames = FrameReader()
        self._recordings: tuple[RecordingHeader, ...] = ()
        self._pcm = np.empty(0, "<i2")
        self._filled = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Add the next piece.

        Raises:
            BrokenStream: The data is not in the format of :func:`encode`.
            UnsupportedUtterance: There are no recordings, too many or too long ones, or a sample rate is
                outside :data:`RATES`.
        """
        for kind, payload in self._frames.feed(data):
            if self._ended:
                raise BrokenStream("something after the end")
            if kind is FrameKind.PREPARE and not self._recordings:
                self._announced(payload)
            elif kind is FrameKind.AUDIO and payload:
                self._fill(payload)
            elif kind is FrameKind.END and self._recordings and self._filled == self._pcm.nbytes:
                self._ended = True
            else:
                raise BrokenStream(f"a frame of kind {kind.name} where none belongs")

    def finish(self) -> list[ReferenceSample]:
        """Return the recordings, after the last piece.

        Raises:
            BrokenStream: The end is missing.
        """
        if not self._ended:
            raise BrokenStream("the end is missing")
        borders = np.cumsum([recording.samples for recording in self._recordings])[:-1]
        parts = np.split(self._pcm.astype(np.int16, copy=False), borders)
        return [
            ReferenceSample(
                pcm=pcm,
                sample_rate=recording.sample_rate,
                transcript=recording.transcript,
                language=recording.language,
            )
            for pcm, recording in zip(parts, self._recordings, strict=True)
        ]

    def _announced(self, payload: bytes) -> None:
        try:
            recordings = Recordings.model_validate_json(payload).recordings
        except ValidationError as error:
            raise BrokenStream("a first frame that cannot be read") from error
        if not 1 <= len(recordings) <= MAX_RECORDINGS:
            raise UnsupportedUtterance(f"A voice needs 1 to {MAX_RECORDINGS} recordings.")
        low, high = RATES
        if any(not low <= recording.sample_rate <= high for recording in recordings):
            raise UnsupportedUtterance(f"A recording needs a sample rate from {low} to {high} Hz.")
        if sum(recording.samples / recording.sample_rate for recording in recordings) > MAX_SECONDS:
            raise UnsupportedUtterance(f"A voice can have at most {MAX_SECONDS:g} s of recordings.")
        self._recordings = recordings
        self._pcm = np.empty(sum(recording.samples for recording in recordings), "<i2")

    def _fill(self, payload: bytes) -> None:
        end = self._filled + len(payload)
        if end > self._pcm.nbytes:
            raise BrokenStream("more audio than was announced")
        self._pcm.view(np.uint8)[self._filled : end] = np.frombuffer(payload, np.uint8)
        self._filled = end
