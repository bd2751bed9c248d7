"""CUDA through ONNX Runtime: its availability and options."""

import contextlib
import ctypes
import io
import sys
from typing import Any, Final

import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it ships none

ort: Any = onnxruntime

PROVIDER: Final = "CUDAExecutionProvider"
SETTINGS: Final = {
    # The default benchmarks every algorithm for every new length, and lengths keep varying.
    "cudnn_conv_algo_search": "HEURISTIC",
    # The default doubles its memory each time it needs more.
    "arena_extend_strategy": "kSameAsRequested",
}


def lacking() -> str | None:
    """Return why CUDA cannot be used, with a remedy; ``None`` if it can be tried."""
    if PROVIDER not in ort.get_available_providers():
        return "ONNX Runtime lacks CUDA. Install `awaaztwin[server-cuda]` in a separate environment"
    # Without it ONNX Runtime still offers CUDA, logs long errors and computes on the CPU.
    if not _driver_is_here():
        return "There is no NVIDIA driver here. Install it"
    return None


def load_libraries() -> None:
    """Load CUDA and cuDNN from their Python packages, if those are installed."""
    if not hasattr(ort, "preload_dlls"):
        return
    # It prints every library that it does not find; creating a session shows which are really missing.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(OSError, RuntimeError):
        ort.preload_dlls()


def _driver_is_here() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
