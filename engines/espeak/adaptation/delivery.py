"""eSpeak NG's parameters for a speaker: pitch, pitch range and vocal-tract size.

The size is changed by resampling: speech that is played 5 % faster has 5 % higher formants and pitch, so it
is spoken 5 % slower. Compared with eSpeak NG variants generated for each speaker, this is at least as similar
to the speaker, more intelligible, and needs no files.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from engines.contract import Pcm
from engines.espeak.rate import words_per_minute
from engines.espeak.wire import Request
from engines.recordings.pitch import summary, track
from engines.recordings.signals import to_signal
from engines.recordings.spectra import RATE, SIZE, frames_of

_HIGHEST: Final = 99
_RANGES: Final = (25, 80)
_STRETCHES: Final = (0.95, 1.12)
_THINNED: Final = 2
"""Step between frames; every second one suffices for a median."""
_FINE: Final = 0.02
"""Maximum change of the stretch, to correct the pitch between two of eSpeak NG's steps."""


class Base(NamedTuple):
    """A variant of eSpeak NG that is adapted.

    Attributes:
        variant: Suffix of eSpeak NG's voice.
        up_to: Maximum median pitch of speakers in hertz.
        natural: Median pitch in hertz that suits its formants.
    """

    variant: str
    up_to: float
    natural: float


BASES: Final = (Base("", 185.0, 105.0), Base("+f5", 1_000.0, 225.0))
"""The plain voice, up to its highest pitch, and ``f5``, the cleanest of the female variants."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Parameters for eSpeak NG.

    Attributes:
        base: Index in :data:`BASES`.
        pitch: Pitch from 0 to 99.
        pitch_range: Pitch range from 0 to 99.
        stretch: Factor by which the speech is played faster than it was spoken.
    """

    base: int = 0
    pitch: int = 50
    pitch_range: int = 50
    stretch: float = 1.0

    def request(self, text: str, voice: str, *, speed: float = 1.0, timings: bool = False) -> Request:
        """Return a request whose speech has the requested speed when it is played faster.

        Args:
            text: The text to speak.
            voice: A voice file below ``lang/``.
            speed: As in ``Utterance``.
            timings: Whether word timings are wanted.
        """
        return Request(
            text=text,
            voice=voice + BASES[self.base].variant,
            rate=words_per_minute(speed, self.stretch),
            pitch=self.pitch,
            pitch_range=self.pitch_range,
            timings=timings,
        )


Render: TypeAlias = Callable[[Sequence[str], Delivery], Awaitable[Sequence[Pcm]]]
"""Speaks texts; returns eSpeak NG's output, not yet played faster."""


async def calibrate(texts: Sequence[str], pitch: float, spread: float, render: Render) -> Delivery:
    """Find the delivery with a speaker's pitch, by binary search.

    Args:
        texts: Sentences for the trials.
        pitch: Median of the speaker's log pitch (of hertz).
        spread: Spread of the log pitch.
        render: Speaks the sentences.
    """
    hertz = float(np.exp(pitch))
    base = next(i for i, b in enumerate(BASES) if hertz < b.up_to or b is BASES[-1])
    stretch = float(np.clip((hertz / BASES[base].natural) ** 0.2, *_STRETCHES))
    delivery = Delivery(base, stretch=stretch)
    _, usual = await asyncio.to_thread(pitch_of, await render(texts, delivery), stretch)
    wanted = 50 * np.sqrt(spread / max(usual, 0.02))
    delivery = replace(delivery, pitch_range=int(np.clip(wanted, *_RANGES)))
    low, high = 0, _HIGHEST
    while low < high:
        middle = (low + high) // 2
        trial = await render(texts, replace(delivery, pitch=middle))
        reached, _ = await asyncio.to_thread(pitch_of, trial, stretch)
        low, high = (middle + 1, high) if reached < pitch else (low, middle)
    delivery = replace(delivery, pitch=low)
    reached, _ = await asyncio.to_thread(pitch_of, await render(texts, delivery), stretch)
    return replace(delivery, stretch=stretch * float(np.clip(np.exp(pitch - reached), 1 - _FINE, 1 + _FINE)))


def pitch_of(speech: Sequence[Pcm], stretch: float) -> tuple[float, float]:
    """Return the median log pitch of eSpeak NG's speech, played ``stretch`` times as fast, and its spread."""
    tracks = [track(frames_of(to_signal(pcm))[::_THINNED], RATE) for pcm in speech if len(pcm) >= SIZE]
    middle, spread = summary(np.concatenate(tracks))
    return middle + float(np.log(stretch)), spread
