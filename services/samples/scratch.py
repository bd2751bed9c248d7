"""Storage of the decoded recording on disk, so that memory use does not grow with its length."""

import tempfile
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr  # pyright: ignore[reportMissingTypeStubs] - it ships none

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono audio, shape ``(samples,)``; full scale is 1."""

_WIDTH: Final = 4
"""Bytes per sample."""
_PIECE: Final = 1 << 18
"""Number of samples resampled at once."""
_QUALITY: Final = "HQ"


class Scratch:
    """Samples at one rate, in a temporary file without a name, or that the system removes.

    Args:
        folder: Folder of the file.
        sample_rate: Rate of the stored samples, in hertz.
    """

    def __init__(self, folder: Path, sample_rate: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by ``close``
        self._rate = sample_rate
        self._stream: soxr.ResampleStream | None = None
        self.offset = 0.0
        """Mean of the signal, subtracted from every sample that is read."""
        self.size = 0
        """Number of stored samples."""

    def __enter__(self) -> Self:
        """Return the scratch file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file."""
        self._file.close()

    def write(self, samples: Samples, source_rate: int) -> None:
        """Resample and append samples; ``source_rate`` must be the same in every call."""
        if source_rate == self._rate:
            self._keep(samples)
            return
        if self._stream is None:
            self._stream = soxr.ResampleStream(source_rate, self._rate, 1, dtype="float32", quality=_QUALITY)
        for start in range(0, samples.size, _PIECE):
            self._keep(self._stream.resample_chunk(samples[start : start + _PIECE]))

    def finish(self) -> None:
        """Flush the resampler and the file; nothing can be written afterwards."""
        if self._stream is not None:
            self._keep(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
            self._stream = None
        self._file.flush()

    def read(self, start: int, stop: int) -> Samples:
        """Read the samples from ``start`` (inclusive) to ``stop`` (exclusive)."""
        self._file.seek(start * _WIDTH)
        data = np.frombuffer(self._file.read((stop - start) * _WIDTH), np.float32)
        return data - np.float32(self.offset)

    def blocks(self, size: int) -> Generator[Samples, None, None]:
        """Yield all samples, ``size`` at a time; the last block may be shorter."""
        for start in range(0, self.size, size):
            yield self.read(start, min(start + size, self.size))

    def _keep(self, samples: Samples) -> None:
        self._file.write(samples.astype(np.float32, copy=False).tobytes())
        self.size += samples.size
