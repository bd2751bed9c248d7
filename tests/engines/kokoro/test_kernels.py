"""The compiled passes against numpy, on made-up arrays."""

import gc
import weakref

import numpy as np
import numpy.typing as npt
import pytest
from numba.core.caching import CompileResultCacheImpl

from engines.kokoro import kernels, onednn
from engines.kokoro.decoder import load_symbols
from engines.kokoro.onednn import Bound, Convolution, Handle, Onednn, Worker

Floats = npt.NDArray[np.float32]

NOTHING = np.zeros(0, np.float32)
NO_ROWS = np.zeros((0, 0), np.float32)


@pytest.fixture(scope="module")
def library() -> Onednn:
    path = onednn.installed()
    if path is None:
        pytest.skip("onednn-cpu-gomp is not installed; it has wheels for Linux on x86-64 alone")
    made = Onednn(path)
    if not made.quick_at_int8:
        pytest.skip("this processor has no VNNI")
    load_symbols(made)
    made.one_thread()
    return made


def random(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sums(x: Floats, rows: int) -> Floats:
    made = np.empty((4, x.shape[1]), np.float32)
    kernels.clear(made)
    kernels.gather(x, 0, rows, made)
    return made


def convolved(  # noqa: PLR0913 - what a convolution can be
    library: Onednn,
    x: Floats,
    weights: npt.NDArray[np.int8],
    *,
    style: Floats = NO_ROWS,
    alpha: Floats = NOTHING,
    slope: float = 1.0,
    dilation: int = 1,
    tile: int = 16,
    onto: Floats | None = None,
) -> tuple[Floats, Floats]:
    """What the kernel gives for whole arrays, and the sums it gathers."""
    filters = len(weights)
    convolution = Convolution(library, weights, dilation=dilation, tile=tile, adds=onto is not None)
    bound = Bound(convolution, Worker(library, convolution.scratchpad_bytes))
    rows, reach = len(x), convolution.shape.reach
    whole = -rows % tile + rows
    y = np.full((whole, filters), np.nan, np.float32)
    if onto is not None:
        y[:rows] = onto
        y[rows:] = 0
    out = np.empty((4, filters), np.float32)
    table = np.stack([np.full(filters, 0.02), weights.sum((1, 2)), random(filters, seed=9)])
    kernels.convolve(
        *(x, rows, sums(x, rows), style, alpha, np.float32(slope), reach // 2),
        *(np.full((whole + reach, x.shape[1]), 77, np.uint8), bound.handles, table.astype(np.float32)),
        *(bound.scales, bound.bias, tile, reach, y, out),
    )
    return y[:rows], out


def reference(x: Floats, weights: npt.NDArray[np.int8], dilation: int = 1) -> Floats:
    _, _, taps = weights.shape
    pad = (taps - 1) * dilation // 2
    padded = np.pad(x, ((pad, pad), (0, 0)))
    moved = [padded[tap * dilation : tap * dilation + len(x)] @ weights[:, :, tap].T for tap in range(taps)]
    return np.sum(moved, 0) * 0.02 + random(len(weights), seed=9)


def signal_to_noise(wanted: Floats, given: Floats) -> float:
    return float(10 * np.log10(wanted.var() / ((wanted - given) ** 2).mean()))


def weights_of(filters: int, channels: int, taps: int) -> npt.NDArray[np.int8]:
    return np.random.default_rng(3).integers(-127, 128, (filters, channels, taps)).astype(np.int8)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 100])
@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (3, 1), (7, 5), (11, 3)])
def test_a_convolution_is_that_of_numpy(library: Onednn, rows: int, taps: int, dilation: int) -> None:
    x, weights = random(rows, 64), weights_of(32, 64, taps)
    given, gathered = convolved(library, x, weights, dilation=dilation)
    wanted = reference(x, weights, dilation)
    assert signal_to_noise(wanted, given) > 38
    np.testing.assert_allclose(gathered[0], given.sum(0), rtol=1e-3, atol=1e-3 * rows)
    np.testing.assert_array_equal(gathered[2:], [given.min(0), given.max(0)])


def test_rows_are_normalised_and_go_through_the_snake(library: Onednn) -> None:
    x, weights = 3 * random(200, 64) + 5, weights_of(64, 64, 3)
    style, alpha = 0.3 * random(2, 64, seed=1), np.abs(random(64, seed=2)) + np.float32(0.3)
    given, _ = convolved(library, x, weights, style=style, alpha=alpha)
    normal = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * (1 + style[0]) + style[1]
    wanted = reference(normal + np.sin(alpha * normal) ** 2 / alpha, weights)
    assert signal_to_noise(wanted, given) > 35


def test_rows_are_rectified(library: Onednn) -> None:
    x, weights = random(50, 64), weights_of(64, 64, 3)
    given, _ = convolved(library, x, weights, slope=0.2)
    assert signal_to_noise(reference(np.where(x > 0, x, 0.2 * x), weights), given) > 38


def test_a_convolution_can_be_added_to_what_is_there(library: Onednn) -> None:
    x, weights, there = random(50, 64), weights_of(64, 64, 3), 10 * random(50, 64, seed=5)
    given, gathered = convolved(library, x, weights, onto=there)
    assert signal_to_noise(reference(x, weights) + there, given) > 38
    np.testing.assert_array_equal(gathered[3], given.max(0))


def test_rows_that_are_all_alike_give_numbers(library: Onednn) -> None:
    given, _ = convolved(
        library, np.zeros((20, 64), np.float32), weights_of(64, 64, 3), style=np.zeros((2, 64), np.float32)
    )
    assert np.isfinite(given).all()


def test_adding_gathers_what_it_gives() -> None:
    x, y, out = random(130, 8), random(130, 8, seed=1), np.empty((4, 8), np.float32)
    wanted = (x + y) * np.float32(0.5)
    kernels.add(x, 130, y, np.float32(0.5), out)
    np.testing.assert_allclose(x, wanted, rtol=1e-6)
    np.testing.assert_allclose(out[1], (wanted**2).sum(0), rtol=1e-4)


def test_harmonics_are_sines_of_the_pitch_and_silent_without_one() -> None:
    pitch = np.array([0, 0, 200, 200, 200, 200], np.float32)
    wave = np.empty(6 * 300, np.float32)
    weights = np.array([0.5, 0.25], np.float32)
    kernels.harmonics(pitch, 300, weights, 0.125, wave)
    assert wave[:600] == pytest.approx(np.tanh(0.125))
    voiced = np.arctanh(wave[900:1650].astype(np.float64)) - 0.125
    strengths = np.abs(np.fft.rfft(voiced * np.hanning(750)))
    assert np.argmax(strengths) * 24_000 / 750 == pytest.approx(200, abs=16)
    assert np.abs(voiced).max() < 0.1 * 0.75


def test_the_spectrum_is_numpy_s() -> None:
    wave = random(300)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(20) / 20)
    angles = 2 * np.pi * np.outer(np.arange(11), np.arange(20)) / 20
    basis = (np.concatenate([np.cos(angles), -np.sin(angles)]) * window).astype(np.float32)
    out = np.empty((61, 22), np.float32)
    kernels.spectrum(wave, basis, out)
    padded = np.pad(wave, 10, "reflect")
    wanted = np.stack([np.fft.rfft(padded[5 * frame : 5 * frame + 20] * window) for frame in range(61)])
    np.testing.assert_allclose(out[:, :11], np.abs(wanted), atol=1e-5)
    turned = wanted[:, 1:10] / np.abs(wanted[:, 1:10])
    np.testing.assert_allclose(np.exp(1j * out[:, 12:21].astype(np.float64)), turned, atol=1e-3)


def test_silence_has_a_spectrum_without_nan() -> None:
    out = np.empty((21, 22), np.float32)
    kernels.spectrum(np.zeros(100, np.float32), random(22, 20), out)
    assert np.isfinite(out).all()


def test_resynthesis_adds_what_overlaps() -> None:
    post, basis = random(41, 22), random(22, 20, seed=1)
    wave = np.empty(200, np.float32)
    kernels.resynthesise(post, basis, np.float32(2), wave)
    loud, angle = np.exp(post[:, :11].astype(np.float64)), np.sin(post[:, 11:].astype(np.float64))
    pieces = 2 * np.concatenate([loud * np.cos(angle), loud * np.sin(angle)], 1) @ basis
    wanted = np.zeros(41 * 5 + 15)
    for frame, piece in enumerate(pieces):
        wanted[5 * frame : 5 * frame + 20] += piece
    np.testing.assert_allclose(wave, wanted[10:210], rtol=1e-3, atol=1e-3)


def test_what_the_library_makes_goes_with_its_owner(library: Onednn) -> None:
    gone: list[int] = []
    made: list[int] = []

    class Counting(Onednn):
        def make(self, kind: str, function: str, *arguments: object) -> Handle:
            handle = super().make(kind, function, *arguments)
            made.append(handle.value)
            weakref.finalize(handle, gone.append, handle.value)
            return handle

    counting = Counting(library.path)
    weights = np.ones((16, 16, 3), np.int8)
    convolution = Convolution(counting, weights, dilation=1, tile=16, adds=True)
    bound = Bound(convolution, Worker(counting, convolution.scratchpad_bytes))
    assert len(made) > len(gone) > 0
    del bound, convolution, counting
    gc.collect()
    assert sorted(made) == sorted(gone)


def test_a_handle_is_destroyed_once() -> None:
    destroyed: list[int | None] = []
    handle = Handle(7, lambda address: destroyed.append(address.value) or 0, None)
    assert not destroyed
    del handle
    assert destroyed == [7]


def test_passes_are_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose disk cannot be written."""
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])

    @kernels.compiler()
    def double(value: float) -> float:
        return value * 2

    assert double(4.0) == 8.0
