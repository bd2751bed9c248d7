"""What is said about all recordings of a voice."""

from pathlib import Path

import numpy as np
import pytest
import soxr

from services.samples.report import (
    Finding,
    SampleReport,
    SampleSource,
    SpeakerEmbedding,
    VoiceReport,
    voice_findings,
)
from services.samples.speaker import compare
from services.samples.takes import likeness

import media
from examining import examine
from speaking import RATE, sentences


def report(**changes: object) -> SampleReport:
    """Of a good recording of eight seconds, without a fingerprint."""
    good = SampleReport(
        source=SampleSource(container="wav", codec="pcm_s16le", sample_rate=48_000, channels=1, seconds=9),
        seconds=8.5,
        speech_seconds=8.0,
        snr_db=40,
        level_lufs=-20,
        peak_dbfs=-3,
        clipping=0.01,
        bandwidth_hz=12_000,
        voiced_ratio=0.7,
        pitch_hz=120,
        pitch_spread=2,
        timbre_spread=0.3,
        fingerprint=(),
    )
    return good.model_copy(update=changes)


def findings(voice: VoiceReport) -> dict[str, str]:
    assert VoiceReport.model_validate_json(voice.model_dump_json()) == voice
    return {finding.code: finding.severity for finding in voice.findings}


def embedding(*values: float, model: str = "m 1") -> SpeakerEmbedding:
    return SpeakerEmbedding(model=model, values=values)


def test_too_little_speech_is_an_error_that_says_how_much():
    voice = voice_findings([report(speech_seconds=1.2), report(speech_seconds=1.5)])
    assert findings(voice) == {"too_little_speech": "error"}
    assert not voice.usable
    assert "2.7 s" in voice.findings[0].message
    assert voice_findings([]).findings[0].code == "too_little_speech"
    assert findings(voice_findings([report()])) == {"little_speech": "warning"}
    plenty = voice_findings([report(), report()])
    assert (plenty.findings, plenty.usable, plenty.speech_seconds) == ((), True, 16)


def test_a_mixture_of_bandwidths():
    narrow = report(bandwidth_hz=3_900)
    voice = voice_findings([report(), narrow, report(), narrow])
    assert findings(voice) == {"mixed_bandwidth": "warning"}
    assert "2, 4" in voice.findings[0].message
    assert findings(voice_findings([narrow, narrow])) == {}


def test_speakers_by_embedding():
    one, other = embedding(1, 0), embedding(0.1, 0.995)
    same = report(speaker=one)
    assert findings(voice_findings([same, report(speaker=embedding(0.99, 0.14))])) == {}
    voice = voice_findings([same, same, same, report(speaker=other)])
    assert findings(voice) == {"several_speakers": "warning"}
    assert "Recordings 4 sound" in voice.findings[0].message
    assert findings(voice_findings([same, report(speaker=embedding(0.6, 0.8))])) == {
        "several_speakers": "warning"
    }
    # Embeddings of two models cannot be compared; pitch speaks then.
    mixed = [same, report(speaker=embedding(0, 1, model="m 2"))]
    assert findings(voice_findings(mixed)) == {}


def test_speakers_by_pitch():
    assert findings(voice_findings([report(pitch_hz=110), report(pitch_hz=140)])) == {}
    assert findings(voice_findings([report(pitch_hz=110), report(pitch_hz=220)])) == {
        "several_speakers": "info"
    }


def test_nothing_but_bad_recordings():
    bad = report(findings=(Finding(code="clipped", severity="error", message="m", advice="a"),))
    assert findings(voice_findings([bad, bad])) == {"no_good_sample": "warning"}
    assert findings(voice_findings([bad, report()])) == {}


def test_embeddings_are_compared_within_one_model():
    assert compare(embedding(1, 0), embedding(0.6, 0.8)) == pytest.approx(0.6)
    assert compare(embedding(1, 0), embedding(1, 0, model="m 2")) is None
    assert compare(embedding(1, 0), embedding(1, 0, 0)) is None
    assert compare(embedding(0, 0), embedding(1, 0)) == 0
    assert compare(None, embedding(1, 0)) is None


async def test_a_take_is_known_again_and_another_sentence_is_not(tmp_path: Path):
    sound = sentences()[0] * np.float32(0.8)
    quiet = np.zeros(round(0.37 * RATE), np.float32)
    takes = {
        "wav": media.wav(media.pcm16(sound)),
        "mp3": media.encode(sound, "mp3", "libmp3lame", 24_000),
        "opus, quieter, with silence before": media.encode(
            np.concatenate([quiet, sound * np.float32(0.1), quiet]), "ogg", "libopus", 48_000
        ),
        "telephone": media.wav(media.pcm16(soxr.resample(sound, RATE, 8_000)), rate=8_000),
    }
    others = [media.wav(media.pcm16(other * np.float32(0.8))) for other in sentences()[1:]]
    reports = [await examine(data, tmp_path) for data in (*takes.values(), *others)]
    voice = voice_findings(reports)
    copies = [finding.message for finding in voice.findings if finding.code == "near_duplicate"]
    assert copies == [f"Recordings 1 and {number} are the same take." for number in (2, 3, 4)]
    # A copy counts once.
    once = reports[0].speech_seconds + sum(other.speech_seconds for other in reports[4:])
    assert voice.speech_seconds == pytest.approx(once, abs=0.01)
    unlike = [likeness(reports[0].fingerprint, other.fingerprint) for other in reports[4:]]
    assert max(unlike) < 0.7


def test_fingerprints_that_cannot_be_compared():
    assert likeness((), (1, 2, 3, 4)) == 0
    assert likeness((1, 2, 3, 4) * 8, (0,) * 32) == 0
    short, long = tuple(range(-16, 16)), tuple(range(-100, 100))
    assert likeness(short, long) == 0
    assert likeness(long, long) == pytest.approx(1)
