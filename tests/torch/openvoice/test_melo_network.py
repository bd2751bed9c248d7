from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.contract import EngineUnavailable, UnsupportedUtterance
from engines.coqui import coqui
from engines.openvoice.melo.attention import WINDOW, RelativeAttention
from engines.openvoice.melo.checkpoint import load_network
from engines.openvoice.melo.configuration import read_config
from engines.openvoice.melo.decoder import Decoder
from engines.openvoice.melo.durations import BINS, inverse_spline
from engines.openvoice.melo.manner import Manner
from engines.openvoice.melo.network import Synthesizer

import random_melo

weight_norm: Any = torch._weight_norm  # pyright: ignore[reportPrivateImportUsage] - MeloTTS's layers use it
_AS_MELOTTS = Manner()


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Generator[None, None, None]:
    """What is computed here is too small to be shared among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    folder = random_melo.melo(tmp_path_factory.mktemp("melo"))
    return load_network(folder, read_config(folder))


def say(
    network: Synthesizer,
    count: int = 12,
    *,
    seed: int = 0,
    speed: float = 1.0,
    speaker: int = 0,
    manner: Manner = _AS_MELOTTS,
) -> tuple[torch.Tensor, torch.Tensor]:
    phones = torch.arange(count) % 100
    return network(
        phones,
        torch.full((count,), 8),
        languages=torch.full((count,), 2),
        speaker=speaker,
        bert=None,
        speed=speed,
        manner=manner,
        noise=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("time", [1, 2, WINDOW, WINDOW + 1, 2 * WINDOW, 50])
def test_attention_is_that_of_vits(time: int) -> None:
    theirs: Any = coqui("tts.layers.glow_tts.transformer").RelativePositionMultiHeadAttention(
        16, 16, 2, rel_attn_window_size=WINDOW
    )
    ours = RelativeAttention(16, 2)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 16, time, generator=torch.Generator().manual_seed(time))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs.eval()(x, x, torch.ones(1, 1, time, time)))


def test_the_spline_is_that_of_vits() -> None:
    noise = torch.Generator().manual_seed(1)
    y = torch.cat([torch.linspace(-6, 6, 97), torch.tensor([-5.0, 5.0, 0.0])])
    widths, heights = (torch.randn(len(y), BINS, generator=noise) * 2 for _ in range(2))
    slopes = torch.randn(len(y), BINS - 1, generator=noise) * 2
    theirs, _ = coqui("tts.layers.vits.transforms").piecewise_rational_quadratic_transform(
        y, widths, heights, slopes, inverse=True, tails="linear", tail_bound=5.0
    )
    torch.testing.assert_close(inverse_spline(y, widths, heights, slopes), theirs, atol=2e-5, rtol=1e-5)


def test_the_decoder_is_hifigan(tmp_path: Path) -> None:
    model = read_config(random_melo.melo(tmp_path)).model
    ours = Decoder(model)
    theirs: Any = coqui("vocoder.models.hifigan_generator").HifiganGenerator(
        model.inter_channels,
        1,
        "1",
        model.resblock_dilation_sizes,
        model.resblock_kernel_sizes,
        model.upsample_kernel_sizes,
        model.upsample_initial_channel,
        model.upsample_rates,
        inference_padding=0,
        cond_channels=model.gin_channels,
        conv_pre_weight_norm=False,
        conv_post_weight_norm=False,
        conv_post_bias=False,
    )
    state = theirs.state_dict()
    for name in [name for name in state if name.endswith("original1")]:
        layer = name.removesuffix(".parametrizations.weight.original1")
        norm = state.pop(f"{layer}.parametrizations.weight.original0")
        state[f"{layer}.weight"] = weight_norm(state.pop(name), norm, 0)
    ours.load_state_dict({name.replace("cond_layer", "cond"): tensor for name, tensor in state.items()})
    z, speaker = torch.randn(1, model.inter_channels, 9), torch.randn(1, model.gin_channels, 1)
    with torch.no_grad():
        torch.testing.assert_close(ours(z, speaker), theirs(z, speaker)[0, 0], atol=1e-5, rtol=1e-4)


def test_frames_of_the_phones_are_the_samples(network: Synthesizer) -> None:
    samples, frames = say(network)
    assert samples.shape == (int(frames.sum()) * 512,)
    assert samples.abs().max() <= 1
    assert samples.std() > 0


def test_one_seed_is_one_speech_and_another_is_another(network: Synthesizer) -> None:
    first, again, other = say(network, seed=7)[0], say(network, seed=7)[0], say(network, seed=8)[0]
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_without_noise_the_seed_does_not_matter(network: Synthesizer) -> None:
    plain = Manner(sdp_ratio=0.0, noise_scale=0.0)
    assert torch.equal(say(network, seed=1, manner=plain)[0], say(network, seed=2, manner=plain)[0])


def test_speakers_differ(network: Synthesizer) -> None:
    first, second = (say(network, speaker=speaker, manner=Manner(noise_scale=0.0))[0] for speaker in (0, 1))
    assert first.shape != second.shape or not torch.allclose(first, second, atol=1e-3)


def test_the_length_follows_the_speed(network: Synthesizer) -> None:
    manner = Manner(sdp_ratio=0.0)
    said = [say(network, 60, speed=speed, manner=manner) for speed in (0.5, 1.0, 2.0)]
    slow, normal, fast = (int(frames.sum()) for _, frames in said)
    # A phone is a whole number of frames, rounded up.
    assert 1.6 * normal < slow <= 2 * normal
    assert normal / 2 <= fast < normal / 1.4


def test_what_would_be_spoken_for_minutes_is_refused(network: Synthesizer) -> None:
    with pytest.raises(UnsupportedUtterance, match="60 s"):
        say(network, 3_000)


def test_durations_without_end_are_the_weights_fault(tmp_path: Path) -> None:
    folder = random_melo.melo(tmp_path)
    network = load_network(folder, read_config(folder))
    torch.nn.init.constant_(network.get_parameter("dp.proj.bias"), 200.0)
    with pytest.raises(EngineUnavailable, match="damaged"):
        say(network)


def test_there_is_speech_even_if_nothing_lasts(network: Synthesizer, tmp_path: Path) -> None:
    folder = random_melo.melo(tmp_path)
    network = load_network(folder, read_config(folder))
    torch.nn.init.constant_(network.get_parameter("dp.proj.bias"), -200.0)
    samples, frames = say(network, manner=Manner(sdp_ratio=0.0))
    assert int(frames.sum()) >= 1
    assert torch.isfinite(samples).all()
