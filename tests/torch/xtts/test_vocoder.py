"""Windows rendered by ours, joined, are what coqui-tts's vocoder makes of the whole sentence."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import parametrize

from engines.contract import EngineUnavailable
from engines.coqui import coqui
from engines.fidelity import FIDELITY
from engines.xtts.convolution import pack_convolution, supported
from engines.xtts.generator import Generator
from engines.xtts.latents import LatentStream, LatentWindow
from engines.xtts.precision import Precision
from engines.xtts.vocoder import Vocoder, fidelity

CPU = torch.device("cpu")
WIDTH = 64
CONTEXT = 14
NATIVE = [precision for precision in Precision if supported(precision, CPU)]


def loud_hifi() -> Any:
    """A small ``HifiDecoder`` whose every layer is heard: with torch's initial weights, blocks hardly are."""
    module = coqui("tts.layers.xtts.hifigan_decoder").HifiDecoder(
        decoder_input_dim=WIDTH, upsample_initial_channel_decoder=32
    )
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, weight in module.waveform_decoder.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name.endswith("original0"):  # the gain of a weight norm
                weight.fill_(2.8 if name.startswith("ups") else 1.0)
            elif "bias" in name or "cond" in name:
                weight.copy_(noise * 0.2)
            else:
                weight.copy_(noise / (weight.shape[1] * weight.shape[2]) ** 0.5)
        module.waveform_decoder.conv_post.weight.mul_(0.3)
    return module.eval()


@pytest.fixture(scope="module")
def hifi() -> Any:
    return loud_hifi()


@pytest.fixture(scope="module")
def exact(hifi: Any) -> Vocoder:
    return Vocoder(hifi, precision=Precision.FP32, device=CPU)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_latents(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def random_speaker(seed: int = 0) -> Tensor:
    speaker = torch.randn(512, 1, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(speaker, dim=0)


def windows_of(vocoder: Vocoder, latents: Tensor, speaker: Tensor, **options: float) -> list[LatentWindow]:
    stream = LatentStream(speaker, config=vocoder.shape, **options)  # pyright: ignore[reportArgumentType] - names and numbers
    stream.append(latents)
    stream.finish()
    windows: list[LatentWindow] = []
    while (window := stream.next_window()) is not None:
        windows.append(window)
    return windows


@torch.inference_mode()
def stock(hifi: Any, latents: Tensor, speaker: Tensor, speed: float = 1.0) -> Tensor:
    """The samples as ``Xtts.inference`` has them made."""
    latents = latents[None]
    if speed != 1.0:
        latents = functional.interpolate(latents.mT, scale_factor=1.0 / speed, mode="linear").mT
    return hifi(latents, g=speaker[None])[0, 0]


def decibels(signal: Tensor, other: Tensor) -> float:
    """How far the worst difference lies below the loudest sample."""
    return float(20 * torch.log10(signal.abs().max() / (signal - other).abs().max().clamp_min(1e-12)))


def mixed_windows(vocoder: Vocoder) -> list[LatentWindow]:
    """Beginnings, middles and ends of sentences, and whole ones, of many lengths."""
    counts = [3, 29, 7, 7, 15]
    return [
        window
        for seed, count in enumerate(counts)
        for window in windows_of(
            vocoder, random_latents(count, seed), random_speaker(seed), first=9 + seed, largest=40
        )
    ]


@settings(max_examples=10, deadline=None)
@given(
    count=st.integers(6, 60),
    speed=st.sampled_from([0.6, 0.8, 1.0, 1.3, 2.0]),
    first=st.integers(1, 50),
    growth=st.floats(1.0, 3.0),
)
def test_joined_windows_are_the_whole_sentence(
    hifi: Any, exact: Vocoder, count: int, speed: float, first: int, growth: float
):
    latents, speaker = random_latents(count, count), random_speaker(count)
    windows = windows_of(exact, latents, speaker, speed=speed, first=first, growth=growth, largest=70)
    joined = torch.cat(exact.render(windows))
    expected = stock(hifi, latents, speaker, speed)
    assert joined.shape == expected.shape
    # Of that, -66 dB may come from the last bit of an interpolation's index; the issue asks for -40 dB.
    assert decibels(expected, joined) > 60


def test_without_interpolation_in_between_float32_is_exact(hifi: Any, exact: Vocoder):
    frames, speaker = random_latents(70).T, random_speaker()
    whole = LatentWindow(frames=frames, speaker=speaker, skip=0, keep=70 * 256)
    with torch.inference_mode():
        expected = hifi.waveform_decoder(frames[None], g=speaker[None])[0, 0]
    assert decibels(expected, exact.render([whole])[0]) > 100
    cut = [
        LatentWindow(frames=frames[:, :37], speaker=speaker, skip=0, keep=23 * 256),
        LatentWindow(frames=frames[:, 9:67], speaker=speaker, skip=CONTEXT * 256, keep=30 * 256),
        LatentWindow(frames=frames[:, 39:], speaker=speaker, skip=CONTEXT * 256, keep=17 * 256),
    ]
    assert decibels(expected, torch.cat(exact.render(cut))) > 100


def test_the_context_is_what_the_samples_depend_on_and_no_more(hifi: Any, exact: Vocoder):
    assert exact.context == CONTEXT
    frames, speaker = random_latents(60).T.contiguous(), random_speaker()

    def middle(changed: int) -> Tensor:
        other = frames.clone()
        other[:, changed] += 30.0
        with torch.inference_mode():
            return hifi.waveform_decoder(other[None], g=speaker[None])[0, 0, 30 * 256 : 31 * 256]

    with torch.inference_mode():
        unchanged = hifi.waveform_decoder(frames[None], g=speaker[None])[0, 0, 30 * 256 : 31 * 256]
    for outside in (30 - CONTEXT - 1, 30 + CONTEXT + 1):
        assert decibels(unchanged, middle(outside)) > 100
    for inside in (30 - CONTEXT + 2, 30 + CONTEXT - 2):
        assert decibels(unchanged, middle(inside)) < 100


@pytest.mark.parametrize("precision", NATIVE)
def test_a_window_is_the_same_in_any_batch(hifi: Any, precision: Precision):
    alone = Vocoder(hifi, precision=precision, device=CPU)
    together = Vocoder(hifi, precision=precision, device=CPU, batched=True)
    windows = mixed_windows(alone)
    expected = [alone.render([window])[0] for window in windows]
    for one, other, window in zip(expected, together.render(windows), windows, strict=True):
        assert other.shape == (window.keep,)
        assert decibels(one, other) > (80 if precision is Precision.FP32 else 30)
    for one, other in zip(expected, alone.render(windows), strict=True):
        assert torch.equal(one, other)


def test_windows_of_a_kind_share_a_batch_and_others_do_not(hifi: Any):
    together = Vocoder(hifi, precision=Precision.FP32, device=CPU, batched=True)
    windows = mixed_windows(together)
    batches = list(together._batches(windows))
    assert sorted(row for batch in batches for row in batch) == list(range(len(windows)))
    assert 1 < len(batches) < len(windows)


@pytest.mark.parametrize("precision", NATIVE)
def test_a_precision_is_faithful(hifi: Any, exact: Vocoder, precision: Precision):
    vocoder = Vocoder(hifi, precision=precision, device=CPU)
    windows = windows_of(exact, random_latents(40), random_speaker())
    least = {Precision.FP32: 100.0, Precision.BF16: 30.0, Precision.INT8: 25.0}[precision]
    assert fidelity(vocoder, exact, windows) > least


@pytest.mark.slow
@pytest.mark.parametrize("precision", NATIVE)
def test_a_precision_is_faithful_at_full_size(precision: Precision):
    torch.manual_seed(0)
    full = coqui("tts.layers.xtts.hifigan_decoder").HifiDecoder(decoder_input_dim=1024).eval()
    exact = Vocoder(full, precision=Precision.FP32, device=CPU)
    vocoder = Vocoder(full, precision=precision, device=CPU)
    latents, speaker = torch.randn(40, 1024), random_speaker()
    least = 100.0 if precision is Precision.FP32 else FIDELITY
    assert fidelity(vocoder, exact, windows_of(exact, latents, speaker)) > least
    expected = stock(full, latents, speaker)
    joined = torch.cat(vocoder.render(windows_of(vocoder, latents, speaker)))
    assert decibels(expected, joined) > 30


def test_the_loaded_module_is_left_as_it_is(hifi: Any, exact: Vocoder):
    before = {name: value.clone() for name, value in hifi.state_dict().items()}
    latents, speaker = random_latents(20), random_speaker()
    exact.render(windows_of(exact, latents, speaker))
    Vocoder(hifi, precision=Precision.FP32, device=CPU)
    after = hifi.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_weight_norm_may_have_been_removed_before(exact: Vocoder):
    module = loud_hifi()
    for layer in module.waveform_decoder.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")
    windows = windows_of(exact, random_latents(20), random_speaker())
    folded = Vocoder(module, precision=Precision.FP32, device=CPU).render(windows)
    assert decibels(torch.cat(exact.render(windows)), torch.cat(folded)) > 100


def test_a_network_that_hears_the_speaker_once():
    module = coqui("tts.layers.xtts.hifigan_decoder").HifiDecoder(
        decoder_input_dim=WIDTH,
        upsample_initial_channel_decoder=32,
        cond_d_vector_in_each_upsampling_layer=False,
        output_sample_rate=22050,
    )
    vocoder = Vocoder(module.eval(), precision=Precision.FP32, device=CPU)
    latents, speaker = random_latents(30), random_speaker()
    joined = torch.cat(vocoder.render(windows_of(vocoder, latents, speaker)))
    assert vocoder.sample_rate == 22050
    assert decibels(stock(module, latents, speaker), joined) > 100


@pytest.mark.parametrize("precision", NATIVE)
def test_threads_share_a_vocoder(hifi: Any, precision: Precision):
    vocoder = Vocoder(hifi, precision=precision, device=CPU)
    windows = mixed_windows(vocoder)
    expected = vocoder.render(windows)

    # How many threads torch uses belongs to each thread, and decides in which order sums are taken.
    with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        for rendered in threads.map(vocoder.render, [windows] * 4):
            assert all(map(torch.equal, rendered, expected))


def test_sentences_come_in_no_other_shapes_than_those_it_names(
    exact: Vocoder, monkeypatch: pytest.MonkeyPatch
):
    seen: set[int] = set()
    samples = Generator.samples

    def noted(self: Generator, frames: Tensor, *args: Any, **where: int) -> Tensor:
        seen.add(frames.shape[-1])
        return samples(self, frames, *args, **where)

    monkeypatch.setattr(Generator, "samples", noted)
    exact.render(exact.every_shape())
    named = frozenset(seen)
    for latents in range(8, 110, 3):
        exact.render(windows_of(exact, random_latents(latents), random_speaker()))
    assert seen == named


def test_nothing_to_render(exact: Vocoder):
    assert exact.render([]) == []


def test_bytes_are_for_the_cpu():
    weight = torch.zeros(4, 4, 3)
    with pytest.raises(EngineUnavailable, match="int8"):
        pack_convolution(weight, None, precision=Precision.INT8, device=torch.device("meta"))
