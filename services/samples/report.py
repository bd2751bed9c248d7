"""Quality reports of a recording and of all recordings of a voice. Stored as JSON."""

import math
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.samples.takes import SAME, likeness

ENOUGH_SPEECH: Final = 3.0
GOOD_SPEECH_SECONDS: Final = 10.0
"""Total seconds of speech needed for a good voice; with less than :data:`ENOUGH_SPEECH`, none is made."""
TELEPHONE: Final = 4_300.0
"""Bandwidth in hertz, below which speech was recorded over a telephone."""
SAME_SPEAKER: Final = 0.75
"""Minimum cosine of two recordings' embeddings: 0.89 or more for one person, mostly below 0.72 for two."""
COPY_PITCH: Final = 2.0
"""Maximum difference between the median pitches of two codings of one take, in semitones."""
PITCHES: Final = 6.0
"""Difference between recordings' median pitches, in semitones, from which on there may be two speakers."""

Severity = Literal["info", "warning", "error"]
Code = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
Figure = Annotated[float, Field(allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Frozen):
    """A problem of a recording or a voice, or a remark on it.

    Attributes:
        code: Identifier for programs.
        severity: ``error`` means that the result will not be a good voice.
        message: Description of the problem.
        advice: Remedy.
    """

    code: Code
    severity: Severity
    message: str
    advice: str


class SampleSource(_Frozen):
    """Format of the uploaded file.

    Attributes:
        container: Name of the container, such as ``mp3`` or ``webm``.
        codec: Name of the codec, such as ``opus``.
        sample_rate: In hertz.
        channels: Number of channels.
        seconds: Length of the decoded audio.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    seconds: Figure


class SpeakerEmbedding(_Frozen):
    """Embedding of the speaker: a unit vector.

    Attributes:
        model: Package and version of the model; only embeddings of the same model can be compared.
        values: Components; the vector has length one.
        spread: Dissimilarity of the recording's parts: one minus the 10th percentile of the cosines of all
            pairs. ``None`` if the recording is too short to tell.
    """

    model: str
    values: tuple[Figure, ...]
    spread: Figure | None = None


class SampleFigures(_Frozen):
    """Figures of a recording.

    Attributes:
        source: The uploaded file.
        seconds: Length of the canonical wav.
        speech_seconds: Length of the speech in the recording, by voice activity detection.
        snr_db: Estimated ratio of speech to noise in decibels; at most 60. ``None`` without speech.
        level_lufs: Loudness of the speech, as uploaded.
        peak_dbfs: Highest peak, as uploaded.
        clipping: 0 to 1, roughly the share of the loud samples that are at the ceiling; usually below 0.05.
        bandwidth_hz: Highest frequency with signal in the speech; at most 12,000.
        voiced_ratio: Share of the speech that is voiced.
        pitch_hz: Median pitch; ``None`` without voiced speech.
        pitch_spread: Semitones between low and high parts; ``None`` below 5 s of speech.
        timbre_spread: 0 to 1, how much better two timbres explain the recording than one; ``None`` below
            6 s of speech.
        fingerprint: Argument of :func:`services.samples.takes.likeness`.
    """

    source: SampleSource
    seconds: Figure
    speech_seconds: Figure
    snr_db: Figure | None
    level_lufs: Figure
    peak_dbfs: Figure
    clipping: Figure
    bandwidth_hz: Figure
    voiced_ratio: Figure
    pitch_hz: Figure | None
    pitch_spread: Figure | None
    timbre_spread: Figure | None
    fingerprint: tuple[Annotated[int, Field(ge=-127, le=127)], ...] = Field(max_length=512)


class SampleReport(SampleFigures):
    """Figures of a recording, and the findings on it.

    Attributes:
        speaker: Embedding of the speaker, if an embedding model is installed.
        findings: The worst first.
    """

    speaker: SpeakerEmbedding | None = None
    findings: tuple[Finding, ...] = ()


class VoiceReport(_Frozen):
    """Findings on all recordings of a voice together.

    Attributes:
        samples: Number of recordings.
        speech_seconds: Total length of the speech, without duplicates.
        findings: The worst first; if one is an ``error``, no voice should be made.
    """

    samples: int
    speech_seconds: Figure
    findings: tuple[Finding, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether a voice can be made of the recordings."""
        return all(finding.severity != "error" for finding in self.findings)


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort findings by severity; findings of the same severity keep their order."""
    return tuple(sorted(findings, key=lambda finding: ("error", "warning", "info").index(finding.severity)))


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of two vectors; 0 if one has length 0, or if their dimensions differ."""
    if len(one) != len(other):
        return 0.0
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    length = math.sqrt(math.fsum(a * a for a in one) * math.fsum(b * b for b in other))
    return product / length if length else 0.0


def voice_findings(
    reports: Sequence[SampleReport], *, min_speech_seconds: float = ENOUGH_SPEECH
) -> VoiceReport:
    """Compile the findings on all recordings of a voice. Messages number the recordings from 1.

    Args:
        reports: Reports of the recordings, in order.
        min_speech_seconds: Minimum total length of the speech, without duplicates; less is an error.
    """
    firsts: list[int] = []
    copies: list[tuple[int, int]] = []
    for index, report in enumerate(reports):
        original = next((n for n in firsts if _same_take(reports[n], report)), None)
        if original is None:
            firsts.append(index)
        else:
            copies.append((original, index))
    seconds = sum(reports[index].speech_seconds for index in firsts)
    found = [
        *_amount(seconds, min_speech_seconds),
        *(_copy(first + 1, second + 1) for first, second in copies),
        *_bandwidths(reports),
        *_speakers(reports),
        *_every_one_bad(reports),
    ]
    return VoiceReport(samples=len(reports), speech_seconds=round(seconds, 3), findings=worst_first(found))


def _same_take(one: SampleFigures, other: SampleFigures) -> bool:
    """Whether two recordings are one take, though coded or levelled differently, or with another start."""
    # Cheap checks rule out most pairs: a thousand recordings have half a million.
    if max(one.speech_seconds, other.speech_seconds) > 1.3 * min(one.speech_seconds, other.speech_seconds):
        return False
    if one.pitch_hz and other.pitch_hz and abs(12 * math.log2(one.pitch_hz / other.pitch_hz)) > COPY_PITCH:
        return False
    return likeness(one.fingerprint, other.fingerprint) > SAME


def _amount(seconds: float, least: float) -> list[Finding]:
    if seconds < least:
        return [
            Finding(
                code="too_little_speech",
                severity="error",
                message=f"There are {seconds:.1f} s of speech in all; at least {least:g} s are needed.",
                advice=f"Add recordings; {GOOD_SPEECH_SECONDS:g} s or more of speech makes a good voice.",
            )
        ]
    if seconds < GOOD_SPEECH_SECONDS:
        return [
            Finding(
                code="little_speech",
                severity="warning",
                message=f"There are only {seconds:.1f} s of speech in all.",
                advice=f"Add recordings; {GOOD_SPEECH_SECONDS:g} s or more of speech makes a good voice.",
            )
        ]
    return []


def _copy(first: int, second: int) -> Finding:
    return Finding(
        code="near_duplicate",
        severity="warning",
        message=f"Recordings {first} and {second} are the same take.",
        advice="Remove one of them and record other sentences; a duplicate adds nothing.",
    )


def _bandwidths(reports: Sequence[SampleReport]) -> list[Finding]:
    narrow = [str(n) for n, report in enumerate(reports, 1) if report.bandwidth_hz < TELEPHONE]
    if not narrow or len(narrow) == len(reports):
        return []
    return [
        Finding(
            code="mixed_bandwidth",
            severity="warning",
            message=f"Some recordings have a telephone's bandwidth ({_listed(narrow)}), others do not.",
            advice="Remove the telephone recordings: they make the voice duller.",
        )
    ]


def _speakers(reports: Sequence[SampleReport]) -> list[Finding]:
    advice = "A voice needs recordings of one person only; remove those of others."
    speakers = [report.speaker for report in reports if report.speaker is not None]
    if len(speakers) == len(reports) and len({(s.model, len(s.values)) for s in speakers}) == 1:
        # Compare with the most typical one instead of all pairs: there may be a thousand recordings.
        middle = [math.fsum(values) for values in zip(*(s.values for s in speakers), strict=True)]
        typical = max(speakers, key=lambda speaker: cosine(speaker.values, middle))
        cosines = [cosine(speaker.values, typical.values) for speaker in speakers]
        strangers = [str(n) for n, value in enumerate(cosines, 1) if value < SAME_SPEAKER]
        if not strangers:
            return []
        message = (
            f"Recordings {_listed(strangers)} sound unlike the others (similarity {min(cosines):.2f}): "
            "there may be more than one speaker."
        )
        return [Finding(code="several_speakers", severity="warning", message=message, advice=advice)]
    pitches = [report.pitch_hz for report in reports if report.pitch_hz]
    if not pitches or (apart := 12 * math.log2(max(pitches) / min(pitches))) < PITCHES:
        return []
    message = (
        f"There may be more than one speaker: the recordings' pitches are {apart:.0f} semitones apart. "
        "One person's moods can do that too; the extra `speaker` can tell."
    )
    return [Finding(code="several_speakers", severity="info", message=message, advice=advice)]


def _every_one_bad(reports: Sequence[SampleReport]) -> list[Finding]:
    bad = [report for report in reports if any(finding.severity == "error" for finding in report.findings)]
    if not reports or len(bad) < len(reports):
        return []
    return [
        Finding(
            code="no_good_sample",
            severity="warning",
            message="Every recording has a serious flaw, so the voice will have it too.",
            advice="Follow the advice of each recording's own report, and record again.",
        )
    ]


def _listed(numbers: Sequence[str]) -> str:
    return ", ".join(numbers[:10]) + (" and more" if len(numbers) > 10 else "")  # noqa: PLR2004 - a line's worth
