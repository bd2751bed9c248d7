"""Conversion of one sentence's latents to windows of frames for the vocoder.

::

    latents ──× 1/speed──▶ ──× 4──▶ ──× 24000/22050──▶ frames ──▶ windows with context

It keeps pace with the decoder: a frame is computed once no later latent can change it, and a window is cut
once there are enough frames. The windows' positions depend only on the number of latents, not on their
timing, so that the same latents always give the same samples.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

FIRST: Final = 16
"""Number of frames in the first window: 171 ms, so that the first audio needs seven latents."""

GROWTH: Final = 2.0
"""Ratio of each window's length to the previous one's."""

LARGEST: Final = 96
"""Maximum number of frames in a window: 1.0 s. Longer ones save less than 2 % of the work for context."""

SLOWEST: Final = 0.05
"""Minimum speed, as in coqui-tts' ``Xtts.inference``."""


def window_sizes() -> list[int]:
    """Return the numbers of frames of the windows, up to the largest; only a sentence's last one differs."""
    sizes = [FIRST]
    while sizes[-1] < LARGEST:
        sizes.append(min(int(sizes[-1] * GROWTH), LARGEST))
    return sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderShape:
    """Relations between the latents, frames and samples of a vocoder.

    Attributes:
        stretches: Factors by which latents are interpolated to frames, in order.
        samples_per_frame: Number of samples per frame.
        context: Number of frames on either side that a frame's samples depend on.
        sample_rate: In hertz.
    """

    stretches: tuple[float, ...]
    samples_per_frame: int
    context: int
    sample_rate: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentWindow:
    """A piece of a sentence that can be vocoded by itself.

    An edge with less context than the vocoder's is the start or end of the sentence.

    Attributes:
        frames: Interpolated latents with their context, ``(width, n)``.
        speaker: Speaker embedding, ``(speaker width, 1)``.
        skip: Number of samples at the start that belong to the context.
        keep: Number of samples of the piece, after those.
    """

    frames: Tensor
    speaker: Tensor
    skip: int
    keep: int


class Interpolation:
    """Linear interpolation along time of rows that arrive in pieces, with the same result as at once.

    The arithmetic, including indices in float32, is that of ``torch.nn.functional.interpolate`` with a
    ``scale_factor`` and ``mode="linear"``, with one exception: that function copies its input if the numbers
    of input and output rows are equal, which is not known in advance. This happens in sentences of one or two
    latents.

    Args:
        factor: Number of output rows per input row.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._step = torch.tensor(1.0 / factor, dtype=torch.float32)
        self._rows: Tensor | None = None
        self._dropped = 0
        self._seen = 0
        self._given = 0

    def append(self, rows: Tensor) -> Tensor:
        """Add ``rows``, shape ``(n, width)``; return the output rows that are final now."""
        if rows.shape[0] == 0:
            return rows
        self._seen += rows.shape[0]
        self._rows = rows if self._rows is None else torch.cat((self._rows, rows))
        return self._give(last=False)

    def finish(self) -> Tensor | None:
        """Return the remaining output rows; ``None`` if there was no input."""
        return None if self._rows is None else self._give(last=True)

    def _give(self, *, last: bool) -> Tensor:
        assert self._rows is not None  # noqa: S101 - both callers have checked it
        places = torch.arange(self._given, int(self._seen * self._factor), dtype=torch.float32)
        source = ((places + 0.5) * self._step - 0.5).clamp_min_(0.0)
        below = source.long()
        if not last:
            final = int((below + 1 < self._seen).sum())
            source, below = source[:final], below[:final]
        below = below.clamp_max(self._seen - 1)
        above = (below + 1).clamp_max(self._seen - 1)
        share = (source - below).clamp_(0.0, 1.0).to(self._rows.device)[:, None]
        lower, upper = self._at(below), self._at(above)
        self._given += len(below)
        self._forget()
        return lower * (1.0 - share) + upper * share

    def _at(self, index: Tensor) -> Tensor:
        assert self._rows is not None  # noqa: S101 - as above
        return self._rows[(index - self._dropped).to(self._rows.device)]

    def _forget(self) -> None:
        """Drop the input rows that no later output row needs."""
        assert self._rows is not None  # noqa: S101 - as above
        next_below = int(((self._given + 0.5) * self._step - 0.5).clamp_min(0.0))
        unneeded = min(next_below, self._seen - 1) - self._dropped
        self._rows = self._rows[unneeded:]
        self._dropped += unneeded


class LatentStream:
    """Converts one sentence's latents to windows, as the module describes. Not thread-safe.

    Args:
        speaker: Speaker embedding, ``(speaker width, 1)``.
        config: Shape of the vocoder that the windows are for.
        speed: Rate relative to the voice's own. The latents are stretched, not the audio.
        first: Number of frames in the first window.
        growth: Ratio of each window's length to the previous one's.
        largest: Maximum number of frames in a window; the sentence's last may be longer by the context.
    """

    def __init__(
        self,
        speaker: Tensor,
        *,
        config: VocoderShape,
        speed: float = 1.0,
        first: int = FIRST,
        growth: float = GROWTH,
        largest: int = LARGEST,
    ) -> None:
        pace = 1.0 / max(speed, SLOWEST)
        factors = config.stretches if pace == 1.0 else (pace, *config.stretches)
        self._steps = [Interpolation(factor) for factor in factors]
        self._frames_per_latent = 1.0
        for factor in factors:
            self._frames_per_latent *= factor
        self._speaker = speaker
        self._config = config
        self._size = float(first)
        self._growth = growth
        self._largest = largest
        self._latents: list[Tensor] = []
        self._seen = 0
        self._frames: Tensor | None = None
        self._dropped = 0
        self._position = 0
        self._finished = False
        self._drained = False

    def append(self, latents: Tensor) -> None:
        """Add the next latents, ``(n, width)``, float32.

        Raises:
            ValueError: :meth:`finish` was called before.
        """
        if self._finished:
            raise ValueError("latents after the end")
        self._latents.append(latents)
        self._seen += latents.shape[0]

    def finish(self) -> None:
        """Mark the end of the latents."""
        self._finished = True

    @property
    def position(self) -> int:
        """Number of frames in the windows so far, without context."""
        return self._position

    @property
    def done(self) -> bool:
        """Whether the whole sentence was cut into windows."""
        if not self._finished:
            return False
        self._interpolate()
        return self._position == self._final

    def next_window(self) -> LatentWindow | None:
        """Cut the next window; ``None`` if more latents are needed, or after the last window."""
        size = min(int(self._size), self._largest)
        wanted = self._position + size + self._config.context
        # Skip the interpolation if there are too few latents in any case. One frame is for rounding.
        if not self._finished and self._seen * self._frames_per_latent + 1.0 < wanted:
            return None
        self._interpolate()
        if self._final < wanted:
            if not self._finished or self._final == self._position:
                return None
            size = self._final - self._position
        self._size = min(self._size * self._growth, float(self._largest))
        return self._cut(size)

    @property
    def _final(self) -> int:
        """Number of final frames, including those already cut."""
        return self._dropped + (0 if self._frames is None else self._frames.shape[0])

    def _interpolate(self) -> None:
        """Compute the frames that are final now."""
        if self._drained:
            return
        pieces = [torch.cat(self._latents)] if self._latents else []
        self._latents.clear()
        for step in self._steps:
            pieces = [step.append(piece) for piece in pieces]
            rest = step.finish() if self._finished else None
            pieces += [] if rest is None else [rest]
        held = [] if self._frames is None else [self._frames]
        if pieces:
            self._frames = torch.cat((*held, *pieces))
        self._drained = self._finished

    def _cut(self, size: int) -> LatentWindow:
        assert self._frames is not None  # noqa: S101 - the caller has counted them
        context, samples = self._config.context, self._config.samples_per_frame
        before = self._position - max(0, self._position - context)
        start = self._position - before - self._dropped
        frames = self._frames[start : start + before + size + context]
        window = LatentWindow(
            frames=frames.T, speaker=self._speaker, skip=before * samples, keep=size * samples
        )
        self._position += size
        unneeded = max(0, self._position - context - self._dropped)
        self._frames = self._frames[unneeded:]
        self._dropped += unneeded
        return window
