"""Backends of Kokoro: oneDNN and compiled kernels if the CPU supports them, else ONNX Runtime."""

import logging
from pathlib import Path

import numpy as np

from engines.config import Device
from engines.kokoro import cuda
from engines.kokoro.graph import DURATIONS, Floats, Graph, UnknownLayout
from engines.kokoro.onednn import OnednnError
from engines.kokoro.options import BackendChoice
from engines.kokoro.session import Backend, BackendError, Session, Spoken
from engines.memory import share_one_heap

logger = logging.getLogger(__name__)


def open_backend(path: Path, choice: BackendChoice, device: Device) -> Backend:
    """Open the chosen backend; by default the fastest that works on this machine.

    Args:
        path: Path of the export.
        choice: The backend.
        device: The device.

    Raises:
        BackendError: The backend does not work on this machine.
        ValueError: The file is not an export of Kokoro.
    """
    graph = Graph(path)
    if device == "cuda" or (device == "auto" and choice != "onednn"):
        try:
            return _on_cuda(graph, choice)
        except BackendError as error:
            if device == "cuda":
                raise BackendError(f"{error}, or set the engine's device to cpu") from error
            logger.info("KOKORO runs on the CPU: %s", error)
    if choice in {"auto", "onednn"}:
        try:
            return _by_onednn(graph)
        except (OnednnError, UnknownLayout) as error:
            if choice == "onednn":
                raise BackendError(f"oneDNN cannot run this model here: {error}") from error
            logger.info("KOKORO runs on ONNX Runtime alone: %s", error)
    return OnnxRuntimeBackend(graph)


def _on_cuda(graph: Graph, choice: BackendChoice) -> "OnnxRuntimeBackend":
    if choice == "onednn":
        raise BackendError("oneDNN runs on the CPU only. Set the engine's backend to auto")
    if (reason := cuda.lacking()) is not None:
        raise BackendError(reason)
    if graph.has_integers:
        raise BackendError(
            "This export multiplies 8-bit integers, which ONNX Runtime supports on the CPU only. Take "
            "float16: `awaaztwin models pull kokoro-fp16`, and its folder as the engine's `model_path`"
        )
    cuda.load_libraries()
    return OnnxRuntimeBackend(graph, on_cuda=True)


def _by_onednn(graph: Graph) -> Backend:
    try:
        # It compiles kernels, and its dependencies are not available everywhere.
        from engines.kokoro.onednn_backend import OnednnBackend  # noqa: PLC0415
    except ImportError as error:
        raise OnednnError(f"{error.name or error} cannot be imported") from error
    return OnednnBackend(graph)


class OnnxRuntimeBackend:
    """The whole graph in ONNX Runtime.

    Args:
        graph: The export.
        on_cuda: Whether to run on a GPU.

    Raises:
        BackendError: CUDA does not work.
        ValueError: The file is not an export of Kokoro.
    """

    def __init__(self, graph: Graph, *, on_cuda: bool = False) -> None:
        share_one_heap()
        self._session = Session(graph.whole(), on_cuda=on_cuda)
        self._gain = np.float32(graph.gain)
        self._timed = DURATIONS in self._session.outputs
        self.name = "ONNX Runtime on CUDA" if on_cuda else "ONNX Runtime"

    def speak(self, symbols: list[int], style: Floats, speed: float) -> Spoken:
        """See :meth:`Backend.speak`."""
        made = self._session.run(symbols, style, speed)
        frames = made[DURATIONS].reshape(-1).astype(np.int64) if self._timed else None
        samples = next(value for name, value in made.items() if name != DURATIONS)
        return Spoken(samples.reshape(-1).astype(np.float32) * self._gain, frames)
