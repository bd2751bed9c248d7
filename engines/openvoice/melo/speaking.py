"""A loaded MeloTTS voice: the network with everything that it needs to speak."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import soxr  # pyright: ignore[reportMissingTypeStubs] - it ships none
import torch

from engines.config import Device
from engines.contract import EngineUnavailable, Pcm
from engines.hardware import choose_device
from engines.openvoice.base import SAMPLE_RATE
from engines.openvoice.devices import dtype_for, threads_for
from engines.openvoice.melo.bert import FOLDER, Bert
from engines.openvoice.melo.checkpoint import load_network
from engines.openvoice.melo.configuration import MeloConfig
from engines.openvoice.melo.manner import Manner
from engines.openvoice.melo.sequence import sequence
from engines.openvoice.options import Precision

_FULL_SCALE: Final = 32_767


class Said(NamedTuple):
    """A spoken utterance.

    Attributes:
        pcm: Samples at :data:`engines.openvoice.base.SAMPLE_RATE`.
        times: Start and end of each token, in seconds; both 0 for a token without phones.
    """

    pcm: Pcm
    times: list[tuple[float, float]]


class Speaking:
    """A loaded voice with its own thread. The constructor blocks while it loads.

    Args:
        folder: Folder with ``config.json``, ``checkpoint.pth`` and, optionally, ``bert``.
        config: Contents of ``config.json``.
        device: Device that it runs on.
        precision: Precision of the decoder, which is most of the work; the rest is float32.
        threads: Number of CPU threads of a computation; ``None`` for the default.
        manner: Random variation.

    Raises:
        EngineUnavailable: A file is missing or damaged, or the device is missing; the message names it.
    """

    def __init__(
        self,
        folder: Path,
        config: MeloConfig,
        *,
        device: Device,
        precision: Precision,
        threads: int | None,
        manner: Manner,
    ) -> None:
        self._config = config
        self._manner = manner
        self._device = choose_device(device)
        self._network = load_network(folder, config).to(self._device)
        self._network.dec.to(dtype_for(precision, self._device))
        bert = folder / FOLDER
        wanted = bert.is_dir() and not config.data.disable_bert
        self._bert = Bert(bert, self._device) if wanted else None
        self._executor = ThreadPoolExecutor(
            1, "melo", initializer=torch.set_num_threads, initargs=(threads_for(threads),)
        )

    def close(self) -> None:
        """Wait for the current utterance, and end the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def say(
        self,
        tokens: Sequence[str],
        phones: Sequence[tuple[str, ...]],
        *,
        speaker: int,
        speed: float,
        seed: int | None,
    ) -> Said:
        """Speak one utterance in the voice's own thread; see :meth:`spoken`.

        Raises:
            UnsupportedUtterance: The speech would be too long.
            EngineUnavailable: The weights are damaged, memory is insufficient, or the voice was closed.
        """
        speak = partial(self.spoken, tokens, phones, speaker=speaker, speed=speed, seed=seed)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, speak)
        except torch.OutOfMemoryError as error:
            raise EngineUnavailable("The device has too little memory left for the base voice.") from error
        except RuntimeError as error:
            raise EngineUnavailable(f"The base voice failed: {error}.") from error

    def spoken(
        self,
        tokens: Sequence[str],
        phones: Sequence[tuple[str, ...]],
        *,
        speaker: int,
        speed: float,
        seed: int | None,
    ) -> Said:
        """Speak one utterance; blocking.

        Args:
            tokens: Words and marks of the utterance.
            phones: Phones of each token.
            speaker: ID of the speaker.
            speed: Relative speed; 2 is twice as fast.
            seed: Seed of the noise; ``None`` for a random one.

        Raises:
            UnsupportedUtterance: The speech would be too long.
            EngineUnavailable: The weights are damaged.
        """
        numbers = sequence(self._config, phones)
        ids = torch.tensor([numbers.phones, numbers.tones, numbers.languages], device=self._device)
        noise = torch.Generator()
        if seed is None:
            noise.seed()
        else:
            noise.manual_seed(seed % (1 << 63))
        bert = None
        if self._bert is not None:
            counts = [len(said) for said in phones]
            bert = self._bert.features(tokens, counts, add_blank=self._config.data.add_blank)
        network: Any = self._network
        samples, frames = network(
            ids[0],
            ids[1],
            languages=ids[2],
            speaker=speaker,
            bert=bert,
            speed=speed,
            manner=self._manner,
            noise=noise,
        )
        return Said(
            self._pcm(samples.cpu().numpy()), self._times(frames.tolist(), numbers.tokens, len(tokens))
        )

    def _pcm(self, samples: npt.NDArray[np.float32]) -> Pcm:
        resampled = soxr.resample(samples, self._config.data.sampling_rate, SAMPLE_RATE)
        return np.rint(np.clip(resampled, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)

    def _times(self, frames: Sequence[int], owners: Sequence[int], tokens: int) -> list[tuple[float, float]]:
        second = self._config.data.hop_length / self._config.data.sampling_rate
        times = [(0.0, 0.0)] * tokens
        at = 0
        for count, owner in zip(frames, owners, strict=True):
            if owner >= 0:
                start = times[owner][0] if times[owner][1] else at * second
                times[owner] = (start, (at + count) * second)
            at += count
        return times
