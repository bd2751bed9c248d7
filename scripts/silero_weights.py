"""Makes ``services/samples/silero_vad.npz`` from the ONNX file in the package silero-vad (MIT).

    pip install onnx
    pip download --no-deps silero-vad==6.2.3 && unzip silero_vad-*.whl
    python scripts/silero_weights.py silero_vad/data/silero_vad_16k_op15.onnx

The Fourier basis in the file is a Hann window's and is left out; the LSTM's two biases are added up.
"""

import sys
from pathlib import Path

import numpy as np
import onnx  # pyright: ignore[reportMissingImports] - only needed when the model changes
from onnx import numpy_helper  # pyright: ignore[reportMissingImports] - as above

TARGET = Path(__file__).parents[1] / "services" / "samples" / "silero_vad.npz"


def main(source: str) -> None:
    """Convert one file."""
    graph = onnx.load(source).graph
    found = {part.name: numpy_helper.to_array(part) for part in graph.initializer}
    arrays: dict[str, np.ndarray] = {}
    for index in range(4):
        name = f"model.encoder.{index}.reparam_conv"
        # (out, in, 3) becomes a matrix (3 · in, out)
        kernel = found[f"{name}.weight"].transpose(2, 1, 0)
        arrays[f"kernel_{index}"] = kernel.reshape(-1, kernel.shape[-1])
        arrays[f"kernel_bias_{index}"] = found[f"{name}.bias"]
    arrays["lstm_input"] = found["model.decoder.rnn.weight_ih"].T
    arrays["lstm_hidden"] = found["model.decoder.rnn.weight_hh"].T
    arrays["lstm_bias"] = found["model.decoder.rnn.bias_ih"] + found["model.decoder.rnn.bias_hh"]
    arrays["output"] = found["model.decoder.decoder.2.weight"][0, :, 0]
    arrays["output_bias"] = found["model.decoder.decoder.2.bias"]
    np.savez(TARGET, **{name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()})
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
