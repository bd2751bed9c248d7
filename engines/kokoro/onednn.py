"""oneDNN's convolutions through its C API (``oneapi/dnnl/dnnl.h``, version 3), bound with ctypes.

Convolutions are of 8-bit integers over a tile of fixed length: the caller pads the source, so that one
primitive, created once, serves texts of every length. All threads share primitives and packed weights, and
each has its own buffers (:class:`Worker`, :class:`Bound`).
"""

import ctypes
import sys
import weakref
from collections.abc import Callable
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
    """The library cannot be loaded, or a call failed; the message gives the call and its status."""


def installed() -> Path | None:
    """Return the path of the library from its wheel; ``None`` if it is not installed."""
    path = Path(sys.prefix) / "lib" / LIBRARY
    return path if path.is_file() else None


class Handle:
    """A handle of a library object, which is destroyed with it. ctypes accepts it as an argument.

    Args:
        value: Address of the object.
        destroy: The library's function that destroys it.
        keeps: Object to keep alive until then: the library's engine.
    """

    def __init__(self, value: int, destroy: Callable[[ctypes.c_void_p], int], keeps: object) -> None:
        self.value = value
        self._as_parameter_ = ctypes.c_void_p(value)
        self._keeps = keeps
        # Not at exit, when other threads may still be computing.
        weakref.finalize(self, destroy, self._as_parameter_).atexit = False


class Onednn:
    """The loaded library and its engine for the CPU.

    Args:
        path: Path of the shared library.

    Raises:
        OnednnError: The library does not load.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._lib = ctypes.CDLL(str(path))
            self._threads = ctypes.CDLL("libgomp.so.1")
        except OSError as error:
            raise OnednnError(f"oneDNN does not load: {error}") from error
        self.engine: Handle | None = None
        self.engine = self.make("engine", "dnnl_engine_create", _CPU, ctypes.c_size_t(0))

    @property
    def quick_at_int8(self) -> bool:
        """Whether the CPU multiplies 8-bit integers without saturation."""
        return bool(self._lib.dnnl_get_effective_cpu_isa() & _VNNI)

    def one_thread(self) -> None:
        """Limit the calling thread's computations to one thread; libgomp has this setting per thread."""
        self._threads.omp_set_num_threads(1)

    def call(self, name: str, *arguments: object) -> None:
        """Call a function that returns a status.

        Raises:
            OnednnError: The status is not success.
        """
        status = int(getattr(self._lib, name)(*arguments))
        if status:
            raise OnednnError(f"{name} failed with status {status}.")

    def make(self, kind: str, function: str, *arguments: object) -> Handle:
        """Create an object with a function of the library, which returns it through its first argument.

        Args:
            kind: Kind of object, which ``dnnl_<kind>_destroy`` destroys.
            function: Name of the function.
            arguments: The other arguments.

        Raises:
            OnednnError: The status is not success.
        """
        made = ctypes.c_void_p()
        self.call(function, ctypes.byref(made), *arguments)
        return Handle(made.value or 0, getattr(self._lib, f"dnnl_{kind}_destroy"), self.engine)

    def query(self, descriptor: Handle, what: int) -> ctypes.c_void_p:
        """Return a memory descriptor of a primitive; it is valid as long as ``descriptor``."""
        function = self._lib.dnnl_primitive_desc_query_md
        function.restype = ctypes.c_void_p
        return ctypes.c_void_p(function(descriptor, what, 0))

    def size(self, descriptor: Handle | ctypes.c_void_p) -> int:
        """Return the size of the memory that a descriptor describes, in bytes."""
        function = self._lib.dnnl_memory_desc_get_size
        function.restype = ctypes.c_size_t
        return int(function(descriptor))

    def described(self, shape: tuple[int, ...], kind: int, strides: tuple[int, ...] | None = None) -> Handle:
        """Create a memory descriptor; without strides, the library chooses the layout."""
        how: tuple[str, object] = ("tag", _ANY) if strides is None else ("strides", _Dims(*strides))
        function = f"dnnl_memory_desc_create_with_{how[0]}"
        return self.make("memory_desc", function, len(shape), _Dims(*shape), kind, how[1])

    def memory(self, descriptor: Handle | ctypes.c_void_p, address: int) -> Handle:
        """Create a memory object over bytes that the caller keeps alive."""
        return self.make("memory", "dnnl_memory_create", descriptor, self.engine, ctypes.c_void_p(address))

    def stream(self) -> Handle:
        """Create a stream, for one thread."""
        return self.make("stream", "dnnl_stream_create", self.engine, 1)

    def execute(self, primitive: Handle, stream: Handle, arguments: dict[int, Handle]) -> None:
        """Run a primitive once."""
        array = arguments_of(arguments)
        pointer = ctypes.c_void_p(array.ctypes.data)
        self.call("dnnl_primitive_execute", primitive, stream, ctypes.c_int(len(array)), pointer)
        self.call("dnnl_stream_wait", stream)


def arguments_of(arguments: dict[int, Handle]) -> npt.NDArray[np.int64]:
    """Build a ``dnnl_exec_arg_t[]``: an index and a memory handle for each argument."""
    return np.array([(index, memory.value) for index, memory in arguments.items()], np.int64)


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Allocate zeros, aligned to 64 bytes."""
    whole = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % _ALIGNMENT
    return whole[start : start + size]


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a convolution over time.

    Attributes:
        channels: Channels of the source; a multiple of four, as the source's rows are packed.
        filters: Channels of the result.
        taps: Length of the kernel.
        dilation: Number of rows from one tap to the next.
        tile: Number of rows of the result per call.
        adds: Whether the result is added to the destination.
    """

    channels: int
    filters: int
    taps: int
    dilation: int
    tile: int
    adds: bool

    @property
    def reach(self) -> int:
        """Number of rows of the source in addition to those of the tile."""
        return (self.taps - 1) * self.dilation


class Convolution:
    """A convolution of uint8 rows with int8 weights, with a float32 result.

    Rows are contiguous in memory, with channels innermost. ``y = scale · Σ x·w + bias`` for each filter.

    Args:
        onednn: The library; :meth:`Onednn.one_thread` must have been called in the calling thread.
        weights: int8, shape ``(filters, channels, taps)``.
        dilation: Number of rows from one tap to the next.
        tile: Number of rows of the result per call.
        adds: Whether to add the result to the destination.
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
        attributes = onednn.make("primitive_attr", "dnnl_primitive_attr_create")
        onednn.call("dnnl_primitive_attr_set_scratchpad_mode", attributes, _USER)
        onednn.call("dnnl_primitive_attr_set_scales_mask", attributes, _WEIGHTS, _EACH_CHANNEL)
        if adds:
            after = onednn.make("post_ops", "dnnl_post_ops_create")
            onednn.call("dnnl_post_ops_append_sum", after, ctypes.c_float(1.0), 0, 0)
            onednn.call("dnnl_primitive_attr_set_post_ops", attributes, after)
        self._chosen = chosen = onednn.make(
            "primitive_desc",
            "dnnl_convolution_forward_primitive_desc_create",
            onednn.engine,
            *(_INFERENCE, _DIRECT),
            self.source,
            onednn.described(weights.shape, _S8),
            self.line,
            self.result,
            *(_Dims(1), _Dims(dilation - 1), _Dims(0), _Dims(0)),
            attributes,
        )
        self.primitive = onednn.make("primitive", "dnnl_primitive_create", chosen)
        self.scratchpad = onednn.query(chosen, _QUERY_SCRATCHPAD)
        self.scratchpad_bytes = onednn.size(self.scratchpad)
        self._pack(onednn.query(chosen, _QUERY_WEIGHTS), weights)

    def _pack(self, layout: ctypes.c_void_p, weights: npt.NDArray[np.int8]) -> None:
        """Convert the weights to the primitive's layout."""
        onednn = self.onednn
        weights = np.ascontiguousarray(weights)
        _, channels, taps = weights.shape
        plain = onednn.described(weights.shape, _S8, (channels * taps, taps, 1))
        self._packed = aligned(onednn.size(layout))
        self.weights = onednn.memory(layout, self._packed.ctypes.data)
        how = onednn.make(
            "primitive_desc",
            "dnnl_reorder_primitive_desc_create",
            *(plain, onednn.engine, layout, onednn.engine, None),
        )
        reorder = onednn.make("primitive", "dnnl_primitive_create", how)
        given = onednn.memory(plain, weights.ctypes.data)
        onednn.execute(reorder, onednn.stream(), {_SRC: given, _DST: self.weights})


class Worker:
    """One thread's resources for running convolutions.

    Args:
        onednn: The library.
        scratchpad_bytes: Maximum that any of its convolutions needs.
    """

    def __init__(self, onednn: Onednn, scratchpad_bytes: int) -> None:
        self.onednn = onednn
        self.stream = onednn.stream()
        self.scratchpad = aligned(max(scratchpad_bytes, 1))


class Bound:
    """A convolution bound to one thread: its scales and bias, and its buffers.

    Attributes:
        scales: Scale of each filter, shape ``(filters,)``.
        bias: Bias of each filter, shape ``(filters,)``.
    """

    def __init__(self, convolution: Convolution, worker: Worker) -> None:
        onednn, filters = convolution.onednn, convolution.shape.filters
        self.shape = convolution.shape
        # Kept alive, since the handles below are addresses of their objects.
        self._convolution, self._worker = convolution, worker
        self.scales: Floats = np.ones(filters, np.float32)
        self.bias: Floats = np.zeros(filters, np.float32)
        source = onednn.memory(convolution.source, 0)
        result = onednn.memory(convolution.result, 0)
        self._memories = arguments = {
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
                convolution.primitive.value,
                worker.stream.value,
                self._arguments.ctypes.data,
                len(self._arguments),
                source.value,
                result.value,
            ],
            np.int64,
        )
        """For the kernels: primitive, stream, arguments and their number, memory of source and result."""
