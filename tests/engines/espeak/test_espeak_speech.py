"""What it says, against the espeak-ng command line and against itself."""

import shutil
import subprocess
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from engines.config import EngineConfig
from engines.contract import Pcm, Speech, UnsupportedUtterance, Utterance, synthesize
from engines.espeak.adapter import MAX_CHARS, SAMPLE_RATE, EspeakEngine, speakable

ENGLISH = ("Hello there my friend.", "How are you today?", "This is great!", "The end")
HINDI = ("नमस्ते दोस्तों।", "आप कैसे हैं?", "बहुत अच्छा।", "फिर मिलेंगे")


@pytest.fixture
async def engine() -> AsyncGenerator[EspeakEngine, None]:
    engine = EspeakEngine(EngineConfig(name="e", max_concurrent_jobs=1))
    await engine.load()
    yield engine
    await engine.close()


async def heard(engine: EspeakEngine, text: str, voice: str, language: str = "en", speed: float = 1.0) -> Pcm:
    outcome = (await synthesize(engine, [Utterance(text=text, voice=voice, language=language, speed=speed)]))[
        0
    ]
    assert isinstance(outcome, Speech), outcome
    return outcome.pcm


def command_line_seconds(voice: str, text: str) -> float:
    command = ["espeak-ng", "-v", voice, "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    return (len(wav) - 44) / 2 / SAMPLE_RATE


def pauses(pcm: Pcm) -> list[float]:
    """Seconds of each silence of more than 80 ms, the last one included."""
    loud = np.nonzero(np.abs(pcm.astype(int)) > 50)[0]
    gaps = np.diff(np.append(loud, len(pcm))) / SAMPLE_RATE
    return [float(gap) for gap in gaps if gap > 0.08]


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="the espeak-ng command is not installed")
@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("en-gb", "The quick brown fox jumps over the lazy dog. Then it sleeps, and nobody knows why."),
        ("en-us", "It costs 25,000 dollars, doesn't it?"),
        ("hi", "नमस्ते दोस्तों। आप कैसे हैं? आज हम एक पुरानी कहानी सुनेंगे।"),
        ("hi", "मैं office जा रहा हूँ, WhatsApp पर call करना। कुल १२,५०० रुपये।"),
        ("ta", "வணக்கம் நண்பர்களே."),
    ],
)
async def test_it_is_as_long_as_the_command_line(engine: EspeakEngine, voice: str, text: str):
    pcm = await heard(engine, text, voice)
    assert len(pcm) / SAMPLE_RATE == pytest.approx(command_line_seconds(voice, text), rel=0.03)


@pytest.mark.parametrize(("voice", "sentences"), [("en-us", ENGLISH), ("hi", HINDI)])
@pytest.mark.parametrize("speed", [0.5, 1.0, 1.5])
async def test_sentences_joined_pause_like_the_whole_text(
    engine: EspeakEngine, voice: str, sentences: Sequence[str], speed: float
):
    whole = await heard(engine, " ".join(sentences), voice, speed=speed)
    parts = [await heard(engine, sentence, voice, speed=speed) for sentence in sentences]
    joined = np.concatenate(parts)
    assert pauses(joined) == pytest.approx(pauses(whole), abs=0.05)
    assert len(joined) == pytest.approx(len(whole), rel=0.01)
    for part in parts:
        assert np.abs(part[[0, -1]].astype(int)).max() < 700
        assert np.abs(part[-int(0.1 * SAMPLE_RATE) :].astype(int)).max() < 50, "a cut end"


async def test_latin_words_in_hindi_are_spoken_as_english(engine: EspeakEngine):
    spelt = await heard(engine, "w h a t s a p p", "hi")
    word = await heard(engine, "WhatsApp", "hi")
    english = await heard(engine, "WhatsApp", "en-gb")
    assert len(word) < len(spelt) / 2
    assert len(word) == pytest.approx(len(english), rel=0.25)


async def test_a_language_voice_keeps_its_language(engine: EspeakEngine):
    text = "नमस्ते दोस्तों।"
    assert len(await heard(engine, text, "hi", language="en")) == pytest.approx(
        len(await heard(engine, text, "hi", language="hi")), rel=0.01
    )


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 1.6, 2.0])
@pytest.mark.parametrize(("voice", "sentences"), [("en-gb", ENGLISH), ("hi", HINDI)])
async def test_length_follows_speed(engine: EspeakEngine, voice: str, sentences: Sequence[str], speed: float):
    normal = await heard(engine, " ".join(sentences), voice)
    changed = await heard(engine, " ".join(sentences), voice, speed=speed)
    assert len(normal) / len(changed) == pytest.approx(speed, rel=0.1)


async def test_the_last_word_ends_with_the_speech(engine: EspeakEngine):
    for voice, text in (("en-gb", " ".join(ENGLISH)), ("hi", " ".join(HINDI))):
        outcome = (
            await synthesize(engine, [Utterance(text=text, voice=voice, language="en", timings=True)])
        )[0]
        assert isinstance(outcome, Speech)
        loud = np.nonzero(np.abs(outcome.pcm.astype(int)) > 50)[0]
        assert outcome.words[-1].end == pytest.approx(loud[-1] / SAMPLE_RATE, abs=0.08)
        assert [word.word for word in outcome.words] == [w.strip(".?!।") for w in text.split()]


@pytest.mark.parametrize("text", ["", " \n\t", "\x00", "\ud800\udfff"])
async def test_nothing_to_speak(engine: EspeakEngine, text: str):
    outcome = (await synthesize(engine, [Utterance(text=text, voice="hi", language="hi")]))[0]
    assert isinstance(outcome, UnsupportedUtterance)
    assert outcome.param == "input"


async def test_the_longest_text(engine: EspeakEngine):
    assert len(await heard(engine, "अ" * MAX_CHARS, "hi")) > SAMPLE_RATE
    too_long = Utterance(text="अ" * (MAX_CHARS + 1), voice="hi", language="hi")
    outcome = (await synthesize(engine, [too_long]))[0]
    assert isinstance(outcome, UnsupportedUtterance)
    assert outcome.param == "input"


def test_controls_become_spaces_in_place():
    assert speakable("a\x00b\x01c\ud800d\x85e\nनम🙂") == "a b c d e नम🙂"


@pytest.mark.parametrize("text", ["\x015Ihello", "hello \x01P9 there"])
async def test_embedded_commands_are_not_obeyed(engine: EspeakEngine, text: str):
    plain = await heard(engine, text.replace("\x01", " "), "en-gb")
    assert len(await heard(engine, text, "en-gb")) == pytest.approx(len(plain), rel=0.01)


def voice_ids(share: int) -> list[str]:
    return [voice.id for voice in EspeakEngine(EngineConfig(name="e")).voices()][::share]


async def speaks(engine: EspeakEngine, voice: str) -> None:
    pcm = await heard(engine, "a mama papa", voice)
    assert 0.5 < len(pcm) / SAMPLE_RATE < 8, voice
    assert np.abs(pcm.astype(int)).max() > 3_000, voice
    assert np.abs(pcm[[0, -1]].astype(int)).max() < 1_500, voice


async def test_the_characters_and_some_languages_speak(engine: EspeakEngine):
    for voice in [*voice_ids(1)[:13], *voice_ids(9)]:
        await speaks(engine, voice)


@pytest.mark.slow
async def test_every_voice_speaks(engine: EspeakEngine):
    ids = voice_ids(1)
    assert len(ids) > 130
    for voice in ids:
        await speaks(engine, voice)


def spectrum(pcm: Pcm) -> npt.NDArray[np.float64]:
    frames = np.lib.stride_tricks.sliding_window_view(pcm.astype(np.float64), 2048)[::512] * np.hanning(2048)
    return np.log(np.abs(np.fft.rfft(frames)).mean(axis=0)[2:400] + 1)


async def test_the_characters_differ(engine: EspeakEngine):
    """By their long-term spectra, in Hindi: each is nearer to itself, spoken again, than to any other."""
    voices = voice_ids(1)[:13]
    text = " ".join(HINDI)
    first = [spectrum(await heard(engine, text, voice, language="hi-IN")) for voice in voices]
    again = [spectrum(await heard(engine, text, voice, language="hi-IN")) for voice in voices]
    distance = np.array([[np.abs(a - b).mean() for b in again] for a in first])
    same = np.diag(distance)
    others = (distance + np.diag([np.inf] * len(voices))).min(axis=1)
    assert (others > 2 * same).all(), dict(zip(voices, zip(same, others, strict=True), strict=True))
