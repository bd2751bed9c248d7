"""The official OpenAI SDK against the real server: every format, way of calling and error class."""

import asyncio
import base64
import json
import wave
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import openai
import pytest

from live import Server
from probing import Probe, ffprobe

TEXT = "A steady tone that says nothing at all, but lasts exactly as long as its letters."
SECONDS = len(TEXT) * 0.02

FORMATS = {
    "mp3": ("audio/mpeg", "mp3", "mp3", 24_000),
    "opus": ("audio/ogg", "opus", "ogg", 48_000),
    "aac": ("audio/aac", "aac", "aac", 24_000),
    "flac": ("audio/flac", "flac", "flac", 24_000),
    "wav": ("audio/wav", "pcm_s16le", "wav", 24_000),
    "pcm": ("audio/pcm", "pcm_s16le", "s16le", 24_000),
}
TELEPHONE = {
    "wav_ulaw": ("audio/wav", "pcm_mulaw", "wav"),
    "wav_alaw": ("audio/wav", "pcm_alaw", "wav"),
    "ulaw": (None, "pcm_mulaw", "mulaw"),
    "alaw": (None, "pcm_alaw", "alaw"),
}


@pytest.fixture
def client(server: Server) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=server.api, api_key="local", max_retries=0, timeout=30) as opened:
        yield opened


@pytest.fixture
async def aclient(server: Server) -> AsyncGenerator[openai.AsyncOpenAI, None]:
    async with openai.AsyncOpenAI(base_url=server.api, api_key="local", max_retries=0, timeout=30) as opened:
        yield opened


def probe(path: Path, container: str) -> Probe:
    if container == "s16le":
        return ffprobe(path, "-f", "s16le", "-ar", "24000", "-ch_layout", "mono")
    if container in {"mulaw", "alaw"}:
        return ffprobe(path, "-f", container, "-ar", "8000", "-ch_layout", "mono")
    return ffprobe(path)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(client: openai.OpenAI, tmp_path: Path, name: str) -> None:
    media, codec, container, rate = FORMATS[name]
    speech = client.audio.speech.create(model="TONE", voice="tone", input=TEXT, response_format=name)  # type: ignore[arg-type]  # a name of the table
    assert speech.response.headers["content-type"] == media
    assert speech.response.headers["x-request-id"]
    path = tmp_path / f"speech.{name}"
    speech.write_to_file(path)
    found = probe(path, container)
    assert (found.codec, found.container, found.sample_rate, found.channels) == (codec, container, rate, 1)
    # A codec may pad by two frames, and never cuts.
    assert SECONDS - 0.01 <= found.duration <= SECONDS + 0.12


@pytest.mark.parametrize("name", TELEPHONE)
def test_every_telephone_format(client: openai.OpenAI, tmp_path: Path, name: str) -> None:
    media, codec, container = TELEPHONE[name]
    speech = client.audio.speech.create(
        model="TONE", voice="tone", input=TEXT, extra_body={"response_format": name}
    )
    assert media is None or speech.response.headers["content-type"] == media
    path = tmp_path / f"speech.{name}"
    speech.write_to_file(path)
    found = probe(path, container)
    assert (found.codec, found.sample_rate, found.channels) == (codec, 8_000, 1)
    assert found.duration == pytest.approx(SECONDS, abs=0.01)


def test_mp3_is_the_default(client: openai.OpenAI) -> None:
    speech = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    assert speech.response.headers["content-type"] == "audio/mpeg"


def test_a_voice_may_be_an_object(client: openai.OpenAI) -> None:
    speech = client.audio.speech.create(
        model="TONE", voice={"id": "tone"}, input="Hello.", response_format="pcm"
    )
    assert len(speech.content) == 6 * 0.02 * 24_000 * 2


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_speed_changes_the_duration(client: openai.OpenAI, speed: float) -> None:
    speech = client.audio.speech.create(
        model="TONE", voice="tone", input=TEXT, speed=speed, response_format="pcm"
    )
    assert len(speech.content) / 48_000 == pytest.approx(SECONDS / speed, rel=0.03)


def test_a_sample_rate_may_be_chosen(client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    client.audio.speech.create(
        model="TONE", voice="tone", input=TEXT, response_format="wav", extra_body={"sample_rate": 16_000}
    ).write_to_file(path)
    assert ffprobe(path).sample_rate == 16_000


async def test_asynchronous(aclient: openai.AsyncOpenAI) -> None:
    pieces = await asyncio.gather(
        *(
            aclient.audio.speech.create(
                model="tts-1", voice=voice, input="Hello there.", response_format="pcm"
            )
            for voice in ("alloy", "nova", "hi", "en-us")
        )
    )
    assert all(len(piece.content) > 24_000 * 2 * 0.3 for piece in pieces)


def test_streamed_is_the_same_audio(client: openai.OpenAI) -> None:
    arguments = {"model": "TONE", "voice": "tone", "input": TEXT, "response_format": "flac"}
    whole = client.audio.speech.create(**arguments).content  # type: ignore[arg-type]  # as above
    with client.audio.speech.with_streaming_response.create(**arguments) as speech:  # type: ignore[arg-type]  # as above
        assert b"".join(speech.iter_bytes(1_000)) == whole


async def test_streamed_asynchronously_before_it_is_finished(aclient: openai.AsyncOpenAI) -> None:
    """The first sentence arrives while the second still costs the engine 300 ms."""
    text = "The first sentence is spoken and sent at once, before the rest of it. " * 3
    async with aclient.audio.speech.with_streaming_response.create(
        model="SLOW", voice="tone", input=text, response_format="pcm"
    ) as speech:
        clock = asyncio.get_running_loop()
        times = [clock.time() async for _ in speech.iter_bytes()]
    assert times[-1] - times[0] > 0.3


def events(body: bytes) -> list[dict[str, object]]:
    return [json.loads(line.removeprefix("data: ")) for line in body.decode().split("\n\n") if line]


def test_server_sent_events_hold_the_same_audio(client: openai.OpenAI) -> None:
    arguments = {"model": "TONE", "voice": "tone", "input": TEXT, "response_format": "pcm"}
    whole = client.audio.speech.create(**arguments).content  # type: ignore[arg-type]  # as above
    raw = client.audio.speech.create(**arguments, stream_format="sse")  # type: ignore[arg-type]  # as above
    assert raw.response.headers["content-type"].startswith("text/event-stream")
    *deltas, done = events(raw.content)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(str(delta["audio"])) for delta in deltas) == whole
    assert done["type"] == "speech.audio.done"
    usage = done["usage"]
    assert isinstance(usage, dict)
    assert usage["input_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_timestamps_are_events(client: openai.OpenAI) -> None:
    raw = client.audio.speech.create(
        model="tts-1",
        voice="alloy",
        input="One sentence. And a second one.",
        stream_format="sse",
        response_format="pcm",
        extra_body={"timestamps": True},
    )
    told = [event for event in events(raw.content) if event["type"] == "speech.audio.timestamps"]
    audio = sum(
        len(base64.b64decode(str(event["audio"])))
        for event in events(raw.content)
        if event["type"] == "speech.audio.delta"
    )
    words = [word for event in told for word in event["words"]]  # type: ignore[attr-defined]  # JSON
    assert [word["word"].strip(".") for word in words] == ["One", "sentence", "And", "a", "second", "one"]
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)
    assert all(word["start"] < word["end"] for word in words)
    assert words[-1]["end"] <= audio / 48_000 + 0.01


def test_wav_lengths_are_honest(client: openai.OpenAI, tmp_path: Path) -> None:
    """An IVR reads a telephone file by the sizes in its header."""
    path = tmp_path / "ivr.wav"
    client.audio.speech.create(
        model="TONE", voice="tone", input=TEXT, extra_body={"response_format": "wav_ulaw"}
    ).write_to_file(path)
    data = path.read_bytes()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_models(client: openai.OpenAI) -> None:
    models = {model.id for model in client.models.list()}
    assert {"ESPEAK", "TONE", "tts-1", "gpt-4o-mini-tts"} <= models
    assert client.models.retrieve("tts-1").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("whisper-1")
    assert caught.value.code == "model_not_found"


def create(client: openai.OpenAI, **changes: object) -> None:
    body: dict[str, object] = {"model": "tts-1", "voice": "alloy", "input": "Hello.", **changes}
    client.audio.speech.create(**body)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("changes", "error", "param"),
    [
        ({"model": "whisper-1"}, openai.NotFoundError, "model"),
        ({"voice": "nobody"}, openai.BadRequestError, "voice"),
        ({"voice": 7}, openai.BadRequestError, "voice"),
        ({"voice": {"name": "alloy"}}, openai.BadRequestError, "voice"),
        ({"response_format": "mp4"}, openai.BadRequestError, "response_format"),
        ({"speed": 5.0}, openai.BadRequestError, "speed"),
        ({"speed": "fast"}, openai.BadRequestError, "speed"),
        ({"input": ""}, openai.BadRequestError, "input"),
        ({"input": 7}, openai.BadRequestError, "input"),
        ({"input": "x" * 4097}, openai.BadRequestError, "input"),
        ({"stream_format": "websocket"}, openai.BadRequestError, "stream_format"),
        ({"extra_body": {"language": "klingon"}}, openai.BadRequestError, "language"),
        ({"extra_body": {"language": "tlh"}}, openai.BadRequestError, "language"),
        ({"extra_body": {"engine": "nothing"}}, openai.BadRequestError, "engine"),
        ({"extra_body": {"sample_rate": 7}}, openai.BadRequestError, "sample_rate"),
        ({"extra_body": {"timestamps": True}}, openai.BadRequestError, "timestamps"),
        ({"extra_body": {"lexicon": {"": "x"}}}, openai.BadRequestError, "lexicon"),
        ({"model": "TONE", "voice": "tone", "input": "This will FAIL."}, openai.BadRequestError, "input"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else None,
)
def test_every_fault_names_its_field(
    client: openai.OpenAI, changes: dict[str, object], error: type[openai.APIStatusError], param: str
) -> None:
    with pytest.raises(error) as caught:
        create(client, **changes)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_a_broken_engine_is_a_503_with_its_reason(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="fail_load") as caught:
        create(client, model="BROKEN", voice="tone")
    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["retry-after"]) >= 1


async def test_a_full_queue_is_a_429(aclient: openai.AsyncOpenAI) -> None:
    results = await asyncio.gather(
        *(aclient.audio.speech.create(model="TONE", voice="tone", input=TEXT) for _ in range(20)),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert refused
    for error in refused:
        assert isinstance(error, openai.RateLimitError)
        assert int(error.response.headers["retry-after"]) >= 1
        assert error.code == "engine_overloaded"
    assert len(refused) < len(results)


def test_the_sdk_waits_and_succeeds(server: Server) -> None:
    """With its own retries on, the SDK gets through a full queue by itself."""

    async def all_of_them() -> list[int]:
        async with openai.AsyncOpenAI(base_url=server.api, api_key="x", max_retries=8, timeout=60) as client:
            speech = await asyncio.gather(
                *(
                    client.audio.speech.create(model="TONE", voice="tone", input="hi", response_format="pcm")
                    for _ in range(10)
                )
            )
        return [len(one.content) for one in speech]

    assert set(asyncio.run(all_of_them())) == {round(2 * 0.02 * 24_000) * 2}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"not json", None),
        (b"[]", None),
        (b"{}", "input"),
        (b'{"input": null}', "input"),
        (b'{"input": "\\ud800"}', "input"),
        (b'{"input": "a\\u0000\\u0007b", "voice": "\\ud800"}', "voice"),
        ('{"input": "😀🎉👨‍👩‍👧"}'.encode(), "input"),
        (b'{"input": " \\n\\t "}', "input"),
        (b'{"input": "\\u0000\\u0001\\u0002"}', "input"),
        (b'{"input": "...!!!"}', "input"),
        (b'{"input": "<speak><audio src=\'x\'/></speak>"}', "input"),
        (b'{"input": "<speak>unclosed"}', "input"),
        (b'{"input": "x", "speed": NaN}', "speed"),
        (b'{"input": "x", "sample_rate": 1e999}', "sample_rate"),
        (b'{"input": "x", "lexicon": ["a"]}', "lexicon"),
        (b'{"input": "' + b"a" * 900_000 + b'"}', "input"),
        (b'{"input": ' + b"[" * 100_000, None),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else None,
)
def test_bad_bodies_are_never_a_500(server: Server, body: bytes, param: str | None) -> None:
    answer = httpx.post(
        f"{server.api}/audio/speech", content=body, headers={"content-type": "application/json"}, timeout=30
    )
    assert answer.status_code == 400, answer.content[:200]
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_too_long_is_a_413(server: Server, chunked: bool) -> None:
    body = b'{"input": "' + b"a" * 2_000_000 + b'"}'
    content = (body[i : i + 65_536] for i in range(0, len(body), 65_536)) if chunked else body
    answer = httpx.post(f"{server.api}/audio/speech", content=content, timeout=30)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


def test_control_characters_between_words_are_left_out(server: Server) -> None:
    body = {"input": "Hello\u0000 \u0007there\ufeff.", "voice": "alloy", "response_format": "pcm"}
    answer = httpx.post(f"{server.api}/audio/speech", json=body, timeout=30)
    assert answer.status_code == 200
    assert len(answer.content) > 24_000


def test_one_endless_word_is_spoken(server: Server) -> None:
    body = {"input": "a" * 4_000, "model": "TONE", "voice": "tone", "response_format": "pcm"}
    answer = httpx.post(f"{server.api}/audio/speech", json=body, timeout=60)
    assert answer.status_code == 200
    assert len(answer.content) / 48_000 == pytest.approx(4_000 * 0.02, rel=0.02)


def test_unknown_paths_and_methods_have_openais_shape(server: Server) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/schema.json", 404),
        ("GET", "/docs.json", 404),
        ("GET", "/", 404),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/audio/speech", 405),
    ):
        answer = httpx.request(method, server.url + path)
        assert answer.status_code == status, path
        assert answer.json()["error"]["message"]


def test_discovery_for_the_communitys_clients(server: Server) -> None:
    voices = httpx.get(f"{server.api}/audio/voices").json()["voices"]
    assert {"alloy", "hi", "en-us"} <= {voice["id"] for voice in voices}
    assert all(voice["name"] for voice in voices)
    models = httpx.get(f"{server.api}/audio/models").json()["models"]
    assert "tts-1" in {model["id"] for model in models}
    hindi = httpx.get(f"{server.api}/audio/voices", params={"model": "ESPEAK", "language": "hi-IN"}).json()
    assert "hi" in {voice["id"] for voice in hindi["voices"]}
    assert "fr-fr" not in {voice["id"] for voice in hindi["voices"]}


def test_health_names_each_part(server: Server) -> None:
    assert httpx.get(f"{server.url}/health/live").json() == {"status": "ok"}
    health = httpx.get(f"{server.url}/health/ready").json()
    assert set(health["parts"]["engines"]) == {"ESPEAK", "TONE", "BROKEN", "SLOW"}
    assert health["parts"]["gateway"]["ready"]
    for path in ("/livez", "/readyz", "/healthz"):
        assert httpx.get(server.url + path).status_code == 200


def test_the_document_and_its_page_need_no_network(server: Server) -> None:
    document = httpx.get(f"{server.url}/openapi.json").json()
    assert "/v1/audio/speech" in document["paths"]
    page = httpx.get(f"{server.url}/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert name in page
        assert httpx.get(f"{server.url}/docs/{name}").status_code == 200
    assert httpx.get(f"{server.url}/docs/secrets.txt").status_code == 404


def test_the_settings_are_shown_masked(server: Server) -> None:
    shown = httpx.get(f"{server.url}/config").json()
    assert shown["settings"]["server"]["host"] == "127.0.0.1"
    assert shown["sources"]["limits.max_input_chars"] == "default"


def test_a_streamed_wav_plays_to_its_end(client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    client.audio.speech.create(model="TONE", voice="tone", input=TEXT, response_format="wav").write_to_file(
        path
    )
    with wave.open(str(path)) as file:
        assert file.getframerate() == 24_000
