"""OPENVOICE_V2 through the whole server: a voice from a recording, spoken by OpenAI's client."""

import io
import wave
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import openai
import pytest

import voices
from live import Server, start

pytestmark = pytest.mark.slow  # half a minute: a server of its own

TEXT = "Hello there, this is a somewhat longer sentence. And another one."


def engine(folder: Path, name: str) -> dict[str, Any]:
    options = {"threads": 1}
    return {
        "name": name,
        "type": "OPENVOICE_V2",
        "device": "cpu",
        "model_path": str(folder),
        "options": options,
    }


@pytest.fixture(scope="module")
def openvoice_server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Generator[Server, None, None]:
    empty = tmp_path_factory.mktemp("empty")
    engines = [engine(folder, "OPENVOICE_V2"), engine(empty, "EMPTY")]
    running = start(tmp_path_factory.mktemp("openvoice_server"), {"engines": engines})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(openvoice_server: Server) -> Generator[httpx.Client, None, None]:
    with httpx.Client(base_url=openvoice_server.url, timeout=60) as client:
        yield client


def spoken(sdk: openai.OpenAI, voice: str) -> npt.NDArray[np.int16]:
    answer = sdk.audio.speech.create(model="OPENVOICE_V2", voice=voice, input=TEXT, response_format="wav")
    with wave.open(io.BytesIO(answer.content)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16)


def test_a_voice_is_made_and_speaks(openvoice_server: Server, client: httpx.Client):
    # What is recorded is the engine's own base voice.
    recording = client.post(
        "/v1/audio/speech",
        json={"model": "OPENVOICE_V2", "input": f"{TEXT} {TEXT}", "voice": "onyx", "response_format": "wav"},
    )
    assert recording.status_code == 200, recording.text
    made = voices.create(client, "Asha", recording.content)
    voices.attest(client, made["id"])
    assert {part["engine"]: part["state"] for part in voices.settled(client, made["id"])["engines"]}[
        "OPENVOICE_V2"
    ] == "ready"
    with openai.OpenAI(base_url=openvoice_server.api, api_key="none", max_retries=0, timeout=60) as sdk:
        cloned, plain = spoken(sdk, made["id"]), spoken(sdk, "onyx")
    assert len(cloned) == pytest.approx(len(plain), rel=0.05)
    assert np.abs(cloned.astype(int)).max() > 100
    again = min(len(cloned), len(plain))
    assert np.abs(cloned[:again].astype(int) - plain[:again]).max() > 1_000, "the base voice, unconverted"


def test_what_is_missing_is_told(client: httpx.Client):
    answer = client.post("/v1/audio/speech", json={"model": "EMPTY", "input": TEXT, "voice": "onyx"})
    assert answer.status_code == 503
    assert "config.json does not exist" in answer.json()["error"]["message"]


def test_the_licences_are_shown(client: httpx.Client):
    models = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
    assert models["OPENVOICE_V2"]["license"] == "MIT AND GPL-3.0-or-later"
