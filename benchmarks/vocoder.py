"""The vocoder of XTTS beside coqui-tts's own, full size with random weights, by turns in one process.

    python benchmarks/vocoder.py            # one thread
    python benchmarks/vocoder.py --threads 2 --rounds 9

Real-time factor: seconds of computing for a second of sound. With one thread it is processor time, which other
processes disturb less than the clock on the wall. The signal-to-noise ratio is against coqui-tts in float32.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from engines.coqui import coqui
from engines.fidelity import decibels
from engines.xtts.convolution import supported
from engines.xtts.latents import LatentStream, LatentWindow
from engines.xtts.precision import Precision
from engines.xtts.vocoder import Vocoder

from quiet import Watch

CPU: Final = torch.device("cpu")
WIDTH: Final = 1024
SENTENCE: Final = 86
"""Latents: four seconds."""

Renderer = Callable[[], Tensor]
"""Gives the samples of one case, end to end."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch, within an operation")
    parser.add_argument("--rounds", type=int, default=5, help="the quickest counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    hifi = coqui("tts.layers.xtts.hifigan_decoder").HifiDecoder(decoder_input_dim=WIDTH).eval()
    vocoders = {
        precision: Vocoder(hifi, precision=precision, device=CPU)
        for precision in Precision
        if supported(precision, CPU)
    }
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    cases = [
        (f"{rows} x {frames} frames", *_windows(hifi, vocoders, rows, frames))
        for frames in (40, 150)
        for rows in (1, 4, 8)
    ]
    cases.append((f"a sentence of {SENTENCE} latents, streamed", *_sentence(hifi, vocoders)))
    for title, seconds, renderers in cases:
        with Watch() as watch:
            _table(title, seconds, renderers, options.rounds, clock)
        print(f"    others used {watch.others:.0%} of the processors\n", flush=True)


@torch.inference_mode()
def _table(
    title: str, seconds: float, renderers: dict[str, Renderer], rounds: int, clock: Callable[[], float]
) -> None:
    quickest = dict.fromkeys(renderers, float("inf"))
    heard: dict[str, Tensor] = {}
    for _ in range(rounds):
        for name, render in renderers.items():
            start = clock()
            heard[name] = render()
            quickest[name] = min(quickest[name], clock() - start)
    stock = next(iter(renderers))
    print(title)
    for name, spent in quickest.items():
        print(
            f"    {name:24} RTF {spent / seconds:.3f}   {quickest[stock] / spent:5.2f} x   {decibels(heard[stock], heard[name]):6.1f} dB"
        )


def _windows(
    hifi: Any,  # noqa: ANN401 - an untyped library's module
    vocoders: dict[Precision, Vocoder],
    rows: int,
    frames: int,
) -> tuple[float, dict[str, Renderer]]:
    """Whole windows without context: what the arithmetic costs."""
    inputs = torch.randn(rows, frames, WIDTH).mT
    speakers = functional.normalize(torch.randn(rows, 512, 1), dim=1)
    spoken = frames * vocoders[Precision.FP32].samples_per_frame
    windows = [
        LatentWindow(frames=row, speaker=speaker, skip=0, keep=spoken)
        for row, speaker in zip(inputs, speakers, strict=True)
    ]
    network = hifi.waveform_decoder
    # A copy of the module would share what its weight norms are computed by: only its weights are converted.
    halved = coqui("tts.layers.xtts.hifigan_decoder").HifiDecoder(decoder_input_dim=WIDTH).eval()
    halved.load_state_dict(hifi.state_dict())
    half = halved.bfloat16().waveform_decoder
    renderers: dict[str, Renderer] = {
        "coqui-tts fp32": lambda: network(inputs, g=speakers).flatten(),
        "coqui-tts bf16": lambda: half(inputs.bfloat16(), g=speakers.bfloat16()).float().flatten(),
    }
    for precision, vocoder in vocoders.items():
        renderers[f"ours {precision}"] = lambda vocoder=vocoder: torch.cat(vocoder.render(windows))
        if rows > 1 and precision is not Precision.INT8:
            batched = Vocoder(hifi, precision=precision, device=CPU, batched=True)
            renderers[f"ours {precision}, batched"] = lambda batched=batched: torch.cat(
                batched.render(windows)
            )
    return rows * spoken / 24000, renderers


def _sentence(hifi: Any, vocoders: dict[Precision, Vocoder]) -> tuple[float, dict[str, Renderer]]:  # noqa: ANN401 - as above
    """Latents one by one to windows, context and interpolation included, beside the whole at once."""
    latents = torch.randn(SENTENCE, WIDTH)
    speaker = functional.normalize(torch.randn(512, 1), dim=0)

    def streamed(vocoder: Vocoder) -> Tensor:
        stream = LatentStream(speaker, config=vocoder.shape)
        pieces: list[Tensor] = []
        for latent in latents:
            stream.append(latent[None])
            while (window := stream.next_window()) is not None:
                pieces += vocoder.render([window])
        stream.finish()
        while (window := stream.next_window()) is not None:
            pieces += vocoder.render([window])
        return torch.cat(pieces)

    renderers: dict[str, Renderer] = {
        "coqui-tts fp32, whole": lambda: hifi(latents[None], g=speaker[None]).flatten()
    }
    for precision, vocoder in vocoders.items():
        renderers[f"ours {precision}"] = lambda vocoder=vocoder: streamed(vocoder)
    return len(streamed(vocoders[Precision.FP32])) / 24000, renderers


if __name__ == "__main__":
    main()
