"""What is made of the model's samples: silence cut, peaks kept, words timed."""

import numpy as np
import numpy.typing as npt
import pytest

from engines.kokoro.pronunciation import Phrase, SpokenWord
from engines.kokoro.rates import FRAME, SAMPLE_RATE
from engines.kokoro.session import Spoken
from engines.kokoro.speech import AFTER, BEFORE, finish


def tone(frames: int, loudness: float = 0.3) -> npt.NDArray[np.float32]:
    return (loudness * np.sin(np.arange(frames * FRAME) * 0.1)).astype(np.float32)


def silence(frames: int) -> npt.NDArray[np.float32]:
    return np.zeros(frames * FRAME, np.float32)


TWO = Phrase(symbols="ab cd.", words=(SpokenWord("one", 0, 0, 2), SpokenWord("two", 4, 3, 5)))


def spoken(*parts: npt.NDArray[np.float32], frames: list[int]) -> Spoken:
    return Spoken(np.concatenate(parts), np.array(frames, np.int64))


def two_words() -> Spoken:
    """Half a second of silence, a word, 0.25 s of silence, a word, a second of silence."""
    parts = [silence(20), tone(16), silence(10), tone(16), silence(40)]
    # sounds begin two frames before their symbols do
    return spoken(*parts, frames=[22, 8, 8, 10, 8, 8, 30, 8])


def test_silence_around_speech_is_cut() -> None:
    heard = finish(two_words(), TWO)
    seconds = 42 * FRAME / SAMPLE_RATE
    assert heard.pcm.size / SAMPLE_RATE == pytest.approx(seconds + BEFORE + AFTER, abs=0.006)


def test_words_are_timed_by_the_silence_between_them() -> None:
    first, second = finish(two_words(), TWO).words
    assert (first.word, first.offset, second.word, second.offset) == ("one", 0, "two", 4)
    assert (first.start, first.end) == pytest.approx((BEFORE, BEFORE + 0.4), abs=0.011)
    assert (second.start, second.end) == pytest.approx((BEFORE + 0.65, BEFORE + 1.05), abs=0.011)


def test_words_without_silence_between_them_follow_each_other() -> None:
    heard = finish(spoken(silence(20), tone(40), silence(10), frames=[22, 8, 8, 2, 8, 8, 10, 4]), TWO)
    first, second = heard.words
    assert 0 <= first.start < first.end <= second.start < second.end <= heard.pcm.size / SAMPLE_RATE


def test_nothing_is_cut_after_the_first_symbol_began() -> None:
    quiet = spoken(silence(10), tone(10, 0.0005), tone(10), silence(10), frames=[10, 5, 5, 2, 5, 5, 4, 4])
    assert finish(quiet, TWO).pcm.size >= 20 * FRAME


@pytest.mark.parametrize("loudness", [0.3, 1.5])
def test_peaks_do_not_clip_and_what_is_quieter_is_left_as_it_is(loudness: float) -> None:
    pcm = finish(spoken(tone(20, loudness), frames=[1, 3, 3, 2, 3, 3, 3, 2]), TWO).pcm
    peak = np.abs(pcm.astype(np.int32)).max()
    assert peak == pytest.approx(32_767 * min(loudness, 0.98), rel=0.01)


def test_edges_are_faded() -> None:
    pcm = finish(spoken(tone(20), frames=[1, 3, 3, 2, 3, 3, 3, 2]), TWO).pcm
    assert abs(int(pcm[0])) < 10
    assert abs(int(pcm[-1])) < 10


def test_an_export_that_tells_no_durations_has_no_timings() -> None:
    heard = finish(Spoken(tone(20), None), TWO)
    assert heard.words == ()
    assert heard.pcm.size


def test_silence_stays_silence() -> None:
    heard = finish(spoken(silence(10), frames=[2, 1, 1, 1, 1, 1, 1, 2]), TWO)
    assert not heard.pcm.any()
