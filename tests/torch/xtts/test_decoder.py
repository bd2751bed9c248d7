"""The decoder beside stock coqui-tts: the same tokens and latents, in any company."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from engines.xtts.checkpoint import Checkpoint, load_checkpoint
from engines.xtts.decoder import Decoder
from engines.xtts.generation import Generation, Row
from engines.xtts.precision import Precision
from engines.xtts.sampling import Sampling

from stock_xtts import load_stock

SLOTS = 16
TEXTS = (
    ("hi.", "en"),
    ("hello there, this is a somewhat longer sentence to say aloud.", "en"),
    ("नमस्ते, यह एक परीक्षण है और यह वाक्य लंबा है।", "hi"),
    ("short one, please.", "en"),
    ("buenos días.", "es"),
)


@dataclass(frozen=True)
class Subject:
    """One checkpoint in stock coqui-tts and in ours, and voices to speak with."""

    stock: Any
    checkpoint: Checkpoint
    decoder: Decoder
    voices: list[Tensor]

    def text(self, index: int) -> list[int]:
        text, language = TEXTS[index % len(TEXTS)]
        return list(self.checkpoint.tokenizer.encode(text, lang=language))

    def row(self, index: int, sampling: Sampling) -> tuple[Row, list[Tensor]]:
        latents: list[Tensor] = []
        voice = self.voices[index % len(self.voices)]
        return Row(self.text(index), self.decoder.prefix(voice), sampling, latents.append), latents

    def alone(self, index: int, sampling: Sampling) -> tuple[list[int], np.ndarray]:
        """What stock ``Xtts.inference`` decodes, and the latents of its second pass."""
        text, language = TEXTS[index % len(TEXTS)]
        codes: list[list[int]] = []
        generate: Callable[..., Tensor] = self.stock.gpt.generate

        def listening(*args: Any, **kwargs: Any) -> Tensor:
            found = generate(*args, **kwargs)
            codes.append(found[0].tolist())
            return found

        self.stock.gpt.generate = listening
        if sampling.seed is not None:
            torch.manual_seed(sampling.seed)
        least = {"min_new_tokens": sampling.min_tokens} if sampling.min_tokens else {}
        try:
            spoken = self.stock.inference(
                text,
                language,
                self.voices[index % len(self.voices)][None],
                torch.ones(1, self.checkpoint.shape.speaker, 1),
                do_sample=not sampling.greedy,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                repetition_penalty=sampling.repetition_penalty,
                max_new_tokens=sampling.max_tokens,
                **least,
            )
        finally:
            self.stock.gpt.generate = generate
        return codes[0], spoken["gpt_latents"][0]


@pytest.fixture(scope="module")
def subject(tiny_xtts: Path) -> Subject:
    checkpoint = load_checkpoint(tiny_xtts)
    generator = torch.Generator().manual_seed(5)
    shape = checkpoint.shape
    voices = [torch.randn(shape.latents, shape.width, generator=generator) for _ in range(4)]
    decoder = Decoder(checkpoint.gpt, shape, slots=SLOTS)
    return Subject(load_stock(tiny_xtts), checkpoint, decoder, voices)


def decode(subject: Subject, rows: Sequence[Row], waits: Sequence[int], slots: int = SLOTS) -> None:
    """Decode rows that come after so many steps, and then wait for a slot."""
    generation = Generation(subject.decoder, slots)
    coming = sorted(zip(waits, range(len(rows)), strict=True))
    step = 0
    while coming or generation.rows:
        while coming and coming[0][0] <= step and generation.free:
            generation.join(rows[coming.pop(0)[1]])
        generation.step()
        step += 1
    assert generation.free == slots


@pytest.mark.parametrize("greedy", [True, False])
def test_a_sentence_is_decoded_as_by_stock_xtts(subject: Subject, greedy: bool) -> None:
    for index in range(len(TEXTS)):
        sampling = Sampling(greedy=greedy, seed=100 + index, max_tokens=60)
        tokens, latents = subject.alone(index, sampling)
        row, ours = subject.row(index, sampling)
        decode(subject, [row], [0])
        assert row.tokens == tokens
        assert np.abs(torch.stack(ours).numpy() - latents).max() < 2e-4


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 16), slots=st.integers(1, SLOTS), seed=st.integers(0, 1 << 30))
def test_whoever_shares_the_batch_changes_nothing(
    subject: Subject, count: int, slots: int, seed: int
) -> None:
    """Rows of any text, voice, settings and length, which come and go: each is what it is alone."""
    chance = random.Random(seed)
    samplings = [
        Sampling(
            greedy=chance.random() < 0.5,
            temperature=chance.choice([0.3, 0.75, 1.5]),
            top_k=chance.choice([0, 1, 50, 10_000]),
            top_p=chance.choice([0.3, 0.85, 1.0]),
            repetition_penalty=chance.choice([1.0, 2.0, 5.0, 10.0]),
            min_tokens=chance.choice([0, 0, 20]),
            max_tokens=chance.choice([1, 12, 40]),
            seed=chance.randrange(1 << 40),
        )
        for _ in range(count)
    ]
    picks = [chance.randrange(20) for _ in range(count)]
    pairs = [subject.row(pick, sampling) for pick, sampling in zip(picks, samplings, strict=True)]
    decode(subject, [row for row, _ in pairs], [chance.choice([0, 0, 7, 25]) for _ in range(count)], slots)
    for pick, sampling, (row, latents) in zip(picks, samplings, pairs, strict=True):
        alone, expected = subject.row(pick, sampling)
        decode(subject, [alone], [0])
        assert row.tokens == alone.tokens
        assert torch.allclose(torch.stack(latents), torch.stack(expected), atol=2e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 16])
def test_a_greedy_batch_gives_the_tokens_of_stock_xtts(subject: Subject, count: int) -> None:
    samplings = [Sampling(greedy=True, max_tokens=20 + 4 * index) for index in range(count)]
    rows = [subject.row(index, sampling)[0] for index, sampling in enumerate(samplings)]
    decode(subject, rows, [3 * (index % 4) for index in range(count)])
    for index, sampling in enumerate(samplings):
        assert rows[index].tokens == subject.alone(index, sampling)[0]


@pytest.mark.parametrize(("count", "slots"), [(1, 16), (3, 16), (7, 12), (13, 16)])
def test_rows_that_attend_together_are_the_same(subject: Subject, count: int, slots: int) -> None:
    """What a GPU runs, but for the recording: rounded shapes, filled up, with a mask."""
    decoder = Decoder(subject.checkpoint.gpt, subject.checkpoint.shape, slots=slots, together=True)
    together = Subject(subject.stock, subject.checkpoint, decoder, subject.voices)
    samplings = [Sampling(seed=index, min_tokens=30, max_tokens=30 + 5 * index) for index in range(count)]
    pairs = [together.row(index, sampling) for index, sampling in enumerate(samplings)]
    decode(together, [row for row, _ in pairs], [2 * index for index in range(count)], slots)
    for index, (row, latents) in enumerate(pairs):
        alone, expected = subject.row(index, samplings[index])
        decode(subject, [alone], [0])
        assert row.tokens == alone.tokens
        assert torch.allclose(torch.stack(latents), torch.stack(expected), atol=2e-4)
    decoder.resize(2)
    again, latents = together.row(0, samplings[0])
    decode(together, [again], [0], 2)
    assert again.tokens == pairs[0][0].tokens


def test_a_row_that_leaves_early_frees_its_slot_and_disturbs_nobody(subject: Subject) -> None:
    sampling = Sampling(seed=3, min_tokens=50, max_tokens=50)
    (gone, _), (stays, _), (alone, _) = (subject.row(index, sampling) for index in (0, 1, 1))
    generation = Generation(subject.decoder, 2)
    generation.join(gone)
    generation.join(stays)
    with pytest.raises(IndexError):
        generation.join(alone)
    for _ in range(10):
        generation.step()
    generation.leave(gone)
    generation.leave(gone)
    assert (generation.free, gone.ended, len(gone.tokens)) == (1, True, 10)
    while generation.rows:
        generation.step()
    decode(subject, [alone], [0])
    assert stays.tokens == alone.tokens


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.INT8])
def test_a_row_depends_on_nobody_in_any_precision(subject: Subject, precision: Precision) -> None:
    """One activation scale for a whole batch would tie its rows together."""
    decoder = Decoder(subject.checkpoint.gpt, subject.checkpoint.shape, slots=6, precision=precision)
    loud = Subject(subject.stock, subject.checkpoint, decoder, [9.0 * voice for voice in subject.voices])
    quiet = Subject(subject.stock, subject.checkpoint, decoder, subject.voices)
    samplings = [Sampling(seed=seed, max_tokens=40) for seed in range(6)]
    rows = [(loud if index % 2 else quiet).row(index, samplings[index])[0] for index in range(6)]
    decode(quiet, rows, [0] * 6, slots=6)
    for index in (0, 2, 4):
        alone = quiet.row(index, samplings[index])[0]
        decode(quiet, [alone], [0], slots=6)
        assert rows[index].tokens == alone.tokens
