"""A decoder's step in shapes that come again, so that a GPU can be given all of it at once.

A step is some thousand small kernels, and starting them takes longer than running them. CUDA graphs start
all of them together, but are good for one set of shapes and addresses only. So rows and positions are
rounded up, and what is asked goes through buffers that stay where they are. Rows that are only there to fill
up lie in slots that are free, and what is computed in them is of no use to anybody.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SPAN: Final = 128
"""Positions are rounded up to a multiple of this."""

MOST: Final = 48
"""Shapes that are recorded, at most; others run as they are. Six numbers of rows by eight spans."""


class Step(Protocol):
    """A step over tensors alone: tokens, counts and ends ``(rows,)``, and the span of the attention."""

    def __call__(self, tokens: Tensor, counts: Tensor, ends: Tensor, span: int, /) -> Tensor:
        """Hidden states ``(rows, width)``."""
        ...


@dataclass(frozen=True, slots=True)
class _Recorded:
    tokens: Tensor
    counts: Tensor
    ends: Tensor
    hidden: Tensor
    graph: Any


class GraphedStep:
    """Runs a step in rounded shapes; on CUDA each is recorded when it first comes, and replayed.

    Args:
        step: What a step is. It reads and writes the slots in place.
        slots: How many there are.
        length: Positions of a slot.
        device: Where they are. Anywhere but on CUDA the step just runs.
    """

    def __init__(self, step: Step, *, slots: int, length: int, device: torch.device) -> None:
        self._step = step
        self._slots = slots
        self._length = length
        self._device = device
        self._records = device.type == "cuda"
        self._recorded: dict[tuple[int, int], _Recorded] = {}

    def __call__(self, tokens: Tensor, counts: Tensor, lengths: Sequence[int]) -> Tensor:
        """Hidden states ``(rows, width)``; the arguments are those of ``Decoder.step``."""
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
        """Record a shape. Where that fails, steps run one kernel after the other from then on.

        Running it before and while recording writes the same keys and values to the same places.
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
