"""Preparation of one recording: the canonical wav and its figures. Runs only in the child process."""

from pathlib import Path
from typing import TypedDict

import numpy as np

from services.samples import quality
from services.samples.canonical import Loudness, write_wav
from services.samples.ceiling import Ceiling
from services.samples.cut import Cut
from services.samples.decode import Audio
from services.samples.errors import BadSample
from services.samples.limits import SampleLimits
from services.samples.loudness import SILENT, decibels
from services.samples.measure import measure
from services.samples.scratch import Scratch
from services.samples.sniff import sniff
from services.samples.whole import check_whole


class Source(TypedDict):
    """Format of the uploaded file; see :class:`services.samples.report.SampleSource`."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    seconds: float


class Figures(TypedDict):
    """Figures of a recording; see :class:`services.samples.report.SampleFigures`."""

    source: Source
    seconds: float
    speech_seconds: float
    snr_db: float | None
    level_lufs: float
    peak_dbfs: float
    clipping: float
    bandwidth_hz: float
    voiced_ratio: float
    pitch_hz: float | None
    pitch_spread: float | None
    timbre_spread: float | None
    fingerprint: tuple[int, ...]


def prepare(source: Path, target: Path, limits: SampleLimits) -> Figures:
    """Write the canonical wav of ``source`` to ``target`` and return its figures.

    Raises:
        BadSample: The file is not a usable recording.
    """
    with source.open("rb") as file, Scratch(target.parent, limits.sample_rate) as scratch:
        kind = sniff(file)
        check_whole(file, kind)
        audio = Audio(file, kind)
        ceiling = Ceiling()
        try:
            for block in audio.blocks(limits):
                ceiling.feed(block)
                scratch.write(block, audio.sample_rate)
        finally:
            audio.close()
        scratch.finish()
        scratch.offset = ceiling.mean
        frames = measure(scratch, limits)
        seconds = float(np.count_nonzero(frames.speech)) * limits.frame / limits.sample_rate
        _check_speech(seconds, audio.samples / audio.sample_rate, limits)
        cut = Cut.of(scratch, frames.speech, limits)
        loudness = Loudness(cut, limits)
        if loudness.lufs <= SILENT:
            raise BadSample(
                "too_quiet", "The speech is nearly silent; raise the input level, and record again."
            )
        write_wav(cut, loudness, target, limits)
        return Figures(
            source=Source(
                container=kind.container,
                codec=audio.codec,
                sample_rate=audio.sample_rate,
                channels=audio.channels,
                seconds=round(audio.samples / audio.sample_rate, 3),
            ),
            seconds=round(cut.size / limits.sample_rate, 3),
            speech_seconds=round(seconds, 3),
            snr_db=_rounded(quality.snr(frames)),
            level_lufs=round(loudness.lufs, 2),
            peak_dbfs=round(decibels(ceiling.peak), 2),
            clipping=round(quality.clipping(frames, ceiling.pile), 4),
            bandwidth_hz=round(quality.bandwidth(frames)),
            voiced_ratio=round(quality.voiced_ratio(frames), 3),
            pitch_hz=_rounded(quality.median_pitch(frames)),
            pitch_spread=_rounded(quality.pitch_spread(frames)),
            timbre_spread=_rounded(quality.timbre_spread(frames)),
            fingerprint=quality.fingerprint(frames),
        )


def _check_speech(speech: float, seconds: float, limits: SampleLimits) -> None:
    if not speech:
        raise BadSample("no_speech", f"No speech was found in {seconds:.1f} s of sound.")
    if speech < limits.min_speech_seconds:
        raise BadSample(
            "too_short",
            f"There are only {speech:.1f} s of speech; {limits.min_speech_seconds:g} s are needed.",
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
