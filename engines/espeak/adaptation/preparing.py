"""Preparation of a voice from recordings."""

import asyncio
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from engines.contract import Pcm, ReferenceSample
from engines.espeak.adaptation.delivery import Delivery, calibrate
from engines.espeak.adaptation.filtering import SpectralFilter, play
from engines.espeak.adaptation.learning import Material, learn
from engines.espeak.adaptation.voice import AdaptedVoice, Manner
from engines.espeak.wire import Request
from engines.recordings.pitch import summary
from engines.recordings.reading import read
from engines.recordings.spectra import SIZE, Analysis, Floats, analyse
from engines.text.reading import reading_script

Speak: TypeAlias = Callable[[Sequence[Request]], Awaitable[Sequence[Pcm]]]
"""Speaks requests with eSpeak NG; returns the PCM of each."""
Cast: TypeAlias = Callable[[str | None], str]
"""Returns the voice file of a language, or an English one."""

_TRIAL_SENTENCES: Final = 2
_PIECE: Final = 900
"""Maximum number of characters per request."""
_SAME_LENGTH: Final = 2.5
_SILENT: Final = 1e-12
_NOTHING: Final = np.zeros(0, np.int16)


async def prepare(samples: Sequence[ReferenceSample], speak: Speak, cast: Cast) -> AdaptedVoice:
    """Prepare a voice; slow parts run in a thread.

    Recordings with a transcript are compared with eSpeak NG's speech of the transcript. Recordings without a
    transcript, or with a wrong one, are compared with eSpeak NG's reading of a script.

    Args:
        samples: Recordings of one speaker.
        speak: Speaks with eSpeak NG.
        cast: Returns eSpeak NG's voice for a language.

    Raises:
        UnsupportedUtterance: The samples cannot be used; the message says why.
    """
    recordings = await asyncio.to_thread(read, samples)
    own = [recording.speech for recording in recordings]
    scripts = [_script(recording.language, cast) for recording in recordings]

    async def render(texts: Sequence[str], delivery: Delivery) -> Sequence[Pcm]:
        return await speak([delivery.request(text, scripts[0].voice) for text in texts])

    pitch, spread = summary(np.concatenate([speech.pitch[speech.active] for speech in own]))
    delivery = await calibrate(scripts[0].texts[:_TRIAL_SENTENCES], pitch, spread, render)

    async def read_aloud(reading: _Reading) -> Analysis | None:
        spoken = await speak([delivery.request(text, reading.voice) for text in reading.texts])
        signal = play(np.concatenate([_NOTHING, *spoken]), delivery.stretch)
        return await asyncio.to_thread(analyse, signal) if len(signal) > SIZE else None

    base: list[Analysis] = []
    pairs: list[tuple[int, int]] = []
    for index, recording in enumerate(recordings):
        if recording.transcript:
            texts = tuple(textwrap.wrap(recording.transcript, _PIECE))
            speech = await read_aloud(_Reading(cast(recording.language), texts))
            if speech and _as_long(speech, recording.speech):
                pairs.append((index, len(base)))
                base.append(speech)
    paired = {index for index, _ in pairs}
    for script in dict.fromkeys(s for index, s in enumerate(scripts) if index not in paired):
        speech = await read_aloud(script)
        base += [speech] if speech else []
    manner = await asyncio.to_thread(learn, Material(own, base, pairs))
    trial = play(
        np.concatenate(await render(scripts[0].texts[:_TRIAL_SENTENCES], delivery)), delivery.stretch
    )
    return AdaptedVoice(delivery, await asyncio.to_thread(_as_loud, manner, trial))


class _Reading(NamedTuple):
    """Texts for eSpeak NG to read, and the voice file."""

    voice: str
    texts: tuple[str, ...]


def _script(language: str | None, cast: Cast) -> _Reading:
    """Return the script for a language, or else the English one."""
    texts = reading_script(language or "")
    return _Reading(cast(None if texts == reading_script("en") else language), texts)


def _as_long(one: Analysis, other: Analysis) -> bool:
    """Whether two recordings are similar enough in length to have the same words."""
    shorter, longer = sorted((int(one.active.sum()), int(other.active.sum())))
    return longer < _SAME_LENGTH * shorter


def _as_loud(manner: Manner, signal: Floats) -> Manner:
    """Return the manner adjusted to preserve the loudness of speech.

    Two iterations, because the change of bands is limited, which affects the loudness in the first one.
    """
    for _ in range(2):
        spectral = SpectralFilter(manner)
        moved = np.concatenate([spectral.feed(signal), spectral.finish()])
        ratio = np.mean(np.square(signal)) / max(float(np.mean(np.square(moved))), _SILENT)
        manner = manner.louder(float(np.log(ratio)))
    return manner
