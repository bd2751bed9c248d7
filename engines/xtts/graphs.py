"""A decoder's step in recurring shapes, so that a GPU can run it as a CUDA graph.

A step has some thousand small kernels, whose launches take longer than their execution. A CUDA graph launches
all of them together, but has fixed shapes and addresses. So rows and positions are rounded up, and inputs are
copied to fixed buffers. Padding rows use free slots, and their results are discarded.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SPAN: Final = 128
"""Multiple to which positions are rounded up."""

MOST: Final = 48
"""Maximum number of recorded shapes (six numbers of rows by eight spans); others run without a graph."""


class Step(Protocol):
    """A step whose inputs are tensors: tokens, counts and ends ``(rows,)``, and the span of the attention."""

    def __call__(self, tokens: Tensor, counts: Tensor, ends: Tensor, span: int, /) -> Tensor:
        """Run the step; return the hidden states ``(rows, width)``."""
        ...


@dataclass(frozen=True, slots=True)
class _Recorded:
    tokens: Tensor
    counts: Tensor
    ends: Tensor
    hidden: Tensor
    graph: Any


class GraphedStep:
    """Runs a step in rounded shapes; on CUDA, each shape is recorded on first use, and replayed.

    Args:
        step: The step, which updates the slots in place.
        slots: Number of slots.
        length: Number of positions in a slot.
        device: Device of the slots. On others than CUDA, nothing is recorded.
    """

    def __init__(self, step: Step, *, slots: int, length: int, device: torch.device) -> None:
        self._step = step
        self._slots = slots
        self._length = length
        self._device = device
        self._records = device.type == "cuda"
        self._recorded: dict[tuple[int, int], _Recorded] = {}

    def __call__(self, tokens: Tensor, counts: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the hidden states ``(rows, width)``; for the arguments, see ``Decoder.step``."""
        rows = len(lengths)
        size = min(self._slots, 1 << (rows - 1).bit_length())
        span = min(self._length, -(-(max(lengths) + 1) // SPAN) * SPAN)
        fill = size - rows
        ends = torch.tensor([*lengths, *(0 for _ in range(fill))], device=self._device)
        tokens, counts = (torch.nn.functional.pad(each, (0, fill)) for each in (tokens, counts))
        return self._run(tokens, counts, ends, span)[:rows]

    def _run(self, tokens: Tensor, counts: Tensor, ends: Tensor, span: int) -> Tensor:
        shape = (len(tokens), span)
        if self._records and shape not in self._recorded and len(self._recorded) < MOST:
            self._record(tokens, counts, ends, span)
        recorded = self._recorded.get(shape)
        if recorded is None:
            return self._step(tokens, counts, ends, span)
        recorded.tokens.copy_(tokens)
        recorded.counts.copy_(counts)
        recorded.ends.copy_(ends)
        recorded.graph.replay()
        return recorded.hidden.clone()

    def _record(self, tokens: Tensor, counts: Tensor, ends: Tensor, span: int) -> None:
        """Record a shape. If that fails, all new shapes run without a graph from then on.

        The runs before and during the recording write the same keys and values to the same positions.
        """
        tokens, counts, ends = tokens.clone(), counts.clone(), ends.clone()
        try:
            side: Any = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._step(tokens, counts, ends, span)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                hidden = self._step(tokens, counts, ends, span)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            logger.warning("steps could not be recorded as CUDA graphs", exc_info=True)
            self._records = False
        else:
            self._recorded[len(tokens), span] = _Recorded(tokens, counts, ends, hidden, graph)
