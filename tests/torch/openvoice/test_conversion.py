"""The conversion beside stock coqui-tts: the same sound, in any company and in any pieces."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.coqui import coqui
from engines.openvoice.checkpoint import load_checkpoint
from engines.openvoice.conversion import Converter, Piece
from engines.openvoice.row import Row, Samples

HOP = 256
slowly = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def speech(samples: int, seed: int) -> Samples:
    """Something with a pitch, a melody and noise."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / 22_050
    pitch = random.uniform(90, 240)
    voiced = np.sin(2 * np.pi * pitch * time + 3 * np.sin(2 * np.pi * 2 * time))
    return (0.3 * voiced * np.sin(5 * time) ** 2 + 0.05 * random.standard_normal(samples)).astype(np.float32)


def row_of(samples: int, seed: int) -> Row:
    """Speech with tone colours that differ more than those of random weights do."""
    random = np.random.default_rng(seed)
    source, target = random.standard_normal((2, 256), dtype=np.float32)
    return Row(samples=speech(samples, seed), source=source, target=target, seed=seed)


@pytest.fixture(scope="session")
def stock(folder: Path) -> Any:
    """coqui-tts's own model, read by its own loader."""
    configs = coqui("vc.configs.openvoice_config")
    model = json.loads((folder / "config.json").read_text())["model"]
    config = configs.OpenVoiceConfig(model_args=configs.OpenVoiceArgs(**model))
    network = coqui("vc.models.openvoice").OpenVoice(config)
    network.load_checkpoint(config, str(folder / "checkpoint.pth"), eval=True)
    return network


@pytest.mark.parametrize("samples", [22_050, 40_000, 7_000])
def test_tone_colours_are_those_of_coqui(stock: Any, converter: Converter, samples: int):
    heard = speech(samples, samples)
    colour, _ = stock.extract_se(torch.tensor(heard))
    assert np.abs(converter.embed(heard) - colour[0, :, 0].numpy()).max() < 1e-6


def test_a_batch_sounds_as_each_does_in_coqui(stock: Any, converter: Converter):
    rows = [row_of(frames * HOP, seed) for seed, frames in enumerate((61, 40, 93, 25))]
    converted = converter.convert(rows)
    for row, ours in zip(rows, converted, strict=True):
        _, spectrogram = stock.extract_se(torch.tensor(row.samples))
        torch.manual_seed(row.seed)
        colours = {
            "g_src": torch.tensor(row.source)[None, :, None],
            "g_tgt": torch.tensor(row.target)[None, :, None],
        }
        theirs = stock.inference(spectrogram, colours)["model_outputs"][0, 0].numpy()
        assert len(ours) == len(theirs) == len(row.samples)
        assert theirs.std() > 0.05
        assert np.abs(ours - theirs).max() < 1e-5


@slowly
@given(lengths=st.lists(st.integers(1, 7_000), min_size=1, max_size=4), data=st.data())
def test_company_changes_nothing(converter: Converter, lengths: list[int], data: st.DataObject):
    rows = [row_of(samples, seed) for seed, samples in enumerate(lengths)]
    order = data.draw(st.permutations(range(len(rows))))
    together = dict(zip(order, converter.convert([rows[place] for place in order]), strict=True))
    for place, row in enumerate(rows):
        alone = converter.convert([row])[0]
        assert len(together[place]) == len(alone) == len(row.samples)
        assert np.abs(together[place] - alone).max() < 1e-5


@slowly
@given(frames=st.integers(4, 80), borders=st.lists(st.integers(1, 79), max_size=3))
def test_pieces_join_to_the_whole(converter: Converter, frames: int, borders: list[int]):
    row = row_of(frames * HOP - 100, frames)
    (latent,) = converter.latents([row])
    places = [0, *sorted({border for border in borders if border < frames}), frames]
    pieces = [Piece(latent, start, stop) for start, stop in itertools.pairwise(places)]
    joined = np.concatenate(converter.decode(pieces))
    whole = converter.convert([row])[0]
    assert len(joined) == len(whole) == len(row.samples)
    assert np.abs(joined - whole).max() < 1e-5


def test_the_seed_is_the_only_chance(converter: Converter):
    row = row_of(10_000, 3)
    first, again = converter.convert([row])[0], converter.convert([row])[0]
    other = converter.convert([Row(samples=row.samples, source=row.source, target=row.target, seed=4)])[0]
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_no_noise_without_tau(folder: Path):
    converter = Converter(load_checkpoint(folder), tau=0.0)
    row = row_of(10_000, 3)
    other = Row(samples=row.samples, source=row.source, target=row.target, seed=row.seed + 1)
    first, second = converter.convert([row, other])
    assert np.array_equal(first, second)


def test_the_tone_colour_matters(converter: Converter):
    row = row_of(10_000, 3)
    unconverted = Row(samples=row.samples, source=row.source, target=row.source, seed=row.seed)
    converted, same = converter.convert([row, unconverted])
    assert np.abs(converted - same).max() > 1e-3


def test_bfloat16_sounds_much_the_same(folder: Path, converter: Converter):
    quick = Converter(load_checkpoint(folder), dtype=torch.bfloat16)
    rows = [row_of(samples, seed) for seed, samples in enumerate((9_000, 5_000))]
    for exact, rounded in zip(converter.convert(rows), quick.convert(rows), strict=True):
        error = np.square(exact - rounded).mean()
        assert 10 * np.log10(np.square(exact).mean() / error) > 30


def test_nothing_comes_of_nothing(converter: Converter):
    assert converter.convert([]) == []
    assert converter.decode([]) == []
    silent: Sequence[Samples] = converter.convert([row_of(0, 1)])
    assert [len(samples) for samples in silent] == [0]
