"""Selection of the parts of a recording to keep: the speech, with natural pauses.

Pauses of up to 0.6 s are kept whole, as part of the way the person speaks. Longer ones are shortened to
0.6 s, since an engine reads only a limited number of seconds and learns nothing from silence.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.samples.limits import SampleLimits
from services.samples.scratch import Samples, Scratch
from services.samples.vad import Mask, runs

EDGE_SECONDS: Final = 0.16
"""Seconds kept before the first and after the last speech."""
MAX_PAUSE_SECONDS: Final = 0.6
"""Longest pause that is kept whole, in seconds."""
BLOCK_SECONDS: Final = 8
"""Length of a block, in seconds; a multiple of every step that measurements use."""
_FADE_SECONDS: Final = 0.005
"""Length of the fade at a cut, in seconds; it avoids a click."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The kept parts of a recording.

    Attributes:
        scratch: The recording.
        parts: Start (inclusive) and stop (exclusive) of each part, in samples.
        sample_rate: Hertz.
    """

    scratch: Scratch
    parts: tuple[tuple[int, int], ...]
    sample_rate: int

    @classmethod
    def of(cls, scratch: Scratch, mask: Mask, limits: SampleLimits) -> "Cut":
        """Select the parts from the speech mask, one entry per 32 ms frame."""
        edge = round(EDGE_SECONDS * limits.sample_rate)
        half = round(MAX_PAUSE_SECONDS / 2 * limits.sample_rate)
        speech = [(start * limits.frame, stop * limits.frame) for start, stop in runs(mask)]
        parts: list[tuple[int, int]] = []
        for start, stop in speech:
            if parts and start - parts[-1][1] <= 2 * half:
                parts[-1] = (parts[-1][0], stop)
            else:
                parts.append((start, stop))
        last = len(parts) - 1
        return cls(
            scratch,
            tuple(
                (
                    max(0, start - (half if n else edge)),
                    min(scratch.size, stop + (half if n < last else edge)),
                )
                for n, (start, stop) in enumerate(parts)
            ),
            limits.sample_rate,
        )

    @property
    def size(self) -> int:
        """Number of samples kept."""
        return sum(stop - start for start, stop in self.parts)

    def blocks(self) -> Generator[Samples, None, None]:
        """Yield the kept samples, :data:`BLOCK_SECONDS` seconds at a time; the last block may be shorter."""
        size = BLOCK_SECONDS * self.sample_rate
        block = np.empty(size, np.float32)
        filled = 0
        for part in self._pieces(size):
            at = 0
            while at < part.size:
                taken = min(part.size - at, size - filled)
                block[filled : filled + taken] = part[at : at + taken]
                filled, at = filled + taken, at + taken
                if filled == size:
                    yield block.copy()
                    filled = 0
        if filled:
            yield block[:filled].copy()

    def _pieces(self, size: int) -> Generator[Samples, None, None]:
        fade = round(_FADE_SECONDS * self.sample_rate)
        rise = np.linspace(0, 1, fade, dtype=np.float32)
        for start, stop in self.parts:
            for at in range(start, stop, size):
                piece = self.scratch.read(at, min(at + size, stop))
                # A part is longer than two fades; its last piece may be shorter than one.
                if at == start and start > 0:
                    piece[:fade] *= rise[: piece.size]
                if at + size >= stop and stop < self.scratch.size:
                    count = min(fade, piece.size)
                    piece[-count:] *= rise[::-1][-count:]
                yield piece
