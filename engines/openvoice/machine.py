"""Running a converter, with its device, number format and thread."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, ParamSpec, TypeVar

import numpy as np
import torch

from engines.config import Device
from engines.contract import Abandoned, EngineError, EngineUnavailable, Pcm
from engines.fidelity import FIDELITY
from engines.hardware import choose_device
from engines.openvoice.base import ToneColour
from engines.openvoice.checkpoint import load_checkpoint
from engines.openvoice.conversion import Converter, Latent, Piece
from engines.openvoice.devices import dtype_for, threads_for
from engines.openvoice.options import OpenVoiceOptions
from engines.openvoice.pieces import cuts, groups, rounds
from engines.openvoice.row import Row, Samples
from engines.openvoice.self_check import fidelity

logger = logging.getLogger(__name__)

DECODED: Final = {"cpu": 1, "mps": 2_048, "cuda": 8_192}
"""Maximum number of frames decoded at once, each 160 KB in float32; on the CPU, one row at a time.

One row keeps a CPU busy: more are not faster, and oneDNN compiles kernels for each number of rows.
"""
ENCODED: Final = 4
"""Ratio of frames encoded at once to frames decoded at once; the former take a tenth of the memory."""
_FULL_SCALE: Final = 32_767.0

P = ParamSpec("P")
T = TypeVar("T")


class Converted(NamedTuple):
    """The next part of a row.

    Attributes:
        row: Index of the row.
        heard: PCM of the part, or the error that ends the row.
        last: Whether this part ends the row.
    """

    row: int
    heard: Pcm | EngineError
    last: bool


class Machine:
    """A converter with its own thread. Use it from one event loop only.

    Args:
        converter: The converter.
        device: Device of the converter.
        threads: Number of CPU threads of each computation.
    """

    def __init__(self, converter: Converter, device: torch.device, threads: int) -> None:
        self._converter = converter
        self._budget = DECODED[device.type]
        self._executor = ThreadPoolExecutor(
            1, thread_name_prefix="openvoice", initializer=torch.set_num_threads, initargs=(threads,)
        )

    @property
    def colours(self) -> int:
        """Dimensions of a tone colour."""
        return self._converter.colours

    async def embed(self, samples: Samples) -> ToneColour:
        """Compute the tone colour of speech."""
        return await self._run(self._converter.embed, samples)

    async def convert(
        self, rows: Sequence[Row], unwanted: Callable[[int], bool]
    ) -> AsyncGenerator[Converted, None]:
        """Convert rows together, and yield parts as they become ready.

        Closing the generator stops the work after the current computation.

        Args:
            rows: The rows to convert.
            unwanted: Returns whether the row with an index is abandoned.
        """
        budget, hop = self._budget, self._converter.samples_per_frame
        waiting: list[tuple[int, list[Piece]]] = []
        left = set(range(len(rows)))
        for group in groups(range(len(rows)), lambda i: len(rows[i].samples) // hop, ENCODED * budget):
            for index in group:
                if unwanted(index):
                    left.discard(index)
                    yield Converted(index, _abandoned(), last=True)
            wanted = [index for index in group if index in left]
            try:
                latents = await self._encoded([rows[index] for index in wanted])
            except EngineUnavailable as error:
                for index in wanted:
                    yield Converted(index, error, last=True)
                continue
            pieces = [self._pieces(latent) for latent in latents]
            waiting += zip(wanted, (later for _, *later in pieces), strict=True)
            first = [(index, piece) for index, (piece, *_) in zip(wanted, pieces, strict=True)]
            async for converted in self._decoded(first, left, unwanted):
                yield converted
        later = [[(index, piece) for piece in pieces] for index, pieces in waiting]
        for together in rounds(later):
            async for converted in self._decoded(together, left, unwanted):
                yield converted

    def close(self) -> None:
        """Wait for the current computation, and end the thread; blocks for some tenths of a second."""
        self._executor.shutdown(wait=True)

    def _pieces(self, latent: Latent) -> list[Piece]:
        cut = cuts(len(latent), self._converter.context)
        return [Piece(latent, start, stop) for start, stop in cut]

    async def _encoded(self, rows: Sequence[Row]) -> list[Latent]:
        return await self._run(self._converter.latents, rows)

    async def _decoded(
        self, pieces: Sequence[tuple[int, Piece]], left: set[int], unwanted: Callable[[int], bool]
    ) -> AsyncGenerator[Converted, None]:
        """Decode one piece of each of several rows."""
        context = 2 * self._converter.context
        for group in groups(pieces, lambda one: one[1].stop - one[1].start + context, self._budget):
            for index, _ in group:
                if index in left and unwanted(index):
                    left.discard(index)
                    yield Converted(index, _abandoned(), last=True)
            wanted = [(index, piece) for index, piece in group if index in left]
            try:
                heard = await self._run(self._converter.decode, [piece for _, piece in wanted])
            except EngineUnavailable as error:
                for index, _ in wanted:
                    left.discard(index)
                    yield Converted(index, error, last=True)
                continue
            for (index, piece), samples in zip(wanted, heard, strict=True):
                last = piece.stop == len(piece.latent)
                if last or not np.isfinite(samples).all():
                    left.discard(index)
                yield _converted(index, samples, last=last)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in the thread.

        Raises:
            EngineUnavailable: The engine was closed, or the device has too little memory left.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, partial(function, *args, **kwargs))
        except torch.OutOfMemoryError as error:
            raise EngineUnavailable("The device has too little memory left for the conversion.") from error
        except RuntimeError as error:
            raise EngineUnavailable(f"The conversion failed: {error}.") from error


def load_machine(folder: Path, device: Device, options: OpenVoiceOptions) -> Machine:
    """Load the checkpoint, and choose device and precision; blocks for seconds.

    Raises:
        EngineUnavailable: A file, a library or the device is missing; the message says which.
    """
    chosen = choose_device(device)
    dtype = dtype_for(options.precision, chosen)
    checkpoint = load_checkpoint(folder)
    converter = Converter(checkpoint, dtype=dtype, device=chosen, tau=options.tau)
    if options.self_check and dtype != torch.float32:
        exact = Converter(checkpoint, device=chosen, tau=options.tau)
        ratio = fidelity(converter, exact)
        logger.info("the conversion in %s has a signal-to-noise ratio of %.1f dB against fp32", dtype, ratio)
        if not ratio >= FIDELITY:  # also true for NaN
            logger.warning("the conversion in %s is too far from fp32 on these weights", dtype)
            converter = exact
    return Machine(converter, chosen, threads_for(options.threads))


def _converted(index: int, samples: Samples, *, last: bool) -> Converted:
    if not np.isfinite(samples).all():
        error = EngineUnavailable(
            "The conversion produced invalid samples (infinity or NaN). Set the option precision to fp32."
        )
        return Converted(index, error, last=True)
    return Converted(index, np.round(samples * _FULL_SCALE).astype(np.int16), last)


def _abandoned() -> Abandoned:
    return Abandoned("The utterance was abandoned.")
