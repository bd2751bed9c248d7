"""A whole server whose default engine is KOKORO: what clients of any kind get."""

import json
import signal
import wave
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI

from live import Server, eventually, start

ENGLISH = "Hello! The meeting is on Friday at four, in the big room upstairs."
HINDI = "नमस्ते, आपका बैलेंस ₹1,25,000 है।"


@pytest.fixture(scope="module")
def spoken_by_kokoro(
    kokoro_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server, None, None]:
    engines = [
        {"name": "KOKORO", "type": "KOKORO", "model_path": str(kokoro_folder), "warm": True},
        {"name": "ESPEAK", "type": "ESPEAK"},
    ]
    running = start(tmp_path_factory.mktemp("kokoro"), {"engines": engines})
    eventually(lambda: running.engine("KOKORO")["state"] == "warm")
    yield running
    running.stop()


@pytest.fixture
def client(spoken_by_kokoro: Server) -> Generator[OpenAI, None, None]:
    with OpenAI(base_url=spoken_by_kokoro.api, api_key="local", max_retries=0, timeout=60) as opened:
        yield opened


def pcm(client: OpenAI, text: str, **fields: Any) -> np.ndarray:
    fields = {"voice": "alloy", "model": "tts-1", **fields}
    answer = client.audio.speech.create(input=text, response_format="pcm", **fields)
    return np.frombuffer(answer.content, "<i2")


def events(server: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    asked = {"model": "tts-1", "voice": "alloy", "stream_format": "sse", "response_format": "pcm", **body}
    answer = httpx.post(f"{server.api}/audio/speech", json=asked, timeout=60)
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.split("\n\n") if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.mark.parametrize("text", [ENGLISH, HINDI], ids=["english", "hindi"])
@pytest.mark.parametrize("voice", ["alloy", "onyx", "af_bella", "hf_beta", "af_heart(2)+am_onyx(1)"])
def test_openai_s_client_hears_speech(client: OpenAI, text: str, voice: str) -> None:
    samples = pcm(client, text, voice=voice)
    assert 2.0 < samples.size / 24_000 < 9.0
    assert 3_000 < np.abs(samples.astype(np.int32)).max() < 32_700


@pytest.mark.parametrize("text", ["(" * 250 + "a", "Yes. " + "(" * 250 + "a", "hello" + "”" * 230])
def test_runs_of_brackets_are_spoken_around(client: OpenAI, text: str) -> None:
    assert 0.15 < pcm(client, text).size / 24_000 < 3.0


def test_a_sentence_in_letters_that_are_not_read_is_silent(client: OpenAI) -> None:
    asked = {"model": "kokoro", "voice": "af_bella"}
    assert pcm(client, "Hello, my friend. 東京。 Goodbye.", **asked).size > 24_000
    with pytest.raises(openai.BadRequestError, match="nothing that this voice can read"):
        pcm(client, "東京。", **asked)


def test_hindi_and_english_have_voices_of_their_own(client: OpenAI) -> None:
    assert not np.array_equal(pcm(client, HINDI), pcm(client, HINDI, voice="af_heart"))
    np.testing.assert_array_equal(pcm(client, HINDI), pcm(client, HINDI, voice="hf_alpha"))
    np.testing.assert_array_equal(pcm(client, ENGLISH), pcm(client, ENGLISH, voice="af_heart"))


@pytest.mark.parametrize("model", ["kokoro", "KOKORO", "tts-1-hd", "gpt-4o-mini-tts"])
def test_its_model_names_are_kokoro_fastapi_s_and_openai_s(client: OpenAI, model: str) -> None:
    assert pcm(client, "Yes.", model=model, voice="af_bella").size


@pytest.mark.parametrize("text", ["Hi", "5", "ok", "No.", "हाँ", "A"])
def test_very_short_texts_are_short(client: OpenAI, text: str) -> None:
    assert 0.15 < pcm(client, text).size / 24_000 < 1.5


def test_telephony_gets_8_khz(spoken_by_kokoro: Server) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": ENGLISH, "response_format": "ulaw"}
    answer = httpx.post(f"{spoken_by_kokoro.api}/audio/speech", json=body, timeout=60)
    assert 2.0 < len(answer.content) / 8_000 < 9.0


def test_a_wav_says_how_long_it_is(spoken_by_kokoro: Server) -> None:
    body = {"model": "tts-1", "voice": "nova", "input": "It is.", "response_format": "wav"}
    answer = httpx.post(f"{spoken_by_kokoro.api}/audio/speech", json=body, timeout=60)
    with wave.open(BytesIO(answer.content)) as file:
        assert file.getframerate() == 24_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The price is ₹125, today.", ["The", "price", "is", "₹125", "today"]),
        ("मेरा order 5 बजे आएगा।", ["मेरा", "order", "5", "बजे", "आएगा"]),
    ],
)
def test_words_are_timed_as_the_caller_wrote_them(
    spoken_by_kokoro: Server, text: str, words: list[str]
) -> None:
    said = events(spoken_by_kokoro, {"input": text, "timestamps": True})
    timings = [
        word for event in said if event["type"] == "speech.audio.timestamps" for word in event["words"]
    ]
    assert [word["word"] for word in timings] == words
    assert all(text[word["offset"] :].startswith(word["word"]) for word in timings)
    times = [time for word in timings for time in (word["start"], word["end"])]
    assert times == sorted(times)


def test_sentences_and_paragraphs_have_pauses_between_them(client: OpenAI) -> None:
    apart = pcm(client, "It is one.").size + pcm(client, "It is two.").size
    together = pcm(client, "It is one. It is two.").size
    paragraphs = pcm(client, "It is one.\n\nIt is two.").size
    assert together - apart == pytest.approx(0.3 * 24_000, abs=240)
    assert paragraphs - apart == pytest.approx(0.6 * 24_000, abs=240)


def test_speed_is_the_model_s_up_to_twice_and_stretched_beyond(client: OpenAI) -> None:
    usual = pcm(client, ENGLISH).size
    assert pcm(client, ENGLISH, speed=0.5).size == pytest.approx(2 * usual, rel=0.15)
    assert pcm(client, ENGLISH, speed=2.0).size == pytest.approx(usual / 2, rel=0.2)
    assert pcm(client, ENGLISH, speed=4.0).size == pytest.approx(usual / 4, rel=0.2)


def test_a_lexicon_gives_words_their_sound(client: OpenAI) -> None:
    plain = pcm(client, "Ask Xqz now.")
    given = pcm(client, "Ask Xqz now.", extra_body={"lexicon": {"Xqz": "/ˈtʃaɪ/"}})
    spelt = pcm(client, "Ask chai now.")
    assert abs(given.size - spelt.size) < 0.15 * 24_000 < abs(plain.size - spelt.size)


def test_ssml_pauses(client: OpenAI) -> None:
    long = pcm(client, '<speak>It is<break time="1s"/>so.</speak>')
    assert long.size - pcm(client, "<speak>It is so.</speak>").size > 0.7 * 24_000


def test_other_languages_go_to_the_engine_that_speaks_them(client: OpenAI) -> None:
    assert pcm(client, "வணக்கம், நீங்கள் எப்படி இருக்கிறீர்கள்?").size


@pytest.mark.parametrize("voice", ["nobody", "af_heart(2)+nobody(1)", "af_heart(0)+af_bella(0)"])
def test_a_voice_that_is_not_there_is_a_400(client: OpenAI, voice: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        pcm(client, "Yes.", voice=voice)
    assert refused.value.param == "voice"


def test_voices_are_listed_with_their_languages(spoken_by_kokoro: Server) -> None:
    listed = httpx.get(f"{spoken_by_kokoro.api}/audio/voices", timeout=10).json()["voices"]
    names = {voice["id"] for voice in listed}
    assert {"alloy", "af_heart", "hf_alpha", "hm_omega"} <= names


def test_killing_what_knows_pronunciation_costs_one_utterance_at_most(
    spoken_by_kokoro: Server, client: OpenAI
) -> None:
    pcm(client, "Before it is killed.")
    runner = spoken_by_kokoro.worker("engine_kokoro")
    (child,) = runner.children()
    child.send_signal(signal.SIGKILL)
    failures = 0
    for number in range(3):
        try:
            assert pcm(client, f"After it was killed, {number}.").size
        except openai.InternalServerError:
            failures += 1
    assert failures <= 1
    assert runner.is_running()


def test_a_killed_runner_comes_back(spoken_by_kokoro: Server, client: OpenAI) -> None:
    runner = spoken_by_kokoro.worker("engine_kokoro")
    runner.kill()

    def speaks() -> bool:
        try:
            return pcm(client, "It is back.").size > 0
        except openai.APIError:
            return False

    eventually(speaks)
    assert spoken_by_kokoro.worker("engine_kokoro").pid != runner.pid
