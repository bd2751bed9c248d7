"""The decoder over its own kernels, beside ONNX Runtime on the same weights."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from engines.kokoro import onednn
from engines.kokoro.decoder import Speaker
from engines.kokoro.graph import DURATIONS, PITCH, Graph
from engines.kokoro.onednn import Onednn
from engines.kokoro.onednn_backend import OnednnBackend
from engines.kokoro.pronunciation import VOCABULARY
from engines.kokoro.session import Spoken
from engines.kokoro.styles import Styles

EXCITATION = "/decoder/decoder/generator/Concat_3_output_0"
"""The spectrum of the excitation, which both are given: phases of its weak harmonics are rounding errors."""
SENTENCE = "ðə kwˈɪk bɹˈWn fˈɑks ʤˈʌmps ˈOvəɹ ðə lˈAzi dˈɔɡ."


@pytest.fixture(scope="module")
def graph(kokoro_folder: Path) -> Graph:
    path = onednn.installed()
    if path is None or not Onednn(path).quick_at_int8:
        pytest.skip("the decoder needs onednn-cpu-gomp and a processor with VNNI")
    return Graph(kokoro_folder / "model.onnx")


@pytest.fixture(scope="module")
def ours(graph: Graph) -> OnednnBackend:
    return OnednnBackend(graph)


class Tapped:
    """The graph in ONNX Runtime, whose excitation is handed to our decoder too.

    Args:
        model: The graph.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        whole = onnx.ModelProto()
        whole.CopyFrom(model)
        for name, kind in ((DURATIONS, onnx.TensorProto.INT64), (EXCITATION, onnx.TensorProto.FLOAT)):
            whole.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
        self._session = onnxruntime.InferenceSession(whole.SerializeToString())

    def say(self, symbols: str, voice: str, speed: float) -> tuple[Spoken, npt.NDArray[np.float32]]:
        """What it says, in the loudness that is ours, and the excitation."""
        feeds = {
            "tokens": np.array([[0, *(VOCABULARY[symbol] for symbol in symbols), 0]]),
            "style": style(voice, symbols)[None],
            "speed": np.array([speed], np.float32),
        }
        audio, frames, heard = self._session.run(["audio", DURATIONS, EXCITATION], feeds)
        samples = np.asarray(audio, np.float32).ravel() / np.float32(1.5)
        return Spoken(samples, np.asarray(frames).ravel()), np.asarray(heard)[0].T


@pytest.fixture(scope="module")
def stock(graph: Graph) -> Tapped:
    return Tapped(graph.model)


def style(voice: str, symbols: str) -> npt.NDArray[np.float32]:
    return Styles(Path()).style(((voice, 1.0),), len(symbols))


def said(backend: OnednnBackend, symbols: str, voice: str = "af_heart", speed: float = 1.0) -> Spoken:
    return backend.speak([VOCABULARY[symbol] for symbol in symbols], style(voice, symbols), speed)


def spectrum(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Log magnitudes of 20 ms each, shape ``(windows, bins)``."""
    pieces = samples[: samples.size // 480 * 480].reshape(-1, 480) * np.hanning(480)
    return np.log10(np.abs(np.fft.rfft(pieces)) + 1e-2)


@pytest.mark.parametrize(
    ("voice", "speed"),
    [("af_heart", 0.5), ("af_heart", 1.0), ("am_michael", 2.0), ("bf_emma", 1.0), ("hf_alpha", 1.0)],
)
def test_it_says_what_the_graph_says(
    ours: OnednnBackend, stock: Tapped, voice: str, speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, heard = stock.say(SENTENCE, voice, speed)
    monkeypatch.setattr(Speaker, "_heard", lambda _self, _pitch: heard)
    mine = said(ours, SENTENCE, voice, speed)
    assert mine.frames is not None
    np.testing.assert_array_equal(mine.frames, theirs.frames)
    assert mine.samples.size == theirs.samples.size == mine.frames.sum() * 600
    one, other = spectrum(mine.samples), spectrum(theirs.samples)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97


def test_its_own_excitation_is_the_graph_s(ours: OnednnBackend, stock: Tapped) -> None:
    """Where a harmonic is strong: else its angle is a rounding error."""
    theirs, heard = stock.say(SENTENCE, "af_heart", 1.0)
    symbols = [VOCABULARY[symbol] for symbol in SENTENCE]
    pitch = ours._front.run(symbols, style("af_heart", SENTENCE), 1.0)[PITCH]
    mine = Speaker(ours._decoder)._heard(np.ascontiguousarray(pitch.ravel()))
    assert mine.shape == heard.shape
    assert theirs.samples.size == 5 * (len(heard) - 1)
    np.testing.assert_allclose(mine[:, :11], heard[:, :11], atol=0.02)
    strong = heard[:, 1:4] > 0.1
    turned = np.abs(np.exp(1j * mine[:, 12:15]) - np.exp(1j * heard[:, 12:15]))
    assert np.quantile(turned[strong], 0.99) < 0.1


@pytest.mark.parametrize("voice", ["af_heart", "hf_alpha"])
def test_it_is_as_near_to_floats_as_the_graph_is(
    graph: Graph, ours: OnednnBackend, stock: Tapped, voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To what the weights give as floats: integers cost no more here than there."""
    theirs, heard = stock.say(SENTENCE, voice, 1.0)
    monkeypatch.setattr(Speaker, "_heard", lambda _self, _pitch: heard)
    mine = said(ours, SENTENCE, voice)
    precise, _ = Tapped(floats(graph)).say(SENTENCE, voice, 1.0)
    wanted = spectrum(precise.samples)

    def distance(given: Spoken) -> float:
        return float(np.sqrt(((spectrum(given.samples) - wanted) ** 2).mean()))

    assert distance(mine) < 1.1 * distance(theirs)


def floats(graph: Graph) -> onnx.ModelProto:
    """The export with the decoder's convolutions in float32."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    made = {name: node for node in model.graph.node for name in node.output}
    used: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            used.setdefault(name, []).append(node)
    for node in list(model.graph.node):
        if node.op_type != "ConvInteger" or not node.name.startswith("/decoder"):
            continue
        kernel = graph.kernel(node.name.removeprefix("/decoder/decoder/").removesuffix("/Conv_quant"))
        last = used[node.output[0]][0]
        while last.op_type != "Mul":
            last = used[last.output[0]][0]
        for value, name in ((kernel.as_floats(), "floats"), (np.array(kernel.bias), "bias")):
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, f"{node.name}_{name}"))
        source = made[node.input[0]].input[0]
        convolution = onnx.helper.make_node(
            "Conv",
            [source, f"{node.name}_floats", f"{node.name}_bias"],
            list(last.output),
            name=f"{node.name}_f",
        )
        convolution.attribute.extend(node.attribute)
        at = next(i for i, other in enumerate(model.graph.node) if other.output == last.output)
        model.graph.node.remove(last)
        model.graph.node.insert(at, convolution)
    return model


def test_it_says_the_same_again_in_any_thread_and_beside_others(ours: OnednnBackend) -> None:
    texts = [SENTENCE, SENTENCE[:9], SENTENCE * 2]
    wanted = [said(ours, text).samples for text in texts]
    with ThreadPoolExecutor(3) as threads:
        for text, first in zip(texts * 4, wanted * 4, strict=True):
            np.testing.assert_array_equal(threads.submit(said, ours, text).result().samples, first)
        together = list(threads.map(lambda text: said(ours, text).samples, texts * 4))
    for given, first in zip(together, wanted * 4, strict=True):
        np.testing.assert_array_equal(given, first)


@pytest.mark.parametrize("symbols", ["ə", "hˈI", ".", SENTENCE * 5])
def test_every_length_gives_numbers(ours: OnednnBackend, symbols: str) -> None:
    samples = said(ours, symbols).samples
    assert samples.size
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 1.5
