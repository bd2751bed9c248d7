"""Exports of any maker: tiny graphs with the names and types that they have."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.kokoro import cuda
from engines.kokoro.backend import OnnxRuntimeBackend, open_backend
from engines.kokoro.graph import DURATIONS, Graph, UnknownLayout, quantised
from engines.kokoro.session import BackendError


def export(
    path: Path,
    *,
    tokens: str = "tokens",
    speed: int = TensorProto.FLOAT,
    weights: dict[str, np.ndarray] | None = None,
) -> Graph:
    """A graph whose audio is each symbol's id divided by the speed; durations as Kokoro has them."""
    nodes = [
        helper.make_node("Cast", [tokens], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["speed"], ["rate"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["ids", "rate"], ["divided"]),
        helper.make_node("ReduceMean", ["style"], ["mean"], keepdims=1),
        helper.make_node("Add", ["divided", "mean"], ["audio_of_each"]),
        helper.make_node("Reshape", ["audio_of_each", "flat"], ["audio"]),
        helper.make_node("Mul", [tokens, tokens], [DURATIONS]),
    ]  # fmt: skip
    given = [
        helper.make_tensor_value_info(tokens, TensorProto.INT64, [1, None]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
        helper.make_tensor_value_info("speed", speed, [1]),
    ]
    made = [helper.make_tensor_value_info("audio", TensorProto.FLOAT, [None])]
    tensors = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    tensors.append(numpy_helper.from_array(np.array([-1]), "flat"))
    nodes += [helper.make_node("Identity", [name], [f"{name}_used"]) for name in weights or {}]
    graph = helper.make_graph(nodes, "kokoro", given, made, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return Graph(path)


@pytest.mark.parametrize("tokens", ["tokens", "input_ids"])
@pytest.mark.parametrize(
    "speed", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64]
)
def test_names_and_types_of_inputs_are_the_export_s(tmp_path: Path, tokens: str, speed: int) -> None:
    backend = OnnxRuntimeBackend(export(tmp_path / "m.onnx", tokens=tokens, speed=speed))
    # Not a whole number, which some exports ask for.
    samples, frames = backend.speak([3, 4], np.zeros(256, np.float32), 0.5)
    assert samples.tolist() == [0, 6, 8, 0]
    assert frames is not None
    assert frames.tolist() == [0, 9, 16, 0]


def test_the_style_is_given_as_it_is(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(export(tmp_path / "m.onnx"))
    assert backend.speak([1], np.full(256, 0.5, np.float32), 1.0).samples.tolist() == [0.5, 1.5, 0.5]


def test_an_export_laid_out_otherwise_is_computed_by_onnx_runtime(tmp_path: Path) -> None:
    export(tmp_path / "m.onnx")
    assert open_backend(tmp_path / "m.onnx", "auto", "cpu").name == "ONNX Runtime"
    with pytest.raises(BackendError, match="oneDNN cannot run this model here"):
        open_backend(tmp_path / "m.onnx", "onednn", "cpu")


def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    if cuda.lacking() is None:
        pytest.skip("there is CUDA here")
    export(tmp_path / "m.onnx")
    with pytest.raises(BackendError, match=r"server-cuda|driver"):
        open_backend(tmp_path / "m.onnx", "auto", "cuda")
    with pytest.raises(BackendError, match="oneDNN runs on the CPU"):
        open_backend(tmp_path / "m.onnx", "onednn", "cuda")


def test_cuda_without_a_driver_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As ONNX Runtime's build for GPUs has it, on any machine.
    monkeypatch.setattr(cuda.ort, "get_available_providers", lambda: [cuda.PROVIDER, "CPUExecutionProvider"])
    monkeypatch.setattr(cuda, "_driver_is_here", lambda: False)
    export(tmp_path / "m.onnx")
    assert open_backend(tmp_path / "m.onnx", "auto", "auto").name == "ONNX Runtime"
    with pytest.raises(BackendError, match="driver"):
        open_backend(tmp_path / "m.onnx", "auto", "cuda")


def test_cuda_that_does_not_load_is_not_taken_for_cuda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime goes on with the CPU then, and says so in its log only."""
    if cuda.lacking() is None or cuda.PROVIDER not in cuda.ort.get_available_providers():
        pytest.skip("needs the extra server-cuda on a machine without a GPU")
    monkeypatch.setattr(cuda, "lacking", lambda: None)
    export(tmp_path / "m.onnx")
    assert open_backend(tmp_path / "m.onnx", "auto", "auto").name == "ONNX Runtime"
    with pytest.raises(BackendError, match="cannot load CUDA or cuDNN"):
        open_backend(tmp_path / "m.onnx", "auto", "cuda")


def test_an_export_in_integers_stays_on_the_cpu(kokoro_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "lacking", lambda: None)
    with pytest.raises(BackendError, match="kokoro-fp16"):
        open_backend(kokoro_folder / "model.onnx", "auto", "cuda")


@pytest.mark.parametrize("contents", [b"", b"no protobuf at all", b"\x08\x07"])
def test_what_is_no_export_is_refused(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(contents)
    with pytest.raises(ValueError, match=r"ONNX|export"):
        open_backend(tmp_path / "m.onnx", "auto", "cpu")


def test_a_graph_of_another_model_is_refused(tmp_path: Path) -> None:
    graph = export(tmp_path / "m.onnx", tokens="pixels")
    with pytest.raises(ValueError, match="its inputs are pixels"):
        OnnxRuntimeBackend(graph)


def test_kernels_are_read_from_integers_and_from_floats(tmp_path: Path) -> None:
    module = "generator/resblocks.0/convs1.0"
    path = f"/decoder/decoder/{module}/Conv"
    floats = np.random.default_rng(0).standard_normal((8, 4, 3)).astype(np.float32)
    scale = np.float32(np.abs(floats).max() / 63)
    integers = np.rint(floats / scale) + 64
    bias = np.arange(8, dtype=np.float32)
    graph = export(
        tmp_path / "m.onnx",
        weights={
            "w_quantized": integers.astype(np.uint8),
            "w_scale": np.array(scale),
            "w_zero_point": np.array(64, np.uint8),
            f"decoder.decoder.{module.replace('/', '.')}.bias": bias,
            "w": floats,
            "b": bias,
        },
    )
    nodes = graph.model.graph.node
    nodes.append(
        helper.make_node(
            "ConvInteger", ["x", "w_quantized", "z", "w_zero_point"], ["y"], name=f"{path}_quant"
        )
    )
    kernel = graph.kernel(module)
    np.testing.assert_array_equal(kernel.bias, bias)
    np.testing.assert_array_equal(kernel.weights, integers - 64)
    np.testing.assert_allclose(kernel.as_floats(), floats, atol=float(scale) / 2 * 1.01)

    other = export(tmp_path / "n.onnx", weights={"w": floats, "b": bias})
    other.model.graph.node.append(helper.make_node("Conv", ["x", "w", "b"], ["y"], name=path))
    kernel = other.kernel(module)
    np.testing.assert_array_equal(kernel.bias, bias)
    np.testing.assert_allclose(kernel.as_floats(), floats, atol=np.abs(floats).max() / 127 / 2 * 1.01)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    graph = export(tmp_path / "m.onnx")
    with pytest.raises(UnknownLayout, match=r"generator/resblocks\.9"):
        graph.kernel("generator/resblocks.9/convs1.0")
    with pytest.raises(UnknownLayout, match="encode/norm1"):
        graph.linear("encode/norm1")


def test_quantising_keeps_each_filter_s_own_scale() -> None:
    weights = np.array([[[1.0, -0.5]], [[0.001, 0.0005]], [[0, 0]]], np.float32)
    kernel = quantised(weights, np.zeros(3, np.float32))
    np.testing.assert_allclose(kernel.as_floats(), weights, rtol=0.01)
