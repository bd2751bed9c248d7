"""The vocoder of XTTS: renders windows of frames to samples, in fp32, bf16, fp16 or int8.

CPU seconds per second of audio, measured with ``benchmarks/vocoder.py`` at full size with random weights, on
one core with AVX-512 BF16 and VNNI:

=================== ============== ============== ============== ================
windows of          coqui-tts fp32 fp32           bf16           int8
=================== ============== ============== ============== ================
40 frames           0.30           0.24 (1.2 x)   0.13 (2.2 x)   0.09 (3.2 x)
150 frames          0.27           0.23 (1.2 x)   0.12 (2.2 x)   0.09 (3.1 x)
4 s, as it streams  0.26           0.25 (1.0 x)   0.14 (1.9 x)   0.09 (2.8 x)
=================== ============== ============== ============== ================

With weights of unit gain, the signal-to-noise ratio relative to fp32 (see :func:`fidelity`) is 35 to 37 dB in
bf16 and 30 to 32 dB in int8; with others, it may be lower.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.fidelity import decibels
from engines.xtts.generator import Generator
from engines.xtts.latents import LatentWindow, VocoderShape, window_sizes
from engines.xtts.precision import Precision

ENDS: Final = 16
"""Multiple to which a sentence's last window is padded, in frames.

oneDNN creates and caches kernels for each length. The padding does not affect the result.
"""

MOST_ROWS: Final = 16
"""Maximum number of windows in a batch; in fp16, each takes about 30 MB of device memory."""


class Vocoder:
    """Renders windows of any sentences. Thread-safe, since calls share no state.

    On the CPU, windows are rendered one after the other: a window keeps a core busy (a batch of four or eight
    took 2 to 4 % longer in fp32, 3 to 11 % less in bf16), and its samples are bit-identical whatever the
    other windows are. On other devices windows are batched, and the samples are equal within rounding.

    Torch's number of threads is set per Python thread, and is all cores in a new one; in fp32 and bf16 the
    rounding depends on it.

    Args:
        hifi: coqui-tts' ``HifiDecoder``, of which the waveform decoder is used; it is not changed.
        precision: Precision of the convolutions.
        device: Device that it runs on.
        batched: Whether to batch windows; by default unless the device is the CPU. Never in int8.

    Raises:
        EngineUnavailable: The device does not support the precision.
    """

    def __init__(
        self, hifi: nn.Module, *, precision: Precision, device: torch.device, batched: bool | None = None
    ) -> None:
        decoder: Any = hifi
        network = decoder.waveform_decoder
        self._generator = Generator(network, precision=precision, device=device)
        alone = device.type == "cpu" if batched is None else not batched
        self._most_rows = 1 if alone or precision is Precision.INT8 else MOST_ROWS
        self._width: int = network.conv_pre.weight.shape[1]
        self.speaker_width: Final[int] = network.cond_layer.weight.shape[1]
        """Dimensions of a speaker embedding."""
        stretches = [decoder.ar_mel_length_compression / decoder.output_hop_length]
        if decoder.output_sample_rate != decoder.input_sample_rate:
            stretches.append(decoder.output_sample_rate / decoder.input_sample_rate)
        self.precision: Final = precision
        self.shape: Final = VocoderShape(
            stretches=tuple(stretches),
            samples_per_frame=self._generator.samples_per_frame,
            context=self._generator.context,
            sample_rate=decoder.output_sample_rate,
        )

    @property
    def sample_rate(self) -> int:
        """Sample rate of the output, in hertz."""
        return self.shape.sample_rate

    @property
    def samples_per_frame(self) -> int:
        """Number of samples per frame."""
        return self.shape.samples_per_frame

    @property
    def context(self) -> int:
        """Number of frames on either side of a window that its samples depend on."""
        return self.shape.context

    def every_shape(self) -> list[LatentWindow]:
        """Return a silent window of each shape in sentences, except those too short for two windows."""
        context, (first, *others) = self.context, window_sizes()
        lengths = range(ENDS, context + others[-1] + context + ENDS, ENDS)
        ends = [length - context for length in lengths if length > context]
        return [
            self._silent(0, first, context),
            *(self._silent(context, size, context) for size in others),
            *(self._silent(context, size, 0) for size in ends),
        ]

    def _silent(self, before: int, size: int, after: int) -> LatentWindow:
        samples = self.samples_per_frame
        return LatentWindow(
            frames=torch.zeros(self._width, before + size + after),
            speaker=torch.zeros(self.speaker_width, 1),
            skip=before * samples,
            keep=size * samples,
        )

    def render(self, windows: Sequence[LatentWindow]) -> list[Tensor]:
        """Return the samples of each window, ``(keep,)``, float32 from -1 to 1, on the vocoder's device."""
        rendered: dict[int, Tensor] = {}
        for rows in self._batches(windows):
            together = self._together([windows[row] for row in rows])
            rendered.update(zip(rows, together, strict=True))
        return [rendered[row] for row in range(len(windows))]

    def _batches(self, windows: Sequence[LatentWindow]) -> Iterator[list[int]]:
        """Yield rows that can share a batch, in which no padding is at a sentence's start or end."""
        kinds = [self._kind(window) for window in windows]
        for _, group in groupby(sorted(range(len(windows)), key=kinds.__getitem__), key=kinds.__getitem__):
            rows = list(group)
            for start in range(0, len(rows), self._most_rows):
                yield rows[start : start + self._most_rows]

    def _kind(self, window: LatentWindow) -> tuple[bool, bool, int]:
        starts, ends = (context < self.context for context in self._contexts(window))
        return starts, ends, window.frames.shape[-1] if starts and ends else 0

    def _contexts(self, window: LatentWindow) -> tuple[int, int]:
        """Return the numbers of context frames at the start and at the end."""
        frames = window.frames.shape[-1]
        before = window.skip // self.samples_per_frame
        return before, frames - before - window.keep // self.samples_per_frame

    def _together(self, windows: Sequence[LatentWindow]) -> list[Tensor]:
        contexts = [self._contexts(window) for window in windows]
        before = min(context for context, _ in contexts)
        after = min(context for _, context in contexts)
        longest = max(window.frames.shape[-1] for window in windows)
        ends = after < self.context
        if ends and before == self.context:
            longest = -(-longest // ENDS) * ENDS
        padded = [_padded(window.frames, longest, at_start=ends) for window in windows]
        speakers = torch.stack([window.speaker for window in windows])
        samples = self._generator.samples(torch.stack(padded), speakers, before=before, after=after)
        return [
            self._own(row, window, context, ends=ends, before=before, after=after)
            for row, window, context in zip(samples, windows, contexts, strict=True)
        ]

    def _own(
        self,
        row: Tensor,
        window: LatentWindow,
        contexts: tuple[int, int],
        *,
        ends: bool,
        before: int,
        after: int,
    ) -> Tensor:
        """Cut a window's samples from its row, counting from the side without padding."""
        if ends:
            stop = row.shape[-1] - (contexts[1] - after) * self.samples_per_frame
            return row[stop - window.keep : stop]
        start = (contexts[0] - before) * self.samples_per_frame
        return row[start : start + window.keep]


def fidelity(vocoder: Vocoder, exact: Vocoder, windows: Sequence[LatentWindow]) -> float:
    """Compute the signal-to-noise ratio of ``vocoder`` in dB, with the signal rendered by ``exact``."""
    return decibels(torch.cat(exact.render(windows)), torch.cat(vocoder.render(windows)))


def _padded(frames: Tensor, length: int, *, at_start: bool) -> Tensor:
    missing = length - frames.shape[-1]
    if missing == 0:
        return frames
    return functional.pad(frames, (missing, 0) if at_start else (0, missing))
