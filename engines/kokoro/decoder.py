"""Kokoro's decoder, which converts a text's features, pitch and energy to samples, with few kernels.

::

    features ┐
    pitch    ├─▶ encode ─▶ decode ×4 ─▶ upsample ×10 ─▶ 3 residual blocks ─▶ upsample ×6 ─▶ 3 ─▶ inverse STFT
    energy   ┘                             ▲ noise of the pitch's harmonics    ▲

ONNX Runtime spends 95 % of its time on it. Arrays have one row of channels per time step: 40 rows per second
at first, 80 after ``decode.3``, 800 and 4,800 in the generator. Modules are named as in the author's code
(``istftnet.py`` of Kokoro, Apache-2.0), which this follows. Convolutions multiply 8-bit integers, as in the
most common export, and each has its own range for its inputs.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import llvmlite.binding  # pyright: ignore[reportMissingTypeStubs] - it ships none
import numpy as np
import numpy.typing as npt

from engines.kokoro import kernels
from engines.kokoro.graph import Floats, Graph
from engines.kokoro.onednn import Bound, Convolution, Onednn, Worker

STYLE: Final = 128
"""Number of values of a style that the decoder uses; the front uses the others."""
KEPT: Final = 500
"""Number of frames (12.5 s) up to which a thread keeps its arrays; they are freed after longer speech."""
_HOP: Final = 5
_SLOPE: Final = np.float32(0.2)
_BRANCHES: Final = 3
"""Number of residual blocks per stage; their results are averaged."""
_DILATIONS: Final = (1, 3, 5)
_ALL: Final = np.float32(1)
_HALF: Final = np.float32(1 / np.sqrt(2))
_PITCH_STEP: Final = 300
"""Number of samples per value of the pitch."""
_NO_FLOATS: Final = np.zeros(0, np.float32)
_NO_ROWS: Final = np.zeros((0, 0), np.float32)
_CHUNK: Final = 512
"""Number of rows per matrix product, so that the results stay in the cache."""
_ROUNDED: Final = 64
"""Multiple to which the input channels of convolutions are padded; other numbers are slow."""


def load_symbols(onednn: Onednn) -> None:
    """Make oneDNN's functions available to compiled kernels."""
    binding: Any = llvmlite.binding
    binding.load_library_permanently(str(onednn.path))


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution that all threads share.

    Attributes:
        convolution: The primitive with its weights.
        table: Scale, sum of weights, and bias of each filter; shape ``(3, filters)``.
        pad: Number of rows of zeros before and after the input.
    """

    convolution: Convolution
    table: Floats
    pad: int


class Decoder:
    """The decoder's weights, ready to run; shared by all threads.

    Args:
        graph: The export.
        onednn: The library.

    Raises:
        UnknownLayout: The export's layout is unknown.
    """

    def __init__(self, graph: Graph, onednn: Onednn) -> None:
        load_symbols(onednn)
        onednn.one_thread()
        self.onednn = onednn
        self._graph = graph
        self._layers: dict[str, Layer] = {}
        self._fc: list[tuple[str, Floats, Floats]] = []
        self.alphas: dict[str, Floats] = {}
        for name in ("encode", *(f"decode.{number}" for number in range(4))):
            self._residual(name)
        self.upsamplings = [
            _spread(*graph.convolution(f"generator/ups.{stage}", "ConvTranspose")) for stage in (0, 1)
        ]
        for stage, tile in enumerate((128, 512)):
            noise = f"generator/noise_res.{stage}"
            for name in (
                noise,
                *(f"generator/resblocks.{_BRANCHES * stage + index}" for index in range(_BRANCHES)),
            ):
                self._snakes(name, tile)
        self.pooling = graph.convolution("decode.3/pool", "ConvTranspose")
        self.halving = [graph.convolution(f"{name}_conv") for name in ("F0", "N")]
        self.skip = graph.convolution("asr_res/asr_res.0")
        self.noise = [graph.convolution(f"generator/noise_convs.{stage}") for stage in range(2)]
        self.post = graph.convolution("generator/conv_post")
        self._read_source(graph)
        self._join_styles()
        del self._graph
        self.scratchpad_bytes = max(layer.convolution.scratchpad_bytes for layer in self._layers.values())

    @property
    def layers(self) -> dict[str, Layer]:
        """Convolutions by the names of their modules."""
        return self._layers

    def styles(self, style: Floats) -> dict[str, Floats]:
        """Compute each normalisation's scale and shift for a style, shape ``(2, channels)``, by module."""
        values = style @ self._style_weights + self._style_bias
        return {name: values[start:end].reshape(2, -1) for name, start, end in self._style_places}

    def _residual(self, name: str) -> None:
        """Read an ``AdainResBlk1d``."""
        upsamples = name == "decode.3"
        tile = 64 if upsamples else 32
        self._layer(f"{name}/conv1", tile=tile)
        self._layer(f"{name}/conv2", tile=tile, adds=True)
        self._layer(f"{name}/conv1x1", tile=32)
        for norm in ("norm1", "norm2"):
            self._norm(f"{name}/{norm}")

    def _snakes(self, name: str, tile: int) -> None:
        """Read an ``AdaINResBlock1``."""
        for index, dilation in enumerate(_DILATIONS):
            self._layer(f"{name}/convs1.{index}", tile=tile, dilation=dilation)
            self._layer(f"{name}/convs2.{index}", tile=tile, adds=True)
            for part in (1, 2):
                self._norm(f"{name}/adain{part}.{index}")
                alpha = self._graph.tensor(f"decoder.decoder.{name.replace('/', '.')}.alpha{part}.{index}")
                self.alphas[f"{name}/{part}.{index}"] = alpha.reshape(-1)

    def _layer(self, name: str, *, tile: int, dilation: int = 1, adds: bool = False) -> None:
        kernel = self._graph.kernel(name)
        filters, channels, taps = kernel.weights.shape
        weights = np.zeros((filters, -channels % _ROUNDED + channels, taps), np.int8)
        weights[:, :channels] = kernel.weights
        sums = kernel.weights.sum((1, 2), np.int64).astype(np.float32)
        self._layers[name] = Layer(
            Convolution(self.onednn, weights, dilation=dilation, tile=tile, adds=adds),
            np.stack([kernel.scales, sums, kernel.bias]),
            pad=(taps - 1) * dilation // 2,
        )

    def _norm(self, name: str) -> None:
        self._fc.append((name, *self._graph.linear(f"{name}/fc")))

    def _join_styles(self) -> None:
        """Join the matrices of all normalisations, so that a style needs one product."""
        places: list[tuple[str, int, int]] = []
        start = 0
        for name, _, bias in self._fc:
            places.append((name, start, start + bias.size))
            start += bias.size
        self._style_places = tuple(places)
        self._style_weights = np.concatenate([weights for _, weights, _ in self._fc], 1)
        self._style_bias = np.concatenate([bias for _, _, bias in self._fc])
        self._fc.clear()

    def _read_source(self, graph: Graph) -> None:
        matrix, bias = graph.linear("generator/m_source/l_linear")
        self.harmonics, self.harmonics_bias = matrix.reshape(-1), float(bias[0])
        self.inverse = graph.tensor("decoder.decoder.generator.stft.istft.stft.inverse_basis")[:, 0]
        bins, size = self.inverse.shape[0] // 2, self.inverse.shape[1]
        moments = np.arange(size, dtype=np.float64)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * moments / size)
        angles = 2 * np.pi * np.outer(np.arange(bins, dtype=np.float64), moments) / size
        self.basis = np.concatenate([np.cos(angles), -np.sin(angles)]).astype(np.float32) * window.astype(
            np.float32
        )
        # These sines are 0; the sign of a rounding error would become an angle of π.
        self.basis[bins] = self.basis[-1] = 0
        # Corrects for the sum of the overlapping windows' squares, and for the transform's scale.
        self.gain = np.float32(size / _HOP / (window**2).reshape(-1, _HOP).sum(0).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Upsampling:
    """A transposed convolution whose kernel is twice its stride.

    Attributes:
        matrix: Weights from an input row to its output rows, shape ``(channels, 2 · stride · filters)``.
        bias: Bias of each filter, shape ``(filters,)``.
        stride: Number of output rows per input row.
    """

    matrix: Floats
    bias: Floats
    stride: int


def _spread(weights: Floats, bias: Floats) -> Upsampling:
    """Convert a transposed convolution's weights, shape ``(channels, filters, taps)``, to one matrix."""
    channels, _, taps = weights.shape
    return Upsampling(weights.transpose(0, 2, 1).reshape(channels, -1), bias, taps // 2)


class Arena:
    """Arrays that a thread reuses; they grow to the size of the longest text."""

    def __init__(self) -> None:
        self._floats: dict[str, Floats] = {}
        self._bytes = np.zeros(0, np.uint8)

    def floats(self, name: str, rows: int, channels: int) -> Floats:
        """Return an uninitialised array, shape ``(rows, channels)``; one per name."""
        size = rows * channels
        held = self._floats.get(name)
        if held is None or held.size < size:
            held = self._floats[name] = np.empty(size + size // 8, np.float32)
        return held[:size].reshape(rows, channels)

    def bytes(self, rows: int, channels: int) -> npt.NDArray[np.uint8]:
        """Return an uninitialised array of bytes, shape ``(rows, channels)``; there is only one."""
        size = rows * channels
        if self._bytes.size < size:
            self._bytes = np.empty(size + size // 8, np.uint8)
        return self._bytes[:size].reshape(rows, channels)


class Speaker:
    """One thread's use of a decoder. Only that thread may call it.

    Args:
        decoder: The weights.
    """

    def __init__(self, decoder: Decoder) -> None:
        decoder.onednn.one_thread()
        self._decoder = decoder
        worker = Worker(decoder.onednn, decoder.scratchpad_bytes)
        self._bound = {name: Bound(layer.convolution, worker) for name, layer in decoder.layers.items()}
        self._arena = Arena()

    def speak(self, aligned: Floats, pitch: Floats, energy: Floats, style: Floats) -> Floats:
        """Generate samples at 24 kHz, shape ``(600 · frames,)``.

        Args:
            aligned: Features of the text, shape ``(512, frames)``.
            pitch: Pitch in hertz, shape ``(2 · frames,)``.
            energy: Energy, shape ``(2 · frames,)``.
            style: The decoder's part of the style, shape ``(128,)``.
        """
        try:
            return self._spoken(aligned, pitch, energy, style)
        finally:
            if aligned.shape[1] > KEPT:
                self._arena = Arena()

    def _spoken(self, aligned: Floats, pitch: Floats, energy: Floats, style: Floats) -> Floats:
        decoder = self._decoder
        styles = decoder.styles(style)
        text = np.ascontiguousarray(aligned.T)
        curves = np.stack(
            [
                _halved(curve, *weights)
                for curve, weights in zip((pitch, energy), decoder.halving, strict=True)
            ],
            1,
        )
        weights, bias = decoder.skip
        beside = np.concatenate([text @ weights[:, :, 0].T + bias, curves], 1)
        x = self._block("encode", np.concatenate([text, curves], 1), styles)
        for number in range(4):
            x = self._block(f"decode.{number}", np.concatenate([x, beside], 1), styles)
        return self._generate(x, pitch, styles)

    def _block(self, name: str, x: Floats, styles: dict[str, Floats]) -> Floats:
        """Run an ``AdainResBlk1d``; ``decode.3`` doubles the rows."""
        rows = x.shape[0]
        layers = self._decoder.layers
        sums = _sums(x, rows)
        filters = layers[f"{name}/conv2"].convolution.shape.filters
        if name == "decode.3":
            few = self._rows(f"{name}/conv1x1", "few", rows)
            self._convolve(f"{name}/conv1x1", x, rows, None, few)
            given = _pooled(_rectified(x, sums, rows, styles[f"{name}/norm1"]), *self._decoder.pooling)
            rows *= 2
            y = self._rows(f"{name}/conv2", "y", rows)
            y[:rows] = np.repeat(few[: rows // 2], 2, 0)
            first = _Given(_sums(given, rows), None)
        else:
            given, first = x, _Given(sums, styles[f"{name}/norm1"])
            y = self._rows(f"{name}/conv2", "y", rows)
            self._convolve(f"{name}/conv1x1", x, rows, None, y)
        slope = _SLOPE if first.style is not None else _ALL
        h = self._rows(f"{name}/conv1", "h", rows)
        out = np.empty((4, filters), np.float32)
        self._convolve(f"{name}/conv1", given, rows, first, h, slope=slope, out=out)
        self._convolve(f"{name}/conv2", h, rows, _Given(out, styles[f"{name}/norm2"]), y, slope=_SLOPE)
        return y[:rows] * _HALF

    def _generate(self, x: Floats, pitch: Floats, styles: dict[str, Floats]) -> Floats:
        """Run the generator: two stages of upsampling and residual blocks, then the inverse transform."""
        decoder = self._decoder
        heard = self._heard(pitch)
        for stage, (weights, bias) in enumerate(decoder.noise):
            x = self._upsampled(stage, x)
            rows, channels = x.shape
            names = [f"generator/resblocks.{_BRANCHES * stage + index}" for index in range(_BRANCHES)]
            noise = self._rows(f"{names[0]}/convs1.0", "noise", rows)
            noise[:rows] = _moments(heard, weights) @ weights.reshape(channels, -1).T + bias
            sums = self._snakes(f"generator/noise_res.{stage}", noise, rows, _sums(noise, rows), styles)
            kernels.add(noise, rows, x, _ALL, sums)
            total = self._rows(f"{names[0]}/convs1.0", "total", rows)
            for index, name in enumerate(names):
                part = total if index == 0 else self._rows(f"{name}/convs1.0", "part", rows)
                part[:rows] = noise[:rows]
                self._snakes(name, part, rows, sums.copy(), styles)
                if index:
                    last = index == len(names) - 1
                    kernels.add(total, rows, part, np.float32(1 / len(names) if last else 1), _NO_ROWS)
            x = total[:rows]
        return self._resynthesised(x)

    def _snakes(self, name: str, x: Floats, rows: int, sums: Floats, styles: dict[str, Floats]) -> Floats:
        """Run an ``AdaINResBlock1`` on ``x`` in place; return the sums of the result."""
        alphas = self._decoder.alphas
        h = self._rows(f"{name}/convs1.0", "h", rows)
        out = np.empty_like(sums)
        for index in range(len(_DILATIONS)):
            first = _Given(sums, styles[f"{name}/adain1.{index}"], alphas[f"{name}/1.{index}"])
            self._convolve(f"{name}/convs1.{index}", x, rows, first, h, out=out)
            second = _Given(out, styles[f"{name}/adain2.{index}"], alphas[f"{name}/2.{index}"])
            self._convolve(f"{name}/convs2.{index}", h, rows, second, x, out=sums)
        return sums

    def _upsampled(self, stage: int, x: Floats) -> Floats:
        """Run a leaky ReLU and a transposed convolution; the second stage prepends a row.

        It is computed in float32: it is little work, and quantisation is most audible here.
        """
        up = self._decoder.upsamplings[stage]
        rows, channels = x.shape[0], up.bias.size
        # A kernel is two strides long: each row's first half overlaps the second half of the row before.
        y = self._arena.floats("up", (rows + 1) * up.stride, channels).reshape(rows + 1, up.stride * channels)
        tiled = np.tile(up.bias, up.stride)
        y[0] = tiled
        for first in range(0, rows, _CHUNK):
            part = x[first : first + _CHUNK]
            last = first + len(part)
            each = (np.maximum(part, 0) + np.float32(0.1) * np.minimum(part, 0)) @ up.matrix
            np.add(each[:, up.stride * channels :], tiled, out=y[first + 1 : last + 1])
            y[first:last] += each[:, : up.stride * channels]
        half = up.stride // 2
        spread = y.reshape(-1, channels)
        if stage == 0:
            return spread[half:-half]
        # The reflected row makes as many rows as the noise has.
        spread[half - 1] = spread[half + 1]
        return spread[half - 1 : -half]

    def _heard(self, pitch: Floats) -> Floats:
        """Compute the short-time spectrum of the excitation: magnitudes and angles."""
        decoder = self._decoder
        wave = np.empty(pitch.size * _PITCH_STEP, np.float32)
        kernels.harmonics(pitch, _PITCH_STEP, decoder.harmonics, decoder.harmonics_bias, wave)
        out = np.empty((wave.size // _HOP + 1, decoder.basis.shape[0]), np.float32)
        kernels.spectrum(wave, decoder.basis, out)
        return out

    def _resynthesised(self, x: Floats) -> Floats:
        """Run the last convolution, in float32 since its result is an exponent, and the inverse transform."""
        weights, bias = self._decoder.post
        filters, channels, taps = weights.shape
        matrix = weights.transpose(1, 2, 0).reshape(channels, taps * filters)
        rows, pad = x.shape[0], taps // 2
        post = np.empty((rows, filters), np.float32)
        post[:] = bias
        for first in range(0, rows, _CHUNK):
            last = min(first + _CHUNK, rows)
            part = x[first:last]
            each = (np.maximum(part, 0) + np.float32(0.01) * np.minimum(part, 0)) @ matrix
            for tap in range(taps):
                low, high = max(first + pad - tap, 0), min(last + pad - tap, rows)
                moved = each[low - pad + tap - first : high - pad + tap - first]
                post[low:high] += moved[:, tap * filters : (tap + 1) * filters]
        wave = np.empty(_HOP * (rows - 1), np.float32)
        kernels.resynthesise(post, self._decoder.inverse, self._decoder.gain, wave)
        return wave

    def _rows(self, name: str, array: str, rows: int) -> Floats:
        """Return an array for a layer's output, rounded up to whole tiles."""
        shape = self._decoder.layers[name].convolution.shape
        return self._arena.floats(array, -rows % shape.tile + rows, shape.filters)

    def _convolve(
        self,
        name: str,
        x: Floats,
        rows: int,
        given: "_Given | None",
        y: Floats,
        *,
        slope: np.float32 = _ALL,
        out: Floats = _NO_ROWS,
    ) -> None:
        """Run a layer on ``rows`` of ``x``; see :func:`engines.kokoro.kernels.convolve`."""
        layer, bound = self._decoder.layers[name], self._bound[name]
        shape = bound.shape
        given = given or _Given(_sums(x, rows), None)
        count = rows + 2 * layer.pad - shape.reach
        q = self._arena.bytes(-count % shape.tile + count + shape.reach, shape.channels)
        kernels.convolve(
            *(x, rows, given.sums, _NO_ROWS if given.style is None else given.style, given.alpha, slope),
            *(layer.pad, q, bound.handles, layer.table, bound.scales, bound.bias),
            *(shape.tile, shape.reach, y, out),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """Properties of the input of a convolution.

    Attributes:
        sums: Sums of the input; see :func:`engines.kokoro.kernels.gather`.
        style: Scale and shift of its normalisation; ``None`` for no normalisation.
        alpha: Parameter of the snake activation; empty for a leaky ReLU.
    """

    sums: Floats
    style: Floats | None
    alpha: Floats = field(default_factory=lambda: _NO_FLOATS)


def _sums(x: Floats, rows: int) -> Floats:
    sums = np.empty((4, x.shape[1]), np.float32)
    kernels.clear(sums)
    kernels.gather(x, 0, rows, sums)
    return sums


def _halved(curve: Floats, weights: Floats, bias: Floats) -> Floats:
    """Convolve a curve with three taps and stride 2."""
    padded = np.pad(curve, 1)
    before, at, after = weights.reshape(-1)
    return padded[:-2:2] * before + padded[1:-1:2] * at + padded[2::2] * after + bias[0]


def _rectified(x: Floats, sums: Floats, rows: int, style: Floats) -> Floats:
    """Normalise, scale and shift ``x``, and apply a leaky ReLU, in float32."""
    mean = sums[0] / rows
    scale = (1 + style[0]) / np.sqrt(sums[1] / rows - mean * mean + np.float32(1e-5))
    value = (x - mean) * scale + style[1]
    return np.maximum(value, 0) + _SLOPE * np.minimum(value, 0)


def _pooled(x: Floats, weights: Floats, bias: Floats) -> Floats:
    """Double the rows by a depthwise transposed convolution with three taps."""
    before, at, after = weights[:, 0].T
    pooled = np.empty((2 * len(x), x.shape[1]), np.float32)
    pooled[::2] = x * at + bias
    pooled[1::2] = x * after + bias
    pooled[1:-1:2] += x[1:] * before
    return pooled


def _moments(heard: Floats, weights: Floats) -> Floats:
    """Build the input matrix of a strided convolution: per output row, all channels with all taps."""
    taps = weights.shape[2]
    if taps == 1:
        return heard
    stride = taps // 2
    padded = np.pad(heard, ((stride // 2, stride // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps, 0)[::stride]
    return windows.reshape(len(windows), -1)
