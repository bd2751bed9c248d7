"""What computes Kokoro: oneDNN and compiled passes where the processor is fit for them, else ONNX Runtime."""

import logging
import threading
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it ships none

from engines.config import Device
from engines.kokoro import cuda, onednn
from engines.kokoro.decoder import STYLE, Decoder, Speaker
from engines.kokoro.graph import DURATIONS, Floats, Graph, UnknownLayout
from engines.kokoro.onednn import Onednn, OnednnError
from engines.kokoro.options import BackendChoice

ort: Any = onnxruntime

logger = logging.getLogger(__name__)

_TOKENS: Final = ("tokens", "input_ids")
_CPU: Final = "CPUExecutionProvider"
_TYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class BackendError(Exception):
    """It cannot be used here, or cannot speak; the message says why."""


class Spoken(NamedTuple):
    """A phrase as the model says it.

    Attributes:
        samples: 24 kHz, shape ``(600 · sum(frames),)``.
        frames: Of each symbol, 600 samples each, with those before and after the phrase; ``None`` where the
            export does not tell.
    """

    samples: Floats
    frames: npt.NDArray[np.int64] | None


class Backend(Protocol):
    """Speaks phrases, in any number of threads at once."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def speak(self, symbols: list[int], style: Floats, speed: float) -> Spoken:
        """Say a phrase.

        Args:
            symbols: Ids, without those of the beginning and the end.
            style: Shape ``(256,)``.
            speed: 0.5 to 2.

        Raises:
            BackendError: It failed.
        """
        ...


def open_backend(path: Path, choice: BackendChoice, device: Device) -> Backend:
    """The backend that is chosen, or the quickest that works here.

    Args:
        path: The export.
        choice: What computes.
        device: What it computes on.

    Raises:
        BackendError: It does not work here.
        ValueError: The file is not an export of Kokoro.
    """
    graph = Graph(path)
    if device == "cuda" or (device == "auto" and choice != "onednn"):
        try:
            return _on_cuda(graph, choice)
        except BackendError as error:
            if device == "cuda":
                raise BackendError(f"{error}, or set the engine's device to cpu") from error
            logger.info("KOKORO is computed on the CPU: %s", error)
    if choice in {"auto", "onednn"}:
        try:
            return OnednnBackend(graph)
        except (OnednnError, UnknownLayout) as error:
            if choice == "onednn":
                raise BackendError(f"oneDNN cannot compute this model here: {error}") from error
            logger.info("KOKORO is computed by ONNX Runtime alone: %s", error)
    return OnnxRuntimeBackend(graph)


def _on_cuda(graph: Graph, choice: BackendChoice) -> "OnnxRuntimeBackend":
    if choice == "onednn":
        raise BackendError("oneDNN computes on the CPU. Set the engine's backend to auto")
    if (reason := cuda.lacking()) is not None:
        raise BackendError(reason)
    if graph.has_integers:
        raise BackendError(
            "This export multiplies 8-bit integers, which ONNX Runtime does on the CPU only. Take "
            "float16: `awaaztwin models pull kokoro-fp16`, and its folder as the engine's `model_path`"
        )
    cuda.load_libraries()
    return OnnxRuntimeBackend(graph, on_cuda=True)


class _Session:
    """A part of the graph in ONNX Runtime, with the names and types of its inputs.

    Args:
        contents: The graph.
        on_cuda: Whether it runs on a GPU.

    Raises:
        BackendError: There is no CUDA that works.
        ValueError: It is not an export of Kokoro.
    """

    def __init__(self, contents: bytes, *, on_cuda: bool = False) -> None:
        options = ort.SessionOptions()
        # Threads are ours: one phrase each. Its own would spin beside them.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Both keep memory for every length that was ever seen.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        providers = [(cuda.PROVIDER, cuda.SETTINGS), _CPU] if on_cuda else [_CPU]
        try:
            self._session = ort.InferenceSession(contents, options, providers=providers)
        except Exception as error:  # onnxruntime's own classes, which it does not export
            raise ValueError(f"ONNX Runtime cannot load it: {error}") from error
        if on_cuda and cuda.PROVIDER not in self._session.get_providers():
            raise BackendError("ONNX Runtime cannot load CUDA or cuDNN (its log says which). Install them")
        types: dict[str, str] = {given.name: given.type for given in self._session.get_inputs()}
        self._tokens = next((name for name in _TOKENS if name in types), "")
        if not self._tokens or not {"style", "speed"} <= set(types):
            raise ValueError(f"it is not an export of Kokoro: its inputs are {', '.join(types)}")
        try:
            self._style, self._speed = _TYPES[types["style"]], _TYPES[types["speed"]]
        except KeyError as error:
            raise ValueError(f"it is not an export of Kokoro: an input is a {error.args[0]}") from error
        self.outputs: list[str] = [made.name for made in self._session.get_outputs()]

    def run(self, symbols: list[int], style: Floats, speed: float) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        # Some exports take whole speeds only.
        asked = max(1, round(speed)) if np.issubdtype(self._speed, np.integer) else speed
        feeds = {
            self._tokens: np.array([[0, *symbols, 0]], np.int64),
            "style": style.reshape(1, -1).astype(self._style),
            "speed": np.array([asked], self._speed),
        }
        try:
            values: list[npt.NDArray[Any]] = self._session.run(None, feeds)
        except Exception as error:  # as above
            raise BackendError(f"ONNX Runtime failed: {str(error)[:300]}") from error
        return dict(zip(self.outputs, values, strict=True))


class OnnxRuntimeBackend:
    """The whole graph in ONNX Runtime.

    Args:
        graph: The export.
        on_cuda: Whether it runs on a GPU.

    Raises:
        BackendError: There is no CUDA that works.
        ValueError: It is not an export of Kokoro.
    """

    def __init__(self, graph: Graph, *, on_cuda: bool = False) -> None:
        self._session = _Session(graph.whole(), on_cuda=on_cuda)
        self._gain = np.float32(graph.gain)
        self._timed = DURATIONS in self._session.outputs
        self.name = "ONNX Runtime on CUDA" if on_cuda else "ONNX Runtime"

    def speak(self, symbols: list[int], style: Floats, speed: float) -> Spoken:
        """See :meth:`Backend.speak`."""
        made = self._session.run(symbols, style, speed)
        frames = made[DURATIONS].reshape(-1).astype(np.int64) if self._timed else None
        samples = next(value for name, value in made.items() if name != DURATIONS)
        return Spoken(samples.reshape(-1).astype(np.float32) * self._gain, frames)


class OnednnBackend:
    """The front of the graph in ONNX Runtime, the decoder in kernels of its own.

    Args:
        graph: The export.

    Raises:
        OnednnError: The library is not here, or not for this processor.
        UnknownLayout: The export is made in another way.
        ValueError: It is not an export of Kokoro.
    """

    def __init__(self, graph: Graph) -> None:
        path = onednn.installed()
        if path is None:
            raise OnednnError("its library is not installed")
        library = Onednn(path)
        if not library.quick_at_int8:
            raise OnednnError("this processor has no quick products of 8-bit integers")
        self._front = _Session(graph.front())
        self._decoder = Decoder(graph, library)
        self._own = threading.local()
        self.name = "oneDNN"

    def speak(self, symbols: list[int], style: Floats, speed: float) -> Spoken:
        """See :meth:`Backend.speak`."""
        aligned, pitch, energy, frames = self._front.run(symbols, style, speed).values()
        speaker: Speaker | None = getattr(self._own, "speaker", None)
        if speaker is None:
            speaker = self._own.speaker = Speaker(self._decoder)
        samples = speaker.speak(
            aligned[0], np.ascontiguousarray(pitch.reshape(-1)), energy.reshape(-1), style[:STYLE]
        )
        return Spoken(samples, frames.reshape(-1).astype(np.int64))
