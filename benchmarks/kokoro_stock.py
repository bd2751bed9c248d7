"""Stock `kokoro-onnx`, unchanged, in the environment where it is installed: speaks what it is told, a line of JSON each.

    python kokoro_stock.py model.onnx voices.npz

Reads ``{"text", "voice", "lang", "path"}`` from standard input, writes a wav to ``path``, where there is one, and
answers with the seconds that it took and the seconds of audio. It imports nothing of ours.
"""

import json
import sys
import time
import wave
from pathlib import Path

import numpy as np
from kokoro_onnx import Kokoro  # pyright: ignore[reportMissingImports] - in the environment that runs this


def main() -> None:
    """Answer until there is nobody to answer."""
    model, voices = sys.argv[1:]
    begin = time.perf_counter()
    kokoro = Kokoro(model, voices)
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    print(json.dumps({"seconds": time.perf_counter() - begin, "audio": 0.0}), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        begin = time.perf_counter()
        sound, rate = kokoro.create(order["text"], order["voice"], lang=order["lang"])
        seconds = time.perf_counter() - begin
        if order.get("path"):
            with wave.open(str(Path(order["path"])), "wb") as file:
                file.setparams((1, 2, rate, 0, "NONE", ""))
                file.writeframes((np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())
        print(json.dumps({"seconds": seconds, "audio": len(sound) / rate}), file=answers, flush=True)


if __name__ == "__main__":
    main()
