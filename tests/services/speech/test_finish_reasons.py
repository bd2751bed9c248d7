"""How speech ended, and what was wrong with it, on its way from the engine to the client."""

import base64
import json
from collections.abc import Generator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engines.contract import FINISH_REASONS, Speech, collect
from engines.xtts.findings import ENDINGS, SpeechFinding
from services.metrics import Metrics
from services.runner.app import create_runner_app
from services.speech.response import FINISH_REASON_HEADER
from services.speech.stream import Ending
from services.wire.frames import Line, Spoken, SynthesisCall

from live import ENGINES, Server, start
from runners import client as runner_client
from runners import engine, served

FINDINGS = {"LONG": "length", "LOOP": "repetition", "SHORT": "early_stop", "LOUD": "clipping"}
TWO = "This one is fine. This goes round in a LOOP and is LOUD."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server, None, None]:
    faulty = {"name": "FAULTY", "type": "SYNTHETIC", "options": {"base_ms": 1, "find_on": FINDINGS}}
    running = start(tmp_path_factory.mktemp("server"), {"engines": [ENGINES[0], faulty]})
    yield running
    running.stop()


@pytest.fixture
def client(server: Server) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=server.api, api_key="local", max_retries=0, timeout=30) as opened:
        yield opened


def events(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in body.decode().split("\n\n") if line]


def usage(client: openai.OpenAI, text: str, *, model: str = "FAULTY", voice: str = "tone") -> dict[str, Any]:
    """What the last event says, after audio that is whole."""
    speech = client.audio.speech.create(
        model=model, voice=voice, input=text, response_format="pcm", stream_format="sse"
    )
    assert FINISH_REASON_HEADER not in speech.response.headers
    *deltas, done = events(speech.content)
    assert sum(len(base64.b64decode(delta["audio"])) for delta in deltas) > 0
    assert done["type"] == "speech.audio.done"
    return done["usage"]


def counted(server: Server) -> dict[str, float]:
    """What the metrics say of how sentences of the engine that finds faults ended."""
    lines = httpx.get(f"{server.url}/metrics", timeout=10).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if "FAULTY" in line)
    return {name: float(value) for name, value in pairs if "_total{" in name}


def test_metrics_tell_it(server: Server, client: openai.OpenAI) -> None:
    before = counted(server)
    usage(client, TWO)
    usage(client, "It was too SHORT.")
    more = {name: value - before.get(name, 0.0) for name, value in counted(server).items()}
    assert {name.removeprefix("awaaztwin_"): value for name, value in more.items() if value} == {
        'sentences_total{engine="FAULTY",finish_reason="stop"}': 2,
        'sentences_total{engine="FAULTY",finish_reason="repetition"}': 1,
        'findings_total{engine="FAULTY",finding="repetition"}': 1,
        'findings_total{engine="FAULTY",finding="clipping"}': 1,
        'findings_total{engine="FAULTY",finding="early_stop"}': 1,
        'retries_total{engine="FAULTY"}': 2,
    }


def test_words_of_plug_ins_do_not_grow_without_end() -> None:
    metrics = Metrics()
    for number in range(500):
        metrics.spoken("plugin", Spoken(index=0, finish_reason=f"end_{number}", findings=(f"odd_{number}",)))
    text = metrics.exposed(()).decode()
    lines = [line for line in text.splitlines() if 'engine="plugin"' in line and "_total{" in line]
    assert len(lines) < 80
    assert any('finding="other"' in line and float(line.rsplit(" ", 1)[1]) > 400 for line in lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("All is well.", ("stop", [], 0)),
        ("It was too SHORT.", ("stop", ["early_stop"], 1)),
        (TWO, ("repetition", ["repetition", "clipping"], 1)),
        (
            "This is LONG. This is a LOOP. And LONG, SHORT.",
            ("repetition", ["length", "repetition", "early_stop"], 3),
        ),
    ],
)
def test_events_tell_it_at_their_end(
    client: openai.OpenAI, text: str, told: tuple[str, list[str], int]
) -> None:
    said = usage(client, text)
    assert (said["finish_reason"], said["findings"], said["retries"]) == told
    assert said["total_tokens"] == said["input_tokens"] + said["output_tokens"]


def test_the_embedded_engine_stops_by_itself(client: openai.OpenAI) -> None:
    said = usage(client, "All is well. नमस्ते।", model="ESPEAK", voice="alloy")
    assert (said["finish_reason"], said["findings"], said["retries"]) == ("stop", [], 0)


@pytest.mark.parametrize("name", ["wav_ulaw", "wav_alaw"])
@pytest.mark.parametrize(("text", "reason"), [("All is well.", "stop"), (TWO, "repetition")])
def test_audio_that_is_sent_whole_says_it_in_a_header(
    client: openai.OpenAI, name: str, text: str, reason: str
) -> None:
    speech = client.audio.speech.create(
        model="FAULTY", voice="tone", input=text, extra_body={"response_format": name}
    )
    assert speech.response.headers[FINISH_REASON_HEADER] == reason


def test_audio_that_is_streamed_does_not_wait_for_it(server: Server) -> None:
    body = {"model": "FAULTY", "voice": "tone", "input": TWO, "response_format": "pcm"}
    with httpx.stream("POST", f"{server.api}/audio/speech", json=body, timeout=30) as answer:
        assert answer.status_code == 200
        assert FINISH_REASON_HEADER not in answer.headers
        assert len(answer.read()) > 2 * 24_000


async def test_a_runner_tells_it_of_each_utterance() -> None:
    config = engine(options={"find_on": FINDINGS})
    lines = tuple(Line(text=text, voice="tone", language="en") for text in ("fine", "LOOP", "LOUD"))
    async with served(create_runner_app(config)) as address, runner_client(config, address) as runner:
        told = [
            event async for event in runner.speak(SynthesisCall(lines=lines)) if isinstance(event, Spoken)
        ]
    assert [(item.finish_reason, item.findings, item.retries) for item in told] == [
        ("stop", (), 0),
        ("repetition", ("repetition",), 1),
        ("stop", ("clipping",), 1),
    ]


async def test_joined_speech_keeps_it() -> None:
    async def spoken():  # noqa: ANN202 - what collect takes
        yield 0, np.ones(3, np.int16)
        yield 0, Speech(pcm=np.ones(2, np.int16), finish_reason="length", findings=("length",), retries=2)

    (speech,) = await collect(spoken(), 1)
    assert isinstance(speech, Speech)
    assert speech.pcm.size == 5
    assert (speech.finish_reason, speech.findings, speech.retries) == ("length", ("length",), 2)


@given(st.text(), st.lists(st.text(), max_size=40), st.integers(-3, 10))
def test_a_plug_in_cannot_put_anything_into_a_header(reason: str, findings: list[str], retries: int) -> None:
    speech = Speech(
        pcm=np.zeros(0, np.int16), finish_reason=reason, findings=tuple(findings), retries=retries
    )
    told = Spoken.model_validate_json(Spoken.of(0, speech).model_dump_json())
    for word in (told.finish_reason, *told.findings):
        assert word.isascii()
        assert word.replace("_", "a").isalnum()
    assert len(told.findings) <= 16
    assert told.retries >= 0


@pytest.mark.parametrize("word", ["", "Stop", "a\r\nset-cookie: x", "stop\n", "x" * 33, "é"])
def test_a_runner_cannot_either(word: str) -> None:
    speech = Speech(pcm=np.zeros(0, np.int16), finish_reason=word, findings=(word, word, "silence"))
    told = Spoken.of(0, speech)
    assert (told.finish_reason, told.findings) == ("other", ("other", "silence"))
    with pytest.raises(ValidationError):
        Spoken(index=0, finish_reason=word)
    with pytest.raises(ValidationError):
        Spoken(index=0, findings=(word,))


@given(st.lists(st.sampled_from([*FINISH_REASONS, "other"]), max_size=6))
def test_the_worst_sentence_wins(reasons: list[str]) -> None:
    ending = Ending()
    for index, reason in enumerate(reasons):
        ending = ending.and_then(Spoken(index=index, finish_reason=reason, retries=1))
    order = [*FINISH_REASONS, "other"]
    assert order.index(ending.finish_reason) == max([0, *map(order.index, reasons)])
    assert ending.retries == len(reasons)


def test_xtts_ends_as_the_contract_names_it() -> None:
    assert ("stop", *ENDINGS) == FINISH_REASONS
    assert all(
        Spoken.of(0, Speech(pcm=np.zeros(0, np.int16), findings=(finding,))).findings == (finding,)
        for finding in SpeechFinding
    )
