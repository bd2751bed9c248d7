"""Sampling of the next tokens: the processors of Hugging Face's ``generate``, with settings per row.

In its order: repetition penalty (Keskar et al., "CTRL", 2019), minimum length, temperature, top-k, top-p
(Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020), one draw. The draw is that of
``torch.multinomial``: the largest quotient of a probability and an exponential variate, from the row's own
generator. So a seed gives the same tokens as stock ``Xtts.inference`` after ``torch.manual_seed``, whatever
the other rows are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling settings of a sentence.

    Attributes:
        greedy: Whether to always choose the most likely token; only the penalty and the lengths apply then.
        temperature: Divisor of the logits, above 0; lower is more certain.
        top_k: Number of most likely tokens to sample from; 0 for all.
        top_p: Total probability of the most likely tokens to sample from; 1 for all.
        repetition_penalty: Divisor of positive (factor of negative) logits of previous tokens; 1 for none.
        min_tokens: Minimum number of tokens.
        max_tokens: Maximum number of tokens.
        seed: Seed of the generator; ``None`` for a random one.
    """

    greedy: bool = False
    temperature: float = 0.75
    top_k: int = 50
    top_p: float = 0.85
    repetition_penalty: float = 5.0
    min_tokens: int = 0
    max_tokens: int = 602
    seed: int | None = None

    def generator(self) -> torch.Generator:
        """Create the row's own random generator."""
        generator = torch.Generator()
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed % (1 << 63))
        return generator


class SamplingSettings:
    """The settings of the rows that are decoded together, as columns.

    Args:
        rows: Settings of each row.
        vocabulary: Number of tokens in the vocabulary.
        stop: Token that ends a sentence.
        device: Device of the logits.
    """

    def __init__(self, rows: Sequence[Sampling], *, vocabulary: int, stop: int, device: torch.device) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)[:, None]

        self._stop = stop
        self._vocabulary = vocabulary
        self._penalty = column([row.repetition_penalty for row in rows])
        self._temperature = column([1.0 if row.greedy else row.temperature for row in rows])
        # -1 for top_p=1, so that rounding errors in the cumulative sum drop no tokens.
        self._dropped = column([1.0 - row.top_p if row.top_p < 1.0 else -1.0 for row in rows])
        ranks = [min(row.top_k, vocabulary) if row.top_k > 0 else vocabulary for row in rows]
        self._rank = torch.tensor(ranks, device=device)[:, None] - 1
        self._least = [row.min_tokens for row in rows]
        self._drawn = [index for index, row in enumerate(rows) if not row.greedy]
        self._device = device

    def choose(
        self, logits: Tensor, seen: Tensor, counts: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Choose the next token of each row.

        Args:
            logits: ``(rows, vocabulary)``, float32.
            seen: Whether the penalty applies to each token, ``(rows, vocabulary)``.
            counts: Number of tokens of each row so far.
            generators: Generator of each row, on the CPU.

        Returns:
            ``(rows,)``, int64.
        """
        penalised = torch.where(logits < 0, logits * self._penalty, logits / self._penalty)
        scores = torch.where(seen, penalised, logits)
        for row, (count, least) in enumerate(zip(counts, self._least, strict=True)):
            if count < least:
                scores[row, self._stop] = -math.inf
        chosen = scores.argmax(-1)
        if self._drawn:
            probabilities = self._probabilities(scores)
            variates = torch.ones(scores.shape)
            for row in self._drawn:
                variates[row].exponential_(generator=generators[row])
            drawn = (probabilities / variates.to(self._device)).argmax(-1)
            rows = torch.tensor(self._drawn, device=self._device)
            chosen[rows] = drawn[rows]
        return chosen

    def _probabilities(self, scores: Tensor) -> Tensor:
        scores = scores / self._temperature
        ordered, tokens = scores.sort(descending=False, dim=-1)
        least = ordered.gather(1, self._vocabulary - 1 - self._rank)
        ordered = ordered.masked_fill(ordered < least, -math.inf)
        gone = ordered.softmax(-1).cumsum(-1) <= self._dropped
        gone[:, -1] = False
        scores = torch.empty_like(scores).scatter_(1, tokens, ordered.masked_fill(gone, -math.inf))
        return scores.softmax(-1)
