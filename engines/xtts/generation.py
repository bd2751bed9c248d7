"""Continuous batching: sentences join, are decoded together token by token, and leave when they end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from engines.xtts.checks import Watch
from engines.xtts.decoder import Decoder, Prefix
from engines.xtts.sampling import Sampling, SamplingSettings

PLACEHOLDER: Final = 1
"""Audio token that stock XTTS puts at the positions of voice and text, and so treats as generated."""


@dataclass(slots=True, eq=False)
class Row:
    """A sentence being decoded.

    Attributes:
        text: Tokens of the text, without start and stop.
        prefix: Keys and values of the voice.
        sampling: Sampling settings.
        watch: Ends a defective sentence; ``None`` lets it continue to its limit.
        latents: Called with the latent ``(width,)`` of each token, including the last.
        tokens: Audio tokens so far, including the stop token.
        ended: Whether decoding has ended.
        stopped: Whether the model ended it.
    """

    text: Sequence[int]
    prefix: Prefix
    sampling: Sampling
    latents: Callable[[Tensor], None]
    watch: Watch | None = None
    tokens: list[int] = field(default_factory=list[int])
    ended: bool = False
    stopped: bool = False
    length: int = 0
    generator: torch.Generator = field(default_factory=torch.Generator)


class Generation:
    """The rows of one decoder; row ``i`` is in slot ``i``. Not thread-safe.

    Args:
        decoder: The model.
        slots: Maximum number of rows.
    """

    def __init__(self, decoder: Decoder, slots: int) -> None:
        self._decoder = decoder
        self._capacity = slots
        self._rows: list[Row] = []
        shape = decoder.shape
        self._hidden = torch.zeros(slots, shape.width, device=decoder.device)
        self._seen = torch.zeros(slots, shape.audio_tokens, dtype=torch.bool, device=decoder.device)
        self._settings: SamplingSettings | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """Rows that are being decoded."""
        return self._rows

    @property
    def free(self) -> int:
        """Number of free slots."""
        return self._capacity - len(self._rows)

    def join(self, row: Row) -> None:
        """Add a row; its text is processed immediately.

        Raises:
            IndexError: No slot is free.
        """
        if not self.free:
            raise IndexError("no slot is free")
        slot = len(self._rows)
        self._hidden[slot], row.length = self._decoder.join(slot, row.prefix, row.text)
        row.generator = row.sampling.generator()
        self._seen[slot] = False
        self._seen[slot, PLACEHOLDER] = True
        self._seen[slot, self._decoder.shape.start_audio] = True
        self._rows.append(row)
        self._settings = None

    def leave(self, row: Row) -> None:
        """Release a row's slot; the last row moves there. Does nothing if the row has left."""
        if row not in self._rows:
            return
        slot, last = self._rows.index(row), len(self._rows) - 1
        if slot != last:
            self._decoder.slots.move(last, slot, self._rows[last].length)
            self._hidden[slot] = self._hidden[last]
            self._seen[slot] = self._seen[last]
            self._rows[slot] = self._rows[last]
        self._rows.pop()
        row.ended = True
        self._settings = None

    def clear(self) -> None:
        """Remove all rows."""
        for row in list(self._rows):
            self.leave(row)

    @torch.inference_mode()
    def step(self) -> list[Row]:
        """Choose the next token of every row, and pass on its latent.

        Returns:
            The rows that have ended; they are removed.
        """
        if not self._rows:
            return []
        rows, count = list(self._rows), len(self._rows)
        latents, logits = self._decoder.read(self._hidden[:count])
        if self._settings is None:
            shape = self._decoder.shape
            self._settings = SamplingSettings(
                [row.sampling for row in rows],
                vocabulary=shape.audio_tokens,
                stop=shape.stop_audio,
                device=self._decoder.device,
            )
        chosen = self._settings.choose(
            logits,
            self._seen[:count],
            [len(row.tokens) for row in rows],
            [row.generator for row in rows],
        )
        self._seen[torch.arange(count, device=chosen.device), chosen] = True
        tokens = [int(token) for token in chosen.cpu()]
        ended = [
            row
            for row, token, latent in zip(rows, tokens, latents, strict=True)
            if self._took(row, token, latent)
        ]
        for row in ended:
            self.leave(row)
        if self._rows:
            self._advance()
        return ended

    def _took(self, row: Row, token: int, latent: Tensor) -> bool:
        """Add a row's next token; return whether it is the last."""
        row.tokens.append(token)
        row.latents(latent)
        row.stopped = token == self._decoder.shape.stop_audio
        if row.stopped or len(row.tokens) >= row.sampling.max_tokens:
            return True
        return row.watch is not None and row.watch.feed(token) is not None

    def _advance(self) -> None:
        device = self._hidden.device
        newest = torch.tensor([row.tokens[-1] for row in self._rows], device=device)
        counts = torch.tensor([len(row.tokens) for row in self._rows], device=device)
        lengths = [row.length for row in self._rows]
        self._hidden[: len(lengths)] = self._decoder.step(newest, counts, lengths)
        for row in self._rows:
            row.length += 1
