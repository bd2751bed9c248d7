"""Stock coqui-tts 0.28: its own XTTS class, loader and server, unchanged, for the benchmarks to run beside.

Two things are arranged around it: the number of audio tokens is forced, through the arguments its own
``inference`` passes on to ``generate``, and on checkpoints with a small vocoder its loader is told the
vocoder's size, which ``config.json`` has no place for.
"""

import contextlib
import functools
import importlib
import itertools
import os
import statistics
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import psutil

from engines.coqui import coqui

from spoken import RATE, Spoken, recording

LANGUAGE: Final = "en"
SPEAKER: Final = "bench"
"""The voice that stock's server has latents of, so that it need not compute them for each request."""

SPEAKERS_FILE: Final = "speakers_xtts.pth"
THREADS: Final = 2
"""What stock was measured to be quickest with, on two cores."""


class StockXtts:
    """Coqui's own XTTS in this process: one sentence at a time, as it is.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        threads: Of torch, on the CPU.
    """

    def __init__(self, folder: str, device: str, threads: int = THREADS) -> None:
        self._folder, self._device, self._threads = folder, device, threads
        self._model: Any = None
        self._voice: tuple[Any, Any] = (None, None)

    def load(self) -> dict[str, float]:
        """Load by coqui's loader; seconds of the import and of the rest, MiB of this process before and then."""
        before, begin = self.memory(), time.perf_counter()
        module = coqui("tts.models.xtts")
        torch: Any = importlib.import_module("torch")
        torch.set_num_threads(self._threads)
        imported = time.perf_counter()
        config = coqui("tts.configs.xtts_config").XttsConfig()
        config.load_json(str(Path(self._folder, "config.json")))
        with _small_vocoder(Path(self._folder)):
            self._model = module.Xtts(config)
            self._model.load_checkpoint(config, checkpoint_dir=self._folder, eval=True)
        self._model.to(self._device)
        loaded = time.perf_counter()
        resident = self.memory()
        self._voice = self._condition(torch.from_numpy(recording())[None])
        return {"import": imported - begin, "load": loaded - imported, "resident": resident, "before": before}

    def memory(self) -> float:
        """MiB of this process that are in memory."""
        return psutil.Process().memory_info().rss / 2**20

    def speak(self, text: str, tokens: int) -> Spoken:
        """``Xtts.inference``: its first audio is its last."""
        begin = time.perf_counter()
        wav = self._model.inference(
            text, LANGUAGE, *self._voice, repetition_penalty=5.0, min_new_tokens=tokens, max_new_tokens=tokens
        )["wav"]
        took = time.perf_counter() - begin
        return Spoken(first=took, total=took, audio=len(wav) / RATE)

    def stream(self, text: str, tokens: int) -> Spoken:
        """``Xtts.inference_stream`` with its own chunk size, as far as its first chunk."""
        begin = time.perf_counter()
        chunks = self._model.inference_stream(
            text, LANGUAGE, *self._voice, repetition_penalty=5.0, min_new_tokens=tokens, max_new_tokens=tokens
        )
        with contextlib.closing(chunks):
            first = next(chunks).cpu()
        took = time.perf_counter() - begin
        return Spoken(first=took, total=took, audio=first.shape[-1] / RATE)

    def step(self, text: str, tokens: int) -> float:
        """Seconds of one of its decoding steps while it speaks; the median."""
        times: list[float] = []
        model = self._model.gpt.gpt_inference
        forward = model.forward

        def timed(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
            times.append(time.perf_counter())
            return forward(*given, **named)

        model.forward = timed
        try:
            self.speak(text, tokens + 2)
        finally:
            model.forward = forward
        return statistics.median(late - early for early, late in itertools.pairwise(times[1:]))

    def _condition(self, audio: Any) -> tuple[Any, Any]:  # noqa: ANN401 - a tensor; torch is imported late
        audio = audio.to(self._device)
        latents = self._model.get_gpt_cond_latents(audio, RATE, length=30, chunk_length=4)
        return latents, self._model.get_speaker_embedding(audio, RATE)


@contextlib.contextmanager
def _small_vocoder(folder: Path) -> Generator[None, None, None]:
    """Have coqui's loader make the vocoder and the speaker encoder as large as the checkpoint's.

    A full-size checkpoint has the sizes that coqui assumes: nothing is changed for it.
    """
    module, hifigan = coqui("tts.models.xtts"), coqui("tts.layers.xtts.hifigan_decoder")
    torch: Any = importlib.import_module("torch")
    weights = torch.load(folder / "model.pth", weights_only=True, mmap=True, map_location="cpu")["model"]
    encoder, channels = _sizes(weights)
    kept = module.HifiDecoder, hifigan.ResNetSpeakerEncoder
    module.HifiDecoder = functools.partial(kept[0], upsample_initial_channel_decoder=channels)
    hifigan.ResNetSpeakerEncoder = functools.partial(kept[1], **encoder)
    try:
        yield
    finally:
        module.HifiDecoder, hifigan.ResNetSpeakerEncoder = kept


def _sizes(weights: dict[str, Any]) -> tuple[dict[str, list[int]], int]:
    """The sizes of the speaker encoder's stages, and the channels that the vocoder begins with."""
    prefix = "hifigan_decoder."
    stages = range(1, 5)
    blocks = [
        {name.split(".")[3] for name in weights if name.startswith(f"{prefix}speaker_encoder.layer{stage}.")}
        for stage in stages
    ]
    filters = [
        int(weights[f"{prefix}speaker_encoder.layer{stage}.0.conv1.weight"].shape[0]) for stage in stages
    ]
    channels = int(weights[f"{prefix}waveform_decoder.conv_pre.weight"].shape[0])
    return {"layers": [len(stage) for stage in blocks], "num_filters": filters}, channels


def serve_folder(checkpoint: Path, folder: Path) -> None:
    """Make a folder that stock's server can serve: the checkpoint, and a voice whose latents it need not compute."""
    torch: Any = importlib.import_module("torch")
    for name in ("config.json", "vocab.json", "model.pth"):
        (folder / name).symlink_to((checkpoint / name).resolve())
    weights = torch.load(checkpoint / "model.pth", weights_only=True, mmap=True, map_location="cpu")["model"]
    width = weights["gpt.final_norm.weight"].shape[0]
    generator = torch.Generator().manual_seed(0)
    speaker = torch.nn.functional.normalize(torch.randn(1, 512, 1, generator=generator), dim=1)
    latents = 0.1 * torch.randn(1, 32, width, generator=generator)
    torch.save({SPEAKER: {"gpt_cond_latent": latents, "speaker_embedding": speaker}}, folder / SPEAKERS_FILE)


def main() -> None:
    """Run coqui-tts's own server: ``stock.py FOLDER PORT DEVICE TOKENS``."""
    folder, port, device, tokens = sys.argv[1:5]
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(THREADS)
    xtts = coqui("tts.models.xtts").Xtts
    xtts.inference = functools.partialmethod(
        xtts.inference, min_new_tokens=int(tokens), max_new_tokens=int(tokens)
    )
    os.environ["TTS_HOME"] = folder  # where it would keep models it downloads
    # Its own command listens on all interfaces; only the port and the address are changed.
    flask: Any = importlib.import_module("flask")
    run = flask.Flask.run
    flask.Flask.run = lambda app, **given: run(app, **{**given, "host": "127.0.0.1", "port": int(port)})
    sys.argv = ["tts-server", "--model_path", folder, "--config_path", f"{folder}/config.json"]
    sys.argv += ["--device", device, "--port", port]
    with _small_vocoder(Path(folder)):
        server = coqui("server.server")  # it loads when it is imported
    server.main()


if __name__ == "__main__":
    main()
