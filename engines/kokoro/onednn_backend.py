"""Kokoro with oneDNN: the front of the graph in ONNX Runtime, the decoder in custom kernels."""

import threading

import numpy as np

from engines.kokoro import onednn
from engines.kokoro.decoder import STYLE, Decoder, Speaker
from engines.kokoro.graph import Floats, Graph
from engines.kokoro.onednn import Onednn, OnednnError
from engines.kokoro.session import Session, Spoken


class OnednnBackend:
    """Runs the front of the graph in ONNX Runtime, and the decoder in custom kernels.

    Args:
        graph: The export.

    Raises:
        OnednnError: The library is not installed, or the CPU lacks VNNI.
        UnknownLayout: The export has another layout.
        ValueError: The file is not an export of Kokoro.
    """

    def __init__(self, graph: Graph) -> None:
        path = onednn.installed()
        if path is None:
            raise OnednnError("its library is not installed")
        library = Onednn(path)
        if not library.quick_at_int8:
            raise OnednnError("the CPU has no VNNI")
        self._front = Session(graph.front())
        self._decoder = Decoder(graph, library)
        self._own = threading.local()
        self.name = "oneDNN"

    def speak(self, symbols: list[int], style: Floats, speed: float) -> Spoken:
        """See :meth:`Backend.speak`."""
        *given, frames = self._front.run(symbols, style, speed).values()
        # A float16 export returns float16.
        aligned, pitch, energy = (values.astype(np.float32, copy=False) for values in given)
        speaker: Speaker | None = getattr(self._own, "speaker", None)
        if speaker is None:
            speaker = self._own.speaker = Speaker(self._decoder)
        samples = speaker.speak(
            aligned[0], np.ascontiguousarray(pitch.reshape(-1)), energy.reshape(-1), style[:STYLE]
        )
        return Spoken(samples, frames.reshape(-1).astype(np.int64))
