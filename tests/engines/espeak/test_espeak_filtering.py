"""The parts of adaptation, on signals made for them."""

import numpy as np
import numpy.typing as npt
import pytest

from engines.espeak.adaptation import alignment
from engines.espeak.adaptation.alignment import align
from engines.espeak.adaptation.delivery import Delivery
from engines.espeak.adaptation.filtering import SpectralFilter, Transformation
from engines.espeak.adaptation.neighbours import NEAREST, Neighbours
from engines.espeak.adaptation.voice import AdaptedVoice, Manner
from engines.espeak.rate import words_per_minute
from engines.recordings.pitch import track
from engines.recordings.spectra import CEPSTRA, RATE, Floats, analyse, frames_of
from engines.text.reading import SCRIPTS, reading_script


def manner(rng: np.random.Generator | None = None) -> Manner:
    """Changes nothing, or at random."""
    shift = rng.normal(0, 2, (2, CEPSTRA)) if rng else np.zeros((2, CEPSTRA))
    frames = 50 if rng else 0
    places = rng.normal(0, 1, (frames, 2 * CEPSTRA)) if rng else np.zeros((0, 2 * CEPSTRA))
    values = rng.normal(0, 1, (frames, CEPSTRA)) if rng else np.zeros((0, CEPSTRA))
    return Manner(
        scale=np.ones((2, CEPSTRA), np.float32),
        offset=shift.astype(np.float32),
        weights=np.ones(2 * CEPSTRA, np.float32),
        places=places.astype(np.float32),
        values=values.astype(np.float32),
        loud=-100.0,
    )


def buzz(hertz: float, seconds: float, rng: np.random.Generator) -> Floats:
    """Harmonics and a little noise, with pauses."""
    time = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 20))
    sound = 0.1 * tones * (np.sin(2 * np.pi * 1.5 * time) > -0.7) + rng.normal(0, 1e-3, len(time))
    return sound.astype(np.float32)


@pytest.mark.parametrize("length", [0, 1, 100, 1_024, 5_000, 44_100])
def test_a_filter_that_changes_nothing_gives_what_it_got(length: int):
    sound = buzz(130, 2, np.random.default_rng(0))[:length]
    spectral = SpectralFilter(manner())
    heard = np.concatenate([spectral.feed(sound), spectral.finish()])
    assert heard.shape == sound.shape
    assert np.allclose(heard, sound, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_pieces_leave_no_seam(seed: int):
    rng = np.random.default_rng(seed)
    sound = buzz(rng.uniform(80, 300), 2, rng)
    how = manner(rng)
    whole = SpectralFilter(how)
    expected = np.concatenate([whole.feed(sound), whole.finish()])
    cuts = np.sort(rng.integers(0, len(sound), 12))
    spectral = SpectralFilter(how)
    heard = np.concatenate([*(spectral.feed(part) for part in np.split(sound, cuts)), spectral.finish()])
    assert heard.shape == sound.shape
    assert np.abs(expected).max() > 0.01
    assert np.abs(heard - expected).max() < 1e-3 * np.abs(expected).max()


def test_what_is_too_loud_is_rounded_off():
    voice = AdaptedVoice(Delivery(stretch=1.1), manner().louder(4.0))
    transformation = Transformation(voice)
    sound = (buzz(130, 1, np.random.default_rng(0)) * 60_000).clip(-32_768, 32_767).astype(np.int16)
    heard = np.concatenate([transformation.feed(sound), transformation.finish()])
    assert len(heard) == pytest.approx(len(sound) / 1.1, abs=2)
    assert 30_000 < int(np.abs(heard.astype(int)).max()) <= 32_767
    assert np.abs(np.diff(heard.astype(int))).max() < 40_000, "it wrapped around"


@pytest.mark.parametrize("hertz", [75.0, 110.0, 180.0, 260.0, 380.0])
def test_pitch(hertz: float):
    sound = buzz(hertz, 1, np.random.default_rng(0))
    found = track(frames_of(sound), RATE)
    voiced = found[found > 0]
    assert len(voiced) > 0.6 * len(found)
    assert np.median(voiced) == pytest.approx(hertz, rel=0.01)


def test_noise_has_no_pitch():
    sound = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert not analyse(sound).voiced.any()


def test_the_nearest_count_most():
    rng = np.random.default_rng(0)
    places, values = rng.normal(size=(500, 6)), rng.normal(size=(500, 2))
    wanted = np.concatenate([places[:40] + 1e-3, rng.normal(size=(600, 6))])
    found = Neighbours(places.astype(np.float32), values.astype(np.float32)).mean(wanted.astype(np.float32))
    for frame, mean in zip(wanted, found, strict=True):
        squares = np.square(places - frame).sum(axis=1)
        nearest = np.argsort(squares)[:NEAREST]
        weights = np.exp(-0.5 * (squares[nearest] + 1e-6) / (squares[nearest].min() + 1e-6))
        assert np.allclose(mean, weights @ values[nearest] / weights.sum(), atol=0.05)
    assert np.allclose(found[:40], values[:40], atol=0.05)


def test_fewer_places_than_are_looked_for():
    one = Neighbours(np.zeros((1, 3), np.float32), np.ones((1, 2), np.float32))
    assert np.allclose(one.mean(np.ones((4, 3), np.float32)), 1)
    assert one.mean(np.zeros((0, 3), np.float32)).shape == (0, 2)


def warped(rng: np.random.Generator, length: int) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """A path through space, and the same at changing speed with what it was at each of its frames."""
    path = np.cumsum(rng.normal(size=(length, 5)), axis=0).astype(np.float32)
    speed = 1 + 0.4 * np.sin(np.arange(length) / 40)
    at = np.cumsum(speed)
    at = np.round(at / at[-1] * (length - 1)).astype(np.intp)
    return path, path[at], at


@pytest.mark.parametrize("cells", [10_000_000, 20_000])
def test_what_belongs_together_is_aligned(cells: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(alignment, "CELLS", cells)
    one, other, at = warped(np.random.default_rng(0), 600)
    pairs = align(one, other)
    assert (np.diff(pairs, axis=0) >= 0).all()
    assert pairs[0].tolist() == [0, 0]
    assert pairs[-1].tolist() == [599, 599]
    assert np.median(np.abs(pairs[:, 0] - at[pairs[:, 1]])) <= 1


@pytest.mark.parametrize("shapes", [(1, 1), (1, 50), (50, 1), (3, 4_000)])
def test_recordings_of_any_length_are_aligned(shapes: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(alignment, "CELLS", 4_000)
    rng = np.random.default_rng(0)
    one, other = (rng.normal(size=(length, 3)).astype(np.float32) for length in shapes)
    pairs = align(one, other)
    assert len(pairs)
    assert (pairs >= 0).all()
    assert (pairs < np.array(shapes)).all()


def test_speech_that_is_played_faster_is_spoken_slower():
    assert words_per_minute(1.0, 1.1) < words_per_minute(1.0) < words_per_minute(1.0, 0.95)
    assert words_per_minute(0.5, 1.12) >= 80


@pytest.mark.parametrize("language", SCRIPTS)
def test_there_is_a_script_to_read(language: str):
    script = reading_script(f"{language}-IN")
    assert script == SCRIPTS[language]
    assert 6 <= len(script) <= 8
    assert len(set(script)) == len(script)


def test_other_languages_read_english():
    assert reading_script("ta") == reading_script("") == reading_script("en_GB") == SCRIPTS["en"]


def test_the_english_script_has_every_letter():
    assert set("abcdefghijklmnopqrstuvwxyz") <= set(" ".join(reading_script("en")).lower())
