"""oneDNN's convolutions through its C API (``oneapi/dnnl/dnnl.h``, version 3), bound with ctypes.

A convolution here is one of 8-bit integers over a tile of fixed length: its source is padded by whoever
fills it, so that one primitive, made once, serves texts of every length. Primitives and packed weights are
shared by all threads; what a thread writes to (:class:`Worker`, :class:`Bound`) is its own.
"""

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LIBRARY: Final = "libdnnl.so.3"
_CPU: Final = 1
_INFERENCE: Final = 96  # dnnl_forward_inference
_DIRECT: Final = 1  # dnnl_convolution_direct
_ANY: Final = 1  # dnnl_format_tag_any
_F32, _S8, _U8 = 3, 5, 6
_USER: Final = 1  # dnnl_scratchpad_mode_user
_QUERY_WEIGHTS, _QUERY_SCRATCHPAD = 131, 136
_SRC, _DST, _WEIGHTS, _BIAS, _SCRATCHPAD = 1, 17, 33, 41, 80
_SCALES: Final = 4_096  # DNNL_ARG_ATTR_SCALES
_EACH_CHANNEL: Final = 1  # a mask: a scale for each output channel
_VNNI: Final = 0x08 | 0x40
"""Bits of ``dnnl_cpu_isa_t``: products of 8-bit integers that do not saturate, with 256 or 512 bits."""
_ALIGNMENT: Final = 64
_Dims: Final = ctypes.c_int64 * 12


class OnednnError(Exception):
    """The library cannot be loaded, or refuses; the message says which call and its status."""


def installed() -> Path | None:
    """The library, where its wheel put it; ``None`` where it is not installed."""
    path = Path(sys.prefix) / "lib" / LIBRARY
    return path if path.is_file() else None


class Onednn:
    """The loaded library and its engine for the CPU.

    Args:
        path: Of the shared library.

    Raises:
        OnednnError: It does not load.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._lib = ctypes.CDLL(str(path))
            self._threads = ctypes.CDLL("libgomp.so.1")
        except OSError as error:
            raise OnednnError(f"oneDNN does not load: {error}") from error
        self.engine = ctypes.c_void_p()
        self.call("dnnl_engine_create", ctypes.byref(self.engine), _CPU, ctypes.c_size_t(0))

    @property
    def quick_at_int8(self) -> bool:
        """Whether the processor multiplies 8-bit integers without saturating."""
        return bool(self._lib.dnnl_get_effective_cpu_isa() & _VNNI)

    def one_thread(self) -> None:
        """Make the calling thread compute alone; libgomp keeps this for each thread."""
        self._threads.omp_set_num_threads(1)

    def call(self, name: str, *arguments: object) -> None:
        """Call a function that returns a status.

        Raises:
            OnednnError: The status is not success.
        """
        status = int(getattr(self._lib, name)(*arguments))
        if status:
            raise OnednnError(f"{name} gave the status {status}.")

    def query(self, descriptor: ctypes.c_void_p, what: int) -> ctypes.c_void_p:
        """A memory descriptor of a primitive's."""
        function = self._lib.dnnl_primitive_desc_query_md
        function.restype = ctypes.c_void_p
        return ctypes.c_void_p(function(descriptor, what, 0))

    def size(self, descriptor: ctypes.c_void_p) -> int:
        """Bytes that a memory descriptor describes."""
        function = self._lib.dnnl_memory_desc_get_size
        function.restype = ctypes.c_size_t
        return int(function(descriptor))

    def described(
        self, shape: tuple[int, ...], kind: int, strides: tuple[int, ...] | None = None
    ) -> ctypes.c_void_p:
        """A memory descriptor; without strides the library chooses the layout."""
        made = ctypes.c_void_p()
        dims = _Dims(*shape)
        if strides is None:
            self.call("dnnl_memory_desc_create_with_tag", ctypes.byref(made), len(shape), dims, kind, _ANY)
        else:
            self.call(
                "dnnl_memory_desc_create_with_strides",
                ctypes.byref(made),
                len(shape),
                dims,
                kind,
                _Dims(*strides),
            )
        return made

    def memory(self, descriptor: ctypes.c_void_p, address: int) -> ctypes.c_void_p:
        """A memory object over bytes that somebody else keeps."""
        made = ctypes.c_void_p()
        self.call("dnnl_memory_create", ctypes.byref(made), descriptor, self.engine, ctypes.c_void_p(address))
        return made

    def stream(self) -> int:
        """The handle of a new stream, for one thread."""
        made = ctypes.c_void_p()
        self.call("dnnl_stream_create", ctypes.byref(made), self.engine, 1)
        return made.value or 0

    def execute(self, primitive: ctypes.c_void_p, stream: int, arguments: dict[int, ctypes.c_void_p]) -> None:
        """Run a primitive once."""
        array = arguments_of(arguments)
        pointer = ctypes.c_void_p(array.ctypes.data)
        self.call(
            "dnnl_primitive_execute", primitive, ctypes.c_void_p(stream), ctypes.c_int(len(array)), pointer
        )
        self.call("dnnl_stream_wait", ctypes.c_void_p(stream))


def arguments_of(arguments: dict[int, ctypes.c_void_p]) -> npt.NDArray[np.int64]:
    """``dnnl_exec_arg_t[]``: an index and a memory handle for each."""
    return np.array([(index, memory.value) for index, memory in arguments.items()], np.int64)


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Zeros whose first byte stands at a multiple of 64."""
    whole = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % _ALIGNMENT
    return whole[start : start + size]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a convolution over time is.

    Attributes:
        channels: Of its source; a multiple of four, as the source's rows are packed.
        filters: Channels of what it gives.
        taps: Of its kernel.
        dilation: Rows from one tap to the next.
        tile: Rows that one call gives.
        adds: Whether what it gives is added to what is there.
    """

    channels: int
    filters: int
    taps: int
    dilation: int
    tile: int
    adds: bool

    @property
    def reach(self) -> int:
        """Rows of the source beside those of the tile."""
        return (self.taps - 1) * self.dilation


class Convolution:
    """A convolution of unsigned 8-bit rows with signed 8-bit weights, into 32-bit floats.

    Rows follow each other in memory, channels within a row. ``y = scale · Σ x·w + bias`` for each filter.

    Args:
        onednn: The library; the calling thread must compute alone (:meth:`Onednn.one_thread`).
        weights: int8, shape ``(filters, channels, taps)``.
        dilation: Rows from one tap to the next.
        tile: Rows that one call gives.
        adds: Add to what is there.
    """

    def __init__(
        self, onednn: Onednn, weights: npt.NDArray[np.int8], *, dilation: int, tile: int, adds: bool
    ) -> None:
        filters, channels, taps = weights.shape
        self.shape = shape = Shape(channels, filters, taps, dilation, tile, adds)
        self.onednn = onednn
        rows = tile + shape.reach
        self.source = onednn.described((1, channels, rows), _U8, (rows * channels, 1, channels))
        self.result = onednn.described((1, filters, tile), _F32, (tile * filters, 1, filters))
        self.line = onednn.described((filters,), _F32, (1,))
        attributes = ctypes.c_void_p()
        onednn.call("dnnl_primitive_attr_create", ctypes.byref(attributes))
        onednn.call("dnnl_primitive_attr_set_scratchpad_mode", attributes, _USER)
        onednn.call("dnnl_primitive_attr_set_scales_mask", attributes, _WEIGHTS, _EACH_CHANNEL)
        if adds:
            after = ctypes.c_void_p()
            onednn.call("dnnl_post_ops_create", ctypes.byref(after))
            onednn.call("dnnl_post_ops_append_sum", after, ctypes.c_float(1.0), 0, 0)
            onednn.call("dnnl_primitive_attr_set_post_ops", attributes, after)
        chosen = ctypes.c_void_p()
        onednn.call(
            "dnnl_convolution_forward_primitive_desc_create",
            ctypes.byref(chosen),
            onednn.engine,
            *(_INFERENCE, _DIRECT),
            self.source,
            onednn.described(weights.shape, _S8),
            self.line,
            self.result,
            *(_Dims(1), _Dims(dilation - 1), _Dims(0), _Dims(0)),
            attributes,
        )
        self.primitive = ctypes.c_void_p()
        onednn.call("dnnl_primitive_create", ctypes.byref(self.primitive), chosen)
        self.scratchpad = onednn.query(chosen, _QUERY_SCRATCHPAD)
        self.scratchpad_bytes = onednn.size(self.scratchpad)
        self._pack(onednn.query(chosen, _QUERY_WEIGHTS), weights)

    def _pack(self, layout: ctypes.c_void_p, weights: npt.NDArray[np.int8]) -> None:
        """Put the weights into the layout that the primitive wants."""
        onednn = self.onednn
        weights = np.ascontiguousarray(weights)
        _, channels, taps = weights.shape
        plain = onednn.described(weights.shape, _S8, (channels * taps, taps, 1))
        self._packed = aligned(onednn.size(layout))
        self.weights = onednn.memory(layout, self._packed.ctypes.data)
        how, reorder = ctypes.c_void_p(), ctypes.c_void_p()
        onednn.call(
            "dnnl_reorder_primitive_desc_create",
            ctypes.byref(how),
            *(plain, onednn.engine, layout, onednn.engine, None),
        )
        onednn.call("dnnl_primitive_create", ctypes.byref(reorder), how)
        given = onednn.memory(plain, weights.ctypes.data)
        onednn.execute(reorder, onednn.stream(), {_SRC: given, _DST: self.weights})


class Worker:
    """What one thread needs to run convolutions.

    Args:
        onednn: The library.
        scratchpad_bytes: The most that any of its convolutions asks for.
    """

    def __init__(self, onednn: Onednn, scratchpad_bytes: int) -> None:
        self.onednn = onednn
        self.stream = onednn.stream()
        self.scratchpad = aligned(max(scratchpad_bytes, 1))


class Bound:
    """A convolution in one thread's hands: its scales and bias, and where it reads and writes.

    Attributes:
        scales: One for each filter.
        bias: One for each filter.
    """

    def __init__(self, convolution: Convolution, worker: Worker) -> None:
        onednn, filters = convolution.onednn, convolution.shape.filters
        self.shape = convolution.shape
        self._convolution, self._worker = convolution, worker  # kept: handles below point into them
        self.scales: Floats = np.ones(filters, np.float32)
        self.bias: Floats = np.zeros(filters, np.float32)
        source = onednn.memory(convolution.source, 0)
        result = onednn.memory(convolution.result, 0)
        arguments = {
            _SRC: source,
            _WEIGHTS: convolution.weights,
            _BIAS: onednn.memory(convolution.line, self.bias.ctypes.data),
            _DST: result,
            _SCALES | _WEIGHTS: onednn.memory(convolution.line, self.scales.ctypes.data),
            _SCRATCHPAD: onednn.memory(convolution.scratchpad, worker.scratchpad.ctypes.data),
        }
        self._arguments = arguments_of(arguments)
        self.handles = np.array(
            [
                convolution.primitive.value or 0,
                worker.stream,
                self._arguments.ctypes.data,
                len(self._arguments),
                source.value or 0,
                result.value or 0,
            ],
            np.int64,
        )
        """Primitive, stream, arguments, how many, the source's and the result's memory: for the kernels."""
