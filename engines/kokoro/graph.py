"""An export of Kokoro to ONNX: its inputs, its durations, and its weights.

Nodes are found by their names, which are those of the author's modules, so that exports in 8-bit integers,
float32 and float16 are read in the same way. Exports with another layout run in ONNX Runtime alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, utils

Floats = npt.NDArray[np.float32]

SPEED: Final = "speed"
DURATIONS: Final = "/encoder/Cast_output_0"
"""Number of frames of each symbol, int64; a frame has 600 samples."""
ALIGNED, PITCH, ENERGY = (
    "/encoder/MatMul_1_output_0",
    "/encoder/Reshape_output_0",
    "/encoder/Reshape_1_output_0",
)
"""Inputs of the decoder: features of the text, a column per frame; pitch and energy, two values per frame."""
_INTEGER_OPERATORS: Final = frozenset({"ConvInteger", "MatMulInteger"})
_LEVELS: Final = 127
_WINDOW: Final = 20
"""Length of the inverse transform's window, in samples."""


class UnknownLayout(Exception):  # noqa: N818 - named for what it is
    """The names or types of the export's nodes are unknown; the message says which."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The weights of a convolution over time.

    Attributes:
        weights: int8, shape ``(filters, channels, taps)``, to be multiplied by ``scales``.
        scales: Scale of each filter, shape ``(filters,)``.
        bias: Bias of each filter, shape ``(filters,)``.
    """

    weights: npt.NDArray[np.int8]
    scales: Floats
    bias: Floats

    def as_floats(self) -> Floats:
        """Return the dequantised weights, shape ``(filters, channels, taps)``."""
        return self.weights.astype(np.float32) * self.scales[:, None, None]


class Graph:
    """An export, read from its file.

    Args:
        path: Path of the ``.onnx`` file.

    Raises:
        ValueError: The file is not an ONNX file.
    """

    def __init__(self, path: Path) -> None:
        try:
            library: Any = onnx
            self.model: onnx.ModelProto = library.load(str(path))
        except Exception as error:  # protobuf's own exceptions; whatever it raises, the file is at fault
            raise ValueError(f"it is not an ONNX file: {error}") from error
        self._take_any_speed()

    def _take_any_speed(self) -> None:
        """Accept fractional speeds: the author's export has an integer input, which it casts to float."""
        for given in self.model.graph.input:
            readers = [node for node in self.model.graph.node if given.name in node.input]
            if given.name == SPEED and readers and all(node.op_type == "Cast" for node in readers):
                given.type.tensor_type.elem_type = TensorProto.FLOAT

    @cached_property
    def _nodes(self) -> Mapping[str, onnx.NodeProto]:
        return {node.name: node for node in self.model.graph.node}

    @cached_property
    def _tensors(self) -> Mapping[str, TensorProto]:
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @property
    def has_durations(self) -> bool:
        """Whether the durations have the expected name."""
        return any(DURATIONS in node.output for node in self.model.graph.node)

    @property
    def has_integers(self) -> bool:
        """Whether the export multiplies 8-bit integers."""
        return any(node.op_type in _INTEGER_OPERATORS for node in self.model.graph.node)

    @property
    def gain(self) -> float:
        """Factor to multiply the samples by.

        Exports traced with a single frame contain the sum of only one window, so that all but the first
        samples are not divided by 1.5, the sum of the squares of overlapping windows: their peaks exceed 1.
        """
        sums = self._tensors.get("decoder.decoder.generator.stft.istft.stft.window_sum")
        return 1 / 1.5 if sums is not None and sums.dims[0] <= _WINDOW else 1.0

    def whole(self) -> bytes:
        """Return the export, with durations as a second output if they can be found."""
        if not self.has_durations or any(out.name == DURATIONS for out in self.model.graph.output):
            return self.model.SerializeToString()
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        copy.graph.output.append(helper.make_tensor_value_info(DURATIONS, TensorProto.INT64, None))
        return copy.SerializeToString()

    def front(self) -> bytes:
        """Return the part before the decoder, with the decoder's inputs and the durations as outputs.

        Raises:
            UnknownLayout: The graph does not have these values.
        """
        wanted = [ALIGNED, PITCH, ENERGY, DURATIONS]
        made = {name for node in self.model.graph.node for name in node.output}
        if missing := [name for name in wanted if name not in made]:
            raise UnknownLayout(f"no node outputs {missing[0]}")
        inputs = [given.name for given in self.model.graph.input]
        return utils.Extractor(self.model).extract_model(inputs, wanted).SerializeToString()

    def tensor(self, name: str) -> Floats:
        """Return a weight as float32.

        Raises:
            UnknownLayout: There is no weight of that name.
        """
        return self._array(name).astype(np.float32)

    def kernel(self, module: str) -> Kernel:
        """Return the quantised convolution of a module, such as ``generator/resblocks.0/convs1.0``.

        Raises:
            UnknownLayout: There is no such convolution.
        """
        path = f"/decoder/decoder/{module}/Conv"
        if node := self._nodes.get(f"{path}_quant"):
            around, scale = self._around_zero(node.input[1], node.input[3], axis=0)
            filters = around.shape[0]
            named = f"decoder.decoder.{module.replace('/', '.')}.bias"
            bias = self.tensor(named) if named in self._tensors else np.zeros(filters, np.float32)
            if around.min() < -_LEVELS or around.max() > _LEVELS:
                return quantised(around.astype(np.float32) * scale, bias)
            return Kernel(around.astype(np.int8), np.broadcast_to(scale.reshape(-1), filters), bias)
        if node := self._nodes.get(path):
            whole = self.tensor(node.input[1])
            return quantised(whole, self._bias(node, len(whole)))
        raise UnknownLayout(f"there is no convolution {module}")

    def convolution(self, module: str, kind: str = "Conv") -> tuple[Floats, Floats]:
        """Return the weights and the bias of a module's convolution, in float32.

        Args:
            module: Name of the module, as in :meth:`kernel`.
            kind: ``Conv`` or ``ConvTranspose``.

        Raises:
            UnknownLayout: There is no such convolution.
        """
        node = self._nodes.get(f"/decoder/decoder/{module}/{kind}")
        if node is None:
            kernel = self.kernel(module)
            return kernel.as_floats(), kernel.bias
        weights = self.tensor(node.input[1])
        return weights, self._bias(node, weights.shape[0])

    def linear(self, module: str) -> tuple[Floats, Floats]:
        """Return the weights, shape ``(in, out)``, and the bias of a module's linear layer.

        Raises:
            UnknownLayout: There is no such layer.
        """
        path = f"/decoder/decoder/{module}/Gemm"
        bias = f"decoder.decoder.{module.replace('/', '.')}.bias"
        if node := self._nodes.get(f"/decoder/decoder/{module}/MatMul"):
            return self.tensor(node.input[1]), self.tensor(bias)
        if node := self._nodes.get(f"{path}_MatMul_quant"):
            weights, scale = self._around_zero(node.input[1], node.input[3], axis=1)
            return weights.astype(np.float32) * scale, self.tensor(bias)
        if node := self._nodes.get(path):
            return np.ascontiguousarray(self.tensor(node.input[1]).T), self.tensor(node.input[2])
        raise UnknownLayout(f"there is no linear layer {module}")

    def _bias(self, node: onnx.NodeProto, filters: int) -> Floats:
        given = node.input[2:]
        return self.tensor(given[0]) if given else np.zeros(filters, np.float32)

    def _array(self, name: str) -> npt.NDArray[np.generic]:
        tensor = self._tensors.get(name)
        if tensor is None:
            raise UnknownLayout(f"there is no weight {name}")
        return numpy_helper.to_array(tensor)

    def _around_zero(self, name: str, zero: str, *, axis: int) -> tuple[npt.NDArray[np.int16], Floats]:
        """Return quantised weights minus their zero point, and their scales.

        Args:
            name: Name of the weights.
            zero: Name of their zero point: one value, or one for each index of ``axis``.
            axis: Axis of the weights that zero points and scales belong to.
        """
        weights = self._array(name).astype(np.int16)
        along = [1] * weights.ndim
        along[axis] = -1
        around = weights - self._array(zero).astype(np.int16).reshape(along)
        return around, self.tensor(name.removesuffix("_quantized") + "_scale").reshape(along)


def quantised(weights: Floats, bias: Floats) -> Kernel:
    """Quantise weights to int8, with a scale for each filter.

    Args:
        weights: Shape ``(filters, channels, taps)``.
        bias: Shape ``(filters,)``.
    """
    scales = np.maximum(np.abs(weights).max((1, 2)), 1e-12) / _LEVELS
    return Kernel(np.rint(weights / scales[:, None, None]).astype(np.int8), scales.astype(np.float32), bias)
