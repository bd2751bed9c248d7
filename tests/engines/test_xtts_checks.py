"""What is found in XTTS's tokens and samples: no false alarm on speech, always an alarm on what is none."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.config import EngineConfig
from engines.contract import Speech, Utterance, synthesize
from engines.espeak.adapter import EspeakEngine
from engines.xtts.checks import (
    FEWEST,
    LONGEST_PATTERN,
    LOOP,
    MAX_TOKENS,
    TOKENS_PER_SECOND,
    WANDERING,
    Verdict,
    Watch,
    safer,
)
from engines.xtts.findings import SpeechFinding
from engines.xtts.pace import (
    ABJAD,
    ABUGIDA,
    ALPHABET,
    DIGIT,
    HAN,
    HANGUL,
    KANA,
    PAUSE_SECONDS,
    SETTLING_SECONDS,
    pace,
)
from engines.xtts.sound import Sound, SoundMeter, listen

RATE = 24_000
ROOT = Path(__file__).parents[2]
AUDIO = ROOT.parent / "shared" / "audio"
LONG = (
    "The quick brown fox jumps over a lazy dog, while nobody at all is watching. Pack my box with five dozen "
    "liquor jugs; how vexingly they daft zebras jump! Sphinx of black quartz, judge our vow, and be off."
)
ENGLISH = "She sells sea shells by the sea shore, and the shells that she sells are surely from the sea."
HINDI = "आज मौसम बहुत अच्छा है और हम सब बाहर घूमने जा रहे हैं। कृपया अपना खाता नंबर बताइए।"

READ = {
    "LJ001-0001.wav": "Printing, in the only sense with which we are at present concerned, differs from most "
    "if not from all the arts and crafts represented in the Exhibition",
    "LJ001-0002.wav": "in being comparatively modern.",
    "LJ001-0004.flac": "produced the block books, which were the immediate predecessors of the true printed "
    "book,",
    "LJ001-0005.wav": "the invention of movable metal letters in the middle of the fifteenth century may "
    "justly be considered as the invention of the art of printing.",
    "LJ001-0007.mp3": "the earliest book printed with movable types, the Gutenberg, or forty-two line Bible "
    "of about fourteen fifty-five,",
}

recordings = pytest.mark.skipif(not AUDIO.is_dir(), reason="the recordings of real speech are not here")


def recording(name: str) -> npt.NDArray[np.int16]:
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(AUDIO / name)) as file:
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().ravel().astype(np.int16) for frame in frames])


def kinds(pcm: npt.NDArray[np.int16], count: int) -> list[int]:
    """Speech as tokens: each 1024 samples at 22.05 kHz, sorted by spectrum into so many kinds."""
    size = round(RATE / TOKENS_PER_SECOND)
    frames = pcm[: pcm.size // size * size].reshape(-1, size) / 32_768
    bands = np.array_split(np.abs(np.fft.rfft(frames * np.hanning(size)))[:, 3:400] ** 2, 20, axis=1)
    spectra = np.log10(np.stack([band.mean(axis=1) for band in bands], axis=1) + 1e-9)
    centres = spectra[np.random.default_rng(5).choice(len(spectra), count, replace=False)]
    return ((spectra[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1).tolist()


def fed(watch: Watch, tokens: list[int]) -> tuple[SpeechFinding | None, int]:
    """What was found, and after how many tokens."""
    for count, token in enumerate(tokens, 1):
        if (finding := watch.feed(token)) is not None:
            return finding, count
    return None, len(tokens)


def tone(seconds: float, level: float = 0.3) -> npt.NDArray[np.float64]:
    return level * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE)) / RATE)


def quiet(seconds: float) -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(0, 1e-4, round(seconds * RATE))


def test_the_page_gives_the_bounds_that_hold():
    page = (ROOT / "docs" / "engines" / "xtts.md").read_text(encoding="utf-8")
    section = page.partition("### Pace")[2].partition("### ")[0]
    rows = re.findall(r"^\| [^|]+ \| ([\d.]+) \| ([\d.]+) \|$", section, re.MULTILINE)
    scripts = (ALPHABET, ABUGIDA, ABJAD, HANGUL, HAN, KANA, DIGIT)
    assert [float(most) for most, _ in rows] == [
        *(script.most for script in scripts),
        PAUSE_SECONDS,
        SETTLING_SECONDS,
    ]
    assert [float(least) for _, least in rows] == [*(script.least for script in scripts), 0, 0]
    for finding in SpeechFinding:
        assert f"`{finding}`" in page


# -- how long a text can take


@recordings
@pytest.mark.parametrize("name", READ)
def test_a_human_reader_is_within_the_pace(name: str):
    seconds, bounds = recording(name).size / RATE, pace(READ[name])
    assert bounds.least * 1.5 < seconds < bounds.most / 1.5


def test_a_synthesiser_is_within_the_pace_at_half_and_twice_its_speed():
    async def durations() -> dict[tuple[str, float], float]:
        engine = EspeakEngine(EngineConfig(name="E", type="ESPEAK"))
        await engine.load()
        batch = [
            Utterance(text=text, voice=language, language=language, speed=speed)
            for language, text in (("en", ENGLISH), ("hi", HINDI))
            for speed in (0.5, 1.0, 2.0)
        ]
        spoken = await synthesize(engine, batch)
        await engine.close()
        seconds = [speech.pcm.size / engine.sample_rate for speech in spoken if isinstance(speech, Speech)]
        return {(u.language, u.speed): length for u, length in zip(batch, seconds, strict=True)}

    for (language, speed), seconds in asyncio.run(durations()).items():
        bounds = pace(ENGLISH if language == "en" else HINDI)
        assert bounds.least < seconds < bounds.most, (language, speed, seconds, bounds)


def test_each_script_has_its_own_pace():
    least = {
        text: pace(text).least / len(text) for text in ("book" * 4, "किताब" * 3, "سلام" * 4, "人人而由" * 4)
    }
    assert list(least.values()) == sorted(least.values())
    both = pace("नमस्ते hello").least
    assert both == pytest.approx(pace("नमस्ते").least + 5 * 0.025)


def test_what_is_read_at_length_may_take_long():
    assert pace("777777").most > 5.0
    assert pace("a, b, c.").most - pace("a b c").most == pytest.approx(3 * 0.75)
    assert pace("don't stop").most == pytest.approx(pace("dont stop").most)
    assert pace("WWW").most > pace("www").most
    assert pace("5 %").most > pace("5").most + 0.5


@pytest.mark.parametrize("text", ["", "...", "\u200d", " "])
def test_nothing_to_say_needs_no_time(text: str):
    bounds = pace(text)
    assert (bounds.least, bounds.repeats) == (0.0, 0.0)
    assert Watch(text).verdict().findings == ()


def test_marks_are_letters_where_they_are_heard():
    assert pace("\u0643\u0650\u062a\u064e\u0627\u0628").least == pace("\u0643\u062a\u0627\u0628").least
    assert pace("e\u0301te\u0301").least == pace("\u00e9t\u00e9").least
    assert pace("कितना है").least > pace("कतन ह").least


@pytest.mark.parametrize(
    ("text", "letters"), [("ha ha ha ha", 6), ("no way, no way", 5), ("hello there", 0), ("aaaaaa", 5)]
)
def test_a_text_that_repeats_itself(text: str, letters: int):
    assert pace(text).repeats == pytest.approx(letters * 0.16)


@given(st.text(max_size=300))
def test_any_text_has_a_pace(text: str):
    bounds = pace(text)
    assert 0 <= bounds.least < bounds.most
    assert 0 <= bounds.repeats < bounds.most


# -- tokens


@recordings
@pytest.mark.parametrize("count", [16, 64])
@pytest.mark.parametrize("name", READ)
def test_real_speech_raises_no_alarm(name: str, count: int):
    pcm = recording(name)
    tokens = kinds(pcm, min(count, int(pcm.size / RATE * TOKENS_PER_SECOND)))
    watch = Watch(READ[name])
    assert fed(watch, tokens) == (None, len(tokens))
    assert watch.verdict() == Verdict(findings=(), keep=len(tokens))
    assert watch.verdict().finish_reason == "stop"


@given(st.integers(0, 2**32 - 1), st.floats(0.06, 0.14), st.data())
def test_plausible_sequences_raise_no_alarm(seed: int, per_letter: float, data: st.DataObject):
    """Random tokens at a plausible rate, with a sound, or a pause, held for a second in each half."""
    rng = np.random.default_rng(seed)
    count = round(len(ENGLISH) * per_letter * TOKENS_PER_SECOND * 0.8)
    tokens = rng.integers(0, 1024, count)
    for half in (tokens[: count // 2], tokens[count // 2 :]):
        at = data.draw(st.integers(0, half.size - 1))
        half[at : at + data.draw(st.integers(1, 21))] = half[at]
    watch = Watch(ENGLISH)
    assert fed(watch, tokens.tolist()) == (None, count)
    assert watch.verdict().findings == ()


@given(st.integers(1, LONGEST_PATTERN), st.integers(0, 150), st.integers(0, 2**32 - 1))
def test_a_loop_is_found_at_once_and_its_pattern_kept_once(period: int, before: int, seed: int):
    rng = np.random.default_rng(seed)
    pattern = rng.permutation(1024)[:period]
    tokens = [*rng.integers(0, 1024, before).tolist(), *np.tile(pattern, 700).tolist()[:600]]
    watch = Watch(LONG)
    finding, count = fed(watch, tokens)
    assert finding is SpeechFinding.REPETITION
    # What comes before may happen to end as the pattern does.
    assert before + period <= count + 3
    assert count <= before + period + LOOP
    verdict = watch.verdict()
    assert abs(verdict.keep - (before + period)) <= 3
    assert verdict.finish_reason == "repetition"
    assert watch.feed(1) is SpeechFinding.REPETITION


@given(st.integers(1, FEWEST - 1), st.integers(0, 150), st.integers(0, 2**32 - 1))
def test_a_loop_that_wobbles_is_found(kinds: int, before: int, seed: int):
    rng = np.random.default_rng(seed)
    tokens = [*rng.integers(10, 1024, before).tolist(), *rng.integers(0, kinds, 400).tolist()]
    watch = Watch(LONG)
    finding, count = fed(watch, tokens)
    assert finding is SpeechFinding.REPETITION
    assert before + LOOP - 3 <= count <= before + max(WANDERING, LOOP + 1)
    assert watch.verdict().keep <= before + WANDERING


def test_a_text_that_repeats_itself_may_be_said_so():
    text = "ha ha ha ha ha ha ha ha ha ha ha ha."
    laughing = [5, 9, 13, 2, 7, 7] * 10
    assert fed(Watch("What a lovely day it is, is it not."), laughing)[0] is SpeechFinding.REPETITION
    watch = Watch(text)
    assert fed(watch, laughing) == (None, 60)
    finding, count = fed(watch, laughing * 20)
    assert finding is SpeechFinding.REPETITION
    assert watch.verdict().keep < 60 + count


@given(st.sampled_from(["Hi.", "नमस्ते", "Good morning, everybody.", HINDI]), st.integers(0, 2**32 - 1))
def test_a_runaway_is_ended_when_a_slow_reader_is_done(text: str, seed: int):
    tokens = np.random.default_rng(seed).integers(0, 1024, MAX_TOKENS).tolist()
    watch = Watch(text)
    finding, count = fed(watch, tokens)
    assert finding is SpeechFinding.RUNAWAY
    assert count == watch.most == watch.length == round(pace(text).most * TOKENS_PER_SECOND)
    assert watch.verdict() == Verdict(findings=(SpeechFinding.RUNAWAY,), keep=count)


def test_the_models_limit_is_no_runaway():
    tokens = np.random.default_rng(3).integers(0, 1024, MAX_TOKENS).tolist()
    for limit in (MAX_TOKENS, 300):
        watch = Watch(LONG, limit)
        assert fed(watch, tokens) == (SpeechFinding.LENGTH, limit)
        assert watch.verdict().finish_reason == "length"


@pytest.mark.parametrize("text", ["Yes.", ENGLISH, HINDI])
def test_an_early_stop_is_found(text: str):
    enough = int(pace(text).least * TOKENS_PER_SECOND)
    assert enough >= 3
    for count in (0, enough - 1, enough):
        watch = Watch(text)
        assert watch.least == enough
        for token in range(count):
            watch.feed(token)
        early = count < enough
        assert watch.verdict().findings == ((SpeechFinding.EARLY_STOP,) if early else ())
        assert watch.verdict().finish_reason == "stop"


# -- samples


@recordings
@pytest.mark.parametrize("name", READ)
def test_real_speech_sounds_well(name: str):
    pcm = recording(name)
    sound = listen(pcm, RATE)
    assert (sound.findings, sound.pauses, sound.clipped) == ((), (), 0.0)
    assert sound.speech[1] - sound.speech[0] > 0.9 * pcm.size / RATE
    # Nine decibels louder it is clipped; a third as loud it is what it was.
    loud = np.clip(pcm * 4.0, -32_768, 32_767).astype(np.int16)
    assert listen(loud, RATE).findings == (SpeechFinding.CLIPPING,)
    assert listen((pcm / 3).astype(np.int16), RATE).findings == ()


@recordings
def test_a_silence_in_real_speech_is_found_where_it_is():
    pcm = recording("LJ001-0004.flac")
    middle = pcm.size // 2
    gap = (quiet(2.5) * 32_768).astype(np.int16)
    sound = listen(np.concatenate([pcm[:middle], gap, pcm[middle:]]), RATE)
    assert sound.findings == (SpeechFinding.SILENCE,)
    ((start, end),) = sound.pauses
    assert start == pytest.approx(middle / RATE, abs=0.2)
    assert end - start == pytest.approx(2.5, abs=0.3)


@pytest.mark.parametrize(
    ("parts", "pauses"),
    [
        ((tone(1), quiet(1.9), tone(1)), []),
        ((tone(1), quiet(2.1), tone(1)), [(1.0, 3.1)]),
        ((tone(1), quiet(1.4)), []),
        ((tone(1), quiet(1.6)), [(1.0, 2.6)]),
        ((quiet(1.6), tone(1)), [(0.0, 1.6)]),
        ((quiet(1.6), tone(0.4), quiet(2.2), tone(0.4), quiet(20.0)), [(0.0, 1.6), (2.0, 4.2), (4.6, 24.6)]),
    ],
)
def test_silences(parts: tuple[npt.NDArray[np.float64], ...], pauses: list[tuple[float, float]]):
    sound = listen(np.concatenate(parts), RATE)
    assert sound.findings == ((SpeechFinding.SILENCE,) if pauses else ())
    assert [value for pause in sound.pauses for value in pause] == pytest.approx(
        [value for pause in pauses for value in pause], abs=0.011
    )


@pytest.mark.parametrize("pcm", [np.zeros(0), np.zeros(RATE, np.int16), np.full(RATE, 0.4), quiet(1.0)])
def test_nothing_is_heard(pcm: npt.NDArray[np.float64]):
    assert listen(pcm, RATE) == Sound(
        findings=(SpeechFinding.SILENT,), pauses=(), speech=(0.0, 0.0), clipped=0.0
    )


def test_numbers_that_are_none_are_found():
    pcm = tone(1.0)
    pcm[500], pcm[900] = np.nan, np.inf
    assert listen(pcm, RATE).findings == (SpeechFinding.BROKEN,)
    assert listen(np.full(RATE, np.nan, np.float32), RATE).findings == (
        SpeechFinding.BROKEN,
        SpeechFinding.SILENT,
    )


def test_a_tanh_that_saturates_is_clipped():
    sound = listen(np.tanh(tone(1.0, level=12.0)), RATE)
    assert sound.findings == (SpeechFinding.CLIPPING,)
    assert 0.5 < sound.clipped < 1.0
    assert listen(tone(1.0, level=1.0), RATE).clipped == pytest.approx(0.0, abs=0.02)


@given(st.lists(st.integers(0, 3 * RATE), max_size=8), st.booleans())
def test_pieces_of_any_size_sound_as_the_whole(cuts: list[int], floats: bool):
    whole = np.concatenate([tone(0.6, level=1.2), quiet(1.7), tone(0.333)])
    if not floats:
        whole = np.clip(whole * 32_768, -32_768, 32_767).astype(np.int16)
    meter = SoundMeter(RATE)
    for piece in np.split(whole, sorted(min(cut, whole.size) for cut in cuts)):
        meter.feed(piece)
    assert meter.sound() == listen(whole, RATE)


# -- the verdict and the retry


@dataclass(frozen=True)
class Sampling:
    greedy: bool = False
    min_tokens: int = 0
    seed: int | None = None
    temperature: float = 0.75
    top_p: float = 0.85
    top_k: int = 50


def test_of_two_tries_the_one_that_lacks_nothing_is_better():
    good, tail, short, mute = (
        Verdict(findings=findings)
        for findings in (
            (),
            (SpeechFinding.RUNAWAY,),
            (SpeechFinding.EARLY_STOP,),
            (SpeechFinding.EARLY_STOP, SpeechFinding.SILENT),
        )
    )
    assert good.badness == 0
    assert [*sorted((mute, tail, short, good), key=lambda verdict: verdict.badness)] == [
        good,
        tail,
        short,
        mute,
    ]


def test_what_is_heard_joins_the_verdict_once():
    sound = listen(quiet(1.0), RATE)
    verdict = Verdict(findings=(SpeechFinding.RUNAWAY,), keep=9).heard(sound).heard(sound)
    assert verdict == Verdict(findings=(SpeechFinding.RUNAWAY, SpeechFinding.SILENT), keep=9)
    assert verdict.finish_reason == "runaway"


def test_a_retry_is_seeded_anew_and_calmer():
    asked = Sampling(seed=7)
    assert safer(asked, 0) == asked
    first, second = safer(asked, 1), safer(asked, 2)
    assert first == safer(asked, 1)
    assert len({asked.seed, first.seed, second.seed}) == 3
    assert asked.temperature > first.temperature > second.temperature > 0.3
    assert asked.top_p > first.top_p > second.top_p
    assert first.top_k == asked.top_k
    assert safer(Sampling(), 1).seed is None


def test_a_loop_is_not_made_calmer():
    asked = Sampling(seed=7)
    again = safer(asked, 1, (SpeechFinding.REPETITION,))
    assert (again.temperature, again.top_p) == (asked.temperature, asked.top_p)
    assert again.seed == safer(asked, 1).seed != asked.seed


def test_what_stopped_early_may_not_do_so_again():
    assert safer(Sampling(), 1, (SpeechFinding.EARLY_STOP,), 30).min_tokens == 30
    assert safer(Sampling(min_tokens=40), 1, (SpeechFinding.EARLY_STOP,), 30).min_tokens == 40
    assert safer(Sampling(), 1, (SpeechFinding.RUNAWAY,), 30).min_tokens == 0


def test_a_greedy_retry_draws_and_is_repeatable():
    again = safer(Sampling(greedy=True), 1, (SpeechFinding.REPETITION,))
    assert (again.greedy, again.temperature) == (False, 0.3)
    assert again.seed is not None
    assert again == safer(Sampling(greedy=True), 1, (SpeechFinding.REPETITION,))


@given(st.integers(0, 2**63 - 1), st.integers(1, 50), st.floats(0.0, 2.0), st.floats(0.0, 1.0))
def test_a_retry_is_never_wilder_and_its_seed_is_a_seed(
    seed: int, attempt: int, temperature: float, top_p: float
):
    asked = Sampling(seed=seed, temperature=temperature, top_p=top_p)
    again = safer(asked, attempt)
    assert again.seed is not None
    assert 0 <= again.seed < 2**63
    assert min(0.3, temperature) <= again.temperature <= temperature
    assert min(0.3, top_p) <= again.top_p <= top_p
