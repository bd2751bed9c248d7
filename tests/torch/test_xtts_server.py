"""XTTS_HI through the whole server: a voice from a recording, spoken by OpenAI's client."""

import io
import json
import wave
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from live import Server, eventually, start

TEXT = "Hello there, this is a somewhat longer sentence to say aloud."
HINDI = "नमस्ते, मेरे पास 25 सेब और ₹1,25,000 हैं।"


def engine(folder: Path, **changes: Any) -> dict[str, Any]:
    options = {"min_tokens": 30, "max_tokens": 40, "self_check": False, "slots": 4}
    return {
        "name": "XTTS_HI",
        "type": "XTTS_HI",
        "device": "cpu",
        "model_path": str(folder),
        "accept_license": "CPML",
        "options": options,
        **changes,
    }


@pytest.fixture(scope="module")
def xtts_server(tmp_path_factory: pytest.TempPathFactory, tiny_xtts: Path) -> Generator[Server, None, None]:
    damaged = tmp_path_factory.mktemp("damaged")
    for file in tiny_xtts.iterdir():
        (damaged / file.name).symlink_to(file)
    (damaged / "model.pth").unlink()
    (damaged / "model.pth").write_bytes((tiny_xtts / "model.pth").read_bytes()[:50_000])
    engines = [
        {"name": "ESPEAK", "type": "ESPEAK"},
        engine(tiny_xtts),
        engine(tiny_xtts, name="UNACCEPTED", accept_license=None),
        engine(damaged, name="DAMAGED"),
    ]
    running = start(tmp_path_factory.mktemp("xtts_server"), {"engines": engines})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(xtts_server: Server) -> Generator[httpx.Client, None, None]:
    with httpx.Client(base_url=xtts_server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def sdk(xtts_server: Server) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=xtts_server.api, api_key="none", max_retries=0, timeout=60) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def voice(client: httpx.Client) -> str:
    """A voice made from what the embedded engine says."""
    recording = client.post(
        "/v1/audio/speech",
        json={"model": "ESPEAK", "input": f"{TEXT} {TEXT}", "response_format": "wav"},
    ).content
    made = client.post("/voices", data={"name": "Asha"}, files={"samples": recording})
    assert made.status_code == 201, made.text
    name = str(made.json()["id"])

    def prepared() -> bool:
        engines = client.get(f"/voices/{name}").json()["engines"]
        return {one["engine"]: one["state"] for one in engines}.get("XTTS_HI") == "ready"

    eventually(prepared, 90)
    return name


def test_the_licence_is_shown_and_accepted_by_name(client: httpx.Client, voice: str) -> None:
    models = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
    assert models["XTTS_HI"]["license"] == "CPML"
    assert models["XTTS_HI"]["license_accepted"] is True
    assert models["UNACCEPTED"]["license_accepted"] is False
    states = client.get(f"/voices/{voice}").json()["engines"]
    assert "UNACCEPTED" not in {one["engine"] for one in states if one["state"] == "ready"}


@pytest.mark.parametrize("text", [TEXT, HINDI])
def test_openais_client_speaks_in_a_cloned_voice(sdk: openai.OpenAI, voice: str, text: str) -> None:
    answer = sdk.audio.speech.create(model="XTTS_HI", voice=voice, input=text, response_format="wav")
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert sound.getframerate() == 24_000
        pcm = np.frombuffer(sound.readframes(10_000_000), np.int16)
    assert len(pcm) > 24_000
    assert pcm.any()


def test_a_seed_gives_the_same_in_any_company(client: httpx.Client, voice: str) -> None:
    def say(number: int) -> bytes:
        body = {"model": "XTTS_HI", "input": TEXT, "voice": voice, "response_format": "pcm", "seed": number}
        answer = client.post("/v1/audio/speech", json=body)
        assert answer.status_code == 200, answer.text
        return answer.content

    alone = np.frombuffer(say(3), np.int16).astype(int)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(say, [1, 2, 3, 4, 5, 6, 7, 3]))
    for same in (together[2], together[7]):
        found = np.frombuffer(same, np.int16)
        assert len(found) == len(alone)
        # The vocoder's numbers are rounded to bfloat16 where the CPU has it.
        assert np.abs(found - alone).max() < 300
    assert together[0] != together[1]


def test_events_tell_how_it_ended(client: httpx.Client, voice: str) -> None:
    body = {
        "model": "XTTS_HI",
        "input": TEXT,
        "voice": voice,
        "stream_format": "sse",
        "response_format": "pcm",
    }
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        events = [
            json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:") and "{" in line
        ]
    assert len([event for event in events if event["type"] == "speech.audio.delta"]) > 1
    usage = events[-1]["usage"]
    # Random weights end somewhere between the two bounds, or are ended there.
    assert usage["finish_reason"] in {"stop", "length"}
    assert ("length" in usage["findings"]) == (usage["finish_reason"] == "length")
    assert usage["retries"] in {0, 1}


def test_a_damaged_checkpoint_names_its_file(client: httpx.Client, voice: str) -> None:
    answer = client.post("/v1/audio/speech", json={"model": "DAMAGED", "input": TEXT, "voice": voice})
    assert answer.status_code >= 400, answer.text
    parts = client.get("/health/ready").json()["parts"]["engines"]
    shown = json.dumps(parts["DAMAGED"]) + answer.text
    assert "model.pth" in shown


def test_an_unknown_voice_is_the_callers_error(client: httpx.Client) -> None:
    answer = client.post("/v1/audio/speech", json={"model": "XTTS_HI", "input": TEXT, "voice": "alloy"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "voice"
