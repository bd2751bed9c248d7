"""Findings on a recording, derived from its figures, with advice."""

from typing import Final

from services.samples.limits import SampleLimits
from services.samples.report import TELEPHONE, Finding, SampleFigures, SpeakerEmbedding, worst_first

NOISY: Final = 20.0
VERY_NOISY: Final = 8.0
"""SNR in decibels, below which a recording is very noisy."""
CLIPPED: Final = 0.06
BADLY_CLIPPED: Final = 0.2
"""Threshold of :attr:`SampleFigures.clipping`."""
DULL: Final = 6_600.0
"""Bandwidth in hertz, below which a voice sounds dull."""
QUIET: Final = -42.0
"""Loudness in LUFS, below which amplification raises the recording's own noise too far."""
SHORT_SECONDS: Final = 3.0
"""Seconds of speech, below which a recording is short."""
UNVOICED: Final = 0.2
"""Minimum voiced share of the speech; a whisper's is 0."""
SPREAD: Final = 0.36
"""Threshold of the embeddings' spread: up to 0.23 in nine voices, 0.5 or more where two voices take turns."""
PITCH_SPREAD: Final = 8.5
"""Threshold in semitones."""
TIMBRE_SPREAD: Final = 0.6


def sample_findings(
    figures: SampleFigures, speaker: SpeakerEmbedding | None, limits: SampleLimits
) -> tuple[Finding, ...]:
    """List the findings on one recording, the worst first."""
    found = [
        *_clipping(figures),
        *_noise(figures),
        *_bandwidth(figures),
        *_level(figures),
        *_amount(figures, limits),
        *_speakers(figures, speaker),
    ]
    return worst_first(found)


def _clipping(figures: SampleFigures) -> list[Finding]:
    if figures.clipping < CLIPPED:
        return []
    badly = figures.clipping >= BADLY_CLIPPED
    return [
        Finding(
            code="clipped",
            severity="error" if badly else "warning",
            message=f"The recording is {'badly ' if badly else ''}clipped: its loud parts are cut off flat.",
            advice="Lower the input level until no peak reaches the top, and record again.",
        )
    ]


def _noise(figures: SampleFigures) -> list[Finding]:
    if figures.snr_db is None or figures.snr_db >= NOISY:
        return []
    very = figures.snr_db < VERY_NOISY
    return [
        Finding(
            code="noisy",
            severity="error" if very else "warning",
            message=f"The speech is only {figures.snr_db:.0f} dB above the noise.",
            advice="Record in a quiet room, closer to the microphone; 25 dB or more sounds clean.",
        )
    ]


def _bandwidth(figures: SampleFigures) -> list[Finding]:
    if figures.bandwidth_hz < TELEPHONE:
        return [
            Finding(
                code="telephone",
                severity="warning",
                message=f"There is nothing above {figures.bandwidth_hz / 1000:.1f} kHz: "
                "this is a telephone recording, or was stored like one.",
                advice="Record with a recorder app instead of in a call, at 16 kHz or more.",
            )
        ]
    if figures.bandwidth_hz < DULL:
        return [
            Finding(
                code="narrow",
                severity="info",
                message=f"There is nothing above {figures.bandwidth_hz / 1000:.1f} kHz: the voice is dull.",
                advice="Record at 24 kHz or more, and avoid strong compression and Bluetooth microphones.",
            )
        ]
    return []


def _level(figures: SampleFigures) -> list[Finding]:
    if figures.level_lufs >= QUIET:
        return []
    return [
        Finding(
            code="too_quiet",
            severity="warning",
            message=f"The speech is very quiet ({figures.level_lufs:.0f} LUFS).",
            advice="Raise the input level or come closer: it was amplified, and its noise with it.",
        )
    ]


def _amount(figures: SampleFigures, limits: SampleLimits) -> list[Finding]:
    found: list[Finding] = []
    if figures.speech_seconds < max(SHORT_SECONDS, limits.min_speech_seconds):
        found.append(
            Finding(
                code="short",
                severity="info",
                message=f"There are {figures.speech_seconds:.1f} s of speech.",
                advice="Recordings of 5 to 15 seconds work best; add more of them.",
            )
        )
    if figures.voiced_ratio < UNVOICED:
        found.append(
            Finding(
                code="unvoiced",
                severity="warning",
                message=f"Only {figures.voiced_ratio:.0%} of the speech has a pitch: it is whispered, "
                "hoarse, or not speech.",
                advice="Record again in a normal speaking voice.",
            )
        )
    return found


def _speakers(figures: SampleFigures, speaker: SpeakerEmbedding | None) -> list[Finding]:
    advice = "Send recordings of one person alone; cut out the others, music and echoes of them."
    if speaker is not None and speaker.spread is not None:
        if speaker.spread < SPREAD:
            return []
        return [
            Finding(
                code="several_speakers",
                severity="warning",
                message="Parts of the recording sound like different speakers "
                f"(similarity {1 - speaker.spread:.2f}).",
                advice=advice,
            )
        ]
    pitch, timbre = figures.pitch_spread, figures.timbre_spread
    if pitch is None or timbre is None or pitch < PITCH_SPREAD or timbre < TIMBRE_SPREAD:
        return []
    return [
        Finding(
            code="several_speakers",
            severity="info",
            message=f"There may be more than one speaker: pitch differs by {pitch:.0f} semitones, and "
            "timbre, between parts. Lively reading looks the same; the extra `speaker` can tell them apart.",
            advice=advice,
        )
    ]
