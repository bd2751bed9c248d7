"""Who speaks in the benchmarks of KOKORO: an engine of this server over HTTP, and stock `kokoro-onnx`."""

import json
import subprocess
import sys
import tempfile
import wave
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import numpy as np
from judge import Sound

RATE: Final = 24_000
REQUEST_TIMEOUT: Final = 120.0
STOP_TIMEOUT: Final = 20.0
SCRIPT: Final = Path(__file__).with_name("kokoro_stock.py")
_KOKORO: Final = {
    "en": ("af_heart", "af_bella", "am_michael", "bf_emma"),
    "hi": ("hf_alpha", "hf_beta", "hm_omega", "hm_psi"),
}
VOICES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "KOKORO": _KOKORO,
    "KOKORO_ONNXRUNTIME": _KOKORO,
    "ESPEAK": {"en": ("en-us", "en-gb", "onyx", "nova"), "hi": ("hi", "alloy", "onyx", "nova")},
}
"""Four voices for each language, by engine; stock has KOKORO's."""


class Contestant(Protocol):
    """Somebody who speaks."""

    @property
    def name(self) -> str:
        """For the table."""
        ...

    @property
    def voices(self) -> Mapping[str, tuple[str, ...]]:
        """Voices that are heard, by language."""
        ...

    def speak(self, text: str, voice: str) -> Sound:
        """Speak a text; 24 kHz.

        Raises:
            RuntimeError: It could not be spoken.
        """
        ...


class Served:
    """An engine of a server of ours.

    Args:
        address: The server's.
        engine: Its name there.
    """

    def __init__(self, address: str, engine: str) -> None:
        self.name = engine
        self.voices = VOICES[engine]
        self._client = httpx.Client(base_url=address, timeout=REQUEST_TIMEOUT)

    def speak(self, text: str, voice: str) -> Sound:
        """As :meth:`Contestant.speak`."""
        body = {"model": self.name, "voice": voice, "input": text, "response_format": "pcm"}
        answer = self._client.post("/v1/audio/speech", json=body)
        if answer.status_code != 200:
            raise RuntimeError(f"{self.name} did not say '{text}': {answer.text[:500]}")
        return np.frombuffer(answer.content, "<i2").astype(np.float32) / np.float32(32_768)


@dataclass(frozen=True, slots=True)
class Weights:
    """What stock runs with.

    Attributes:
        python: Of the environment that has `kokoro-onnx`.
        model: The model in ONNX.
        voices: A folder of raw voices, float32 of shape (510, 1, 256) each.
    """

    python: Path
    model: Path
    voices: Path


class Stock:
    """`kokoro-onnx` in a process of its own; see :mod:`kokoro_stock`.

    Args:
        weights: What it runs with.
        folder: For its voices in one file, and for what it says.
    """

    name = "kokoro-onnx"
    voices = _KOKORO

    def __init__(self, weights: Weights, folder: Path) -> None:
        archive = folder / "voices.npz"
        pack_voices(weights.voices, archive)
        self._wav = folder / "said.wav"
        self._process = subprocess.Popen(
            [str(weights.python), str(SCRIPT), str(weights.model), str(archive)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def speak(self, text: str, voice: str) -> Sound:
        """As :meth:`Contestant.speak`."""
        self.time(text, voice, self._wav)
        with wave.open(str(self._wav)) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return pcm.astype(np.float32) / np.float32(32_768)

    def time(self, text: str, voice: str, path: Path | None = None) -> tuple[float, float]:
        """Speak into a file, or nowhere; gives the seconds it took and those of audio."""
        if self._process.stdin is None:
            raise RuntimeError("kokoro-onnx is not listening")
        order = {"text": text, "voice": voice, "lang": stock_language(voice), "path": str(path or "")}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["seconds"], answer["audio"]

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"kokoro-onnx ended with {self._process.wait(STOP_TIMEOUT)}")
        return json.loads(line)


@contextmanager
def stock(weights: Weights) -> Generator[Stock, None, None]:
    """Stock, started, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as folder:
        contestant = Stock(weights, Path(folder))
        try:
            yield contestant
        finally:
            contestant.close()


def stock_language(voice: str) -> str:
    """What `kokoro-onnx` calls the language of a voice."""
    return {"b": "en-gb", "h": "hi"}.get(voice[0], "en-us")


def pack_voices(folder: Path, archive: Path) -> None:
    """Write the voices of a folder into one ``.npz``, as `kokoro-onnx` and `fastkokoro` take them.

    Raises:
        FileNotFoundError: There are none.
    """
    voices: dict[str, Any] = {
        path.stem: np.fromfile(path, "<f4").reshape(-1, 1, 256) for path in sorted(folder.glob("*.bin"))
    }
    if not voices:
        raise FileNotFoundError(f"{folder} has no voices: it takes a folder with af_heart.bin and so on")
    np.savez(archive, **voices)


def kokoro(folder: Path, name: str = "KOKORO", backend: str = "auto") -> dict[str, object]:
    """The entry of ``engines`` in the configuration that serves the weights in a folder."""
    return {
        "name": name,
        "type": "KOKORO",
        "model_path": str(folder.resolve()),
        "options": {"backend": backend},
    }


def models_path(name: str) -> Path:
    """The folder of a model that ``awaaztwin models pull`` fetched.

    Raises:
        RuntimeError: It is not there; the message says how to get it.
    """
    command = [str(Path(sys.executable).with_name("awaaztwin")), "models", "path", name]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(f"{found.stderr.strip() or name}\nawaaztwin models pull {name} fetches it")
    return Path(found.stdout.strip())
