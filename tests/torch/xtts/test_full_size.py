"""The published size, with random weights: still token for token what stock coqui-tts decodes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.xtts.checkpoint import load_checkpoint
from engines.xtts.convolution import supported
from engines.xtts.decoder import Decoder
from engines.xtts.generation import Generation, Row
from engines.xtts.precision import Precision
from engines.xtts.sampling import Sampling
from engines.xtts.self_check import compare

import random_checkpoint
from stock_xtts import load_stock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TEXTS = (
    ("hello there, this is a sentence to say aloud.", "en"),
    ("नमस्ते, यह एक परीक्षण है।", "hi"),
    ("short one, please.", "en"),
    ("buenos días.", "es"),
)
TOKENS = 16


@pytest.fixture(scope="module")
def full_xtts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint.xtts(tmp_path_factory.mktemp("full_xtts"), size="full")


def _stock(model: Any, text: str, language: str, voice: Tensor, sampling: Sampling) -> tuple[list[int], Any]:
    codes: list[list[int]] = []
    generate = model.gpt.generate

    def listening(*args: Any, **kwargs: Any) -> Tensor:
        found = generate(*args, **kwargs)
        codes.append(found[0].tolist())
        return found

    model.gpt.generate = listening
    if sampling.seed is not None:
        torch.manual_seed(sampling.seed)
    spoken = model.inference(
        text,
        language,
        voice[None],
        torch.ones(1, 512, 1),
        do_sample=not sampling.greedy,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        max_new_tokens=sampling.max_tokens,
        min_new_tokens=sampling.min_tokens,
    )
    model.gpt.generate = generate
    return codes[0], spoken["gpt_latents"][0]


def test_a_batch_gives_the_tokens_of_stock_xtts(full_xtts: Path) -> None:
    checkpoint = load_checkpoint(full_xtts)
    generator = torch.Generator().manual_seed(1)
    voices = [torch.randn(32, checkpoint.shape.width, generator=generator) for _ in TEXTS]
    samplings = [
        Sampling(greedy=index % 2 == 0, seed=index, min_tokens=TOKENS, max_tokens=TOKENS)
        for index in range(len(TEXTS))
    ]
    decoder = Decoder(checkpoint.gpt, checkpoint.shape, slots=len(TEXTS))
    generation = Generation(decoder, len(TEXTS))
    rows: list[tuple[Row, list[Tensor]]] = []
    for (text, language), voice, sampling in zip(TEXTS, voices, samplings, strict=True):
        latents: list[Tensor] = []
        ids = checkpoint.tokenizer.encode(text, lang=language)
        rows.append((Row(ids, decoder.prefix(voice), sampling, latents.append), latents))
        generation.join(rows[-1][0])
        generation.step()
    while generation.rows:
        generation.step()
    del decoder, generation
    stock = load_stock(full_xtts)
    for (text, language), voice, sampling, (row, latents) in zip(TEXTS, voices, samplings, rows, strict=True):
        tokens, expected = _stock(stock, text, language, voice, sampling)
        assert row.tokens == tokens
        assert np.abs(torch.stack(latents).numpy() - expected).max() < 1e-3


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.BF16])
def test_the_self_check_finds_the_quick_precisions_close(full_xtts: Path, precision: Precision) -> None:
    checkpoint = load_checkpoint(full_xtts)
    decoder = Decoder(checkpoint.gpt, checkpoint.shape, slots=2, precision=precision)
    agreement, latents = compare(checkpoint, decoder)
    if precision is Precision.INT8 and not supported(precision, torch.device("cpu")):
        assert not agreement.close, "without VNNI the sums of bytes saturate"
        return
    assert agreement.close, agreement
    assert agreement.latents < 0.1
    assert {each.shape[1] for each in latents} == {checkpoint.shape.width}
