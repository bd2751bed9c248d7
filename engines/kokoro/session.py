"""A graph of Kokoro in ONNX Runtime, and the interface of backends."""

from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it ships none

from engines.kokoro import cuda
from engines.kokoro.graph import SPEED, Floats

ort: Any = onnxruntime

STYLE: Final = "style"
_TOKENS: Final = ("tokens", "input_ids")
_CPU: Final = "CPUExecutionProvider"
_FLOATS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class BackendError(Exception):
    """The backend cannot be used on this machine, or failed to speak; the message says why."""


class Spoken(NamedTuple):
    """The model's output for a phrase.

    Attributes:
        samples: Samples at 24 kHz, shape ``(600 · sum(frames),)``.
        frames: Number of frames (600 samples) of each symbol, including the pads before and after the phrase;
            ``None`` if the export does not output them.
    """

    samples: Floats
    frames: npt.NDArray[np.int64] | None


class Backend(Protocol):
    """Speaks phrases. Thread-safe."""

    @property
    def name(self) -> str:
        """Display name."""
        ...

    def speak(self, symbols: list[int], style: Floats, speed: float) -> Spoken:
        """Speak a phrase.

        Args:
            symbols: Tokens of the symbols, without the pads at both ends.
            style: Style of the voice, shape ``(256,)``.
            speed: Relative speed, 0.5 to 2.

        Raises:
            BackendError: The backend failed.
        """
        ...


class Session:
    """A part of the graph in ONNX Runtime, with the names and types of its inputs.

    Args:
        contents: The serialised graph.
        on_cuda: Whether to run on a GPU.

    Raises:
        BackendError: CUDA does not work.
        ValueError: The graph is not an export of Kokoro.
    """

    def __init__(self, contents: bytes, *, on_cuda: bool = False) -> None:
        options = ort.SessionOptions()
        # The engine has its own threads, one phrase each; the library's would spin next to them.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Both would keep memory for every length seen so far.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        providers = [(cuda.PROVIDER, cuda.SETTINGS), _CPU] if on_cuda else [_CPU]
        try:
            self._session = ort.InferenceSession(contents, options, providers=providers)
        except Exception as error:  # onnxruntime does not export its exception classes
            raise ValueError(f"ONNX Runtime cannot load it: {error}") from error
        if on_cuda and cuda.PROVIDER not in self._session.get_providers():
            raise BackendError("ONNX Runtime cannot load CUDA or cuDNN (its log says which). Install them")
        types: dict[str, str] = {given.name: given.type for given in self._session.get_inputs()}
        self._tokens = next((name for name in _TOKENS if name in types), "")
        if not self._tokens or not {STYLE, SPEED} <= set(types):
            raise ValueError(f"it is not an export of Kokoro: its inputs are {', '.join(types)}")
        try:
            self._types = {name: _FLOATS[types[name]] for name in (STYLE, SPEED)}
        except KeyError as error:
            raise ValueError(f"it is not an export of Kokoro: an input is a {error.args[0]}") from error
        self.outputs: list[str] = [made.name for made in self._session.get_outputs()]

    def run(self, symbols: list[int], style: Floats, speed: float) -> dict[str, npt.NDArray[Any]]:
        """Run the graph; return all outputs by name."""
        feeds = {
            self._tokens: np.array([[0, *symbols, 0]], np.int64),
            STYLE: style.reshape(1, -1).astype(self._types[STYLE]),
            SPEED: np.array([speed], self._types[SPEED]),
        }
        try:
            values: list[npt.NDArray[Any]] = self._session.run(None, feeds)
        except Exception as error:  # as above
            raise BackendError(f"ONNX Runtime failed: {str(error)[:300]}") from error
        return dict(zip(self.outputs, values, strict=True))
