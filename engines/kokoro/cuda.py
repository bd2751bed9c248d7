"""CUDA by ONNX Runtime: whether it is here, and how a graph is computed on it."""

import contextlib
import ctypes
import io
import sys
from typing import Any, Final

import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it ships none

ort: Any = onnxruntime

PROVIDER: Final = "CUDAExecutionProvider"
SETTINGS: Final = {
    # The default times every algorithm for every new length, of which there are ever more.
    "cudnn_conv_algo_search": "HEURISTIC",
    # The default doubles what it holds each time it needs more.
    "arena_extend_strategy": "kSameAsRequested",
}


def lacking() -> str | None:
    """Why CUDA cannot be tried here, as a sentence with what to do; None where it can."""
    if PROVIDER not in ort.get_available_providers():
        return "ONNX Runtime lacks CUDA. Install `awaaztwin[server-cuda]` in a separate environment"
    # Without it ONNX Runtime offers CUDA all the same, complains at length and computes on the CPU.
    if not _driver_is_here():
        return "There is no NVIDIA driver here. Install it"
    return None


def load_libraries() -> None:
    """Load CUDA and cuDNN from their Python packages, where they are installed as such."""
    if not hasattr(ort, "preload_dlls"):
        return
    # It prints what it does not find; what is really missing shows when a session is made.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(OSError, RuntimeError):
        ort.preload_dlls()


def _driver_is_here() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
