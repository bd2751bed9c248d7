"""OpenAI's own clients make voices, have them allowed, speak in them, and take them back."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from live import Server
from tenants import Tenants
from voices import SENTENCE, attest, heard, pitch, ready, recording, refused, say, settled

RECORDINGS = Path(__file__).parents[4] / "shared" / "audio"
CLIPS = ("LJ001-0001.wav", "LJ001-0004.flac", "LJ001-0007.mp3")
PLAIN = 220.0
"""Hertz of the engine's own voice ``alloy``."""


@pytest.fixture
def sdk(tenants: Tenants) -> Generator[openai.OpenAI, None, None]:
    with openai.OpenAI(base_url=tenants.server.api, api_key=tenants.a.key, max_retries=0, timeout=60) as sdk:
        yield sdk


def speech(sdk: openai.OpenAI, voice: object) -> float:
    answer = sdk.audio.speech.create(
        model="tts-1",
        voice=voice,  # type: ignore[arg-type] - a name, or an object with an id
        input=SENTENCE,
        response_format="pcm",
    )
    return pitch(answer.content)


def test_a_recorded_consent_allows_a_voice(sdk: openai.OpenAI, client: httpx.Client):
    consents, voices = sdk.audio.voice_consents, sdk.audio.voices
    consent = consents.create(
        name="Asha's word", language="en-IN", recording=("c.wav", recording("nova", 1), "audio/wav")
    )
    assert (consent.object, consent.name, consent.language) == (
        "audio.voice_consent",
        "Asha's word",
        "en-IN",
    )
    assert consents.retrieve(consent.id) == consent
    assert consents.update(consent.id, name="Asha").name == "Asha"
    assert consent.id in {one.id for one in consents.list()}

    voice = voices.create(name="SDK", audio_sample=("s.wav", recording("nova")), consent=consent.id)
    assert (voice.object, voice.name, voice.type) == ("audio.voice", "SDK", "audio_sample")
    # Speaking waits for the preparation.
    tone = speech(sdk, {"id": voice.id})
    assert tone == pytest.approx(speech(sdk, "sdk"))
    assert abs(tone - PLAIN) > 5
    shown = client.get(f"/voices/{voice.id}").json()
    assert shown["consent"] == {**shown["consent"], "id": consent.id, "verdict": "not_compared"}

    deleted = voices.delete(voice.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (voice.id, True, "audio.voice.deleted")
    with pytest.raises(openai.BadRequestError) as unknown:
        speech(sdk, {"id": voice.id})
    assert unknown.value.code == "voice_not_found"
    gone = consents.delete(consent.id)
    assert (gone.id, gone.deleted) == (consent.id, True)
    with pytest.raises(openai.NotFoundError):
        consents.retrieve(consent.id)


async def test_the_asynchronous_client(tenants: Tenants, client: httpx.Client):
    async with openai.AsyncOpenAI(
        base_url=tenants.server.api, api_key=tenants.a.key, max_retries=0, timeout=60
    ) as sdk:
        consents, voices = sdk.audio.voice_consents, sdk.audio.voices
        made = [
            await consents.create(name=f"C{n}", language="en", recording=("c.wav", recording("onyx", 1)))
            for n in range(3)
        ]
        pages = await consents.list(limit=1)
        assert {one.id for one in made} <= {one.id async for one in pages}
        voice = await voices.create(
            name="Async", audio_sample=("s.wav", recording("onyx")), consent=made[0].id
        )
        answer = await sdk.audio.speech.create(
            model="tts-1", voice={"id": voice.id}, input=SENTENCE, response_format="pcm"
        )
        assert pitch(answer.content) == pytest.approx(heard(client, "async"))
        assert (await voices.delete(voice.id)).deleted
        for one in made:
            await consents.delete(one.id)


def test_without_a_consent_a_voice_waits_for_one(sdk: openai.OpenAI, client: httpx.Client):
    voice = sdk.audio.voices.create(name="Unasked", audio_sample=("s.wav", recording()), consent="")
    shown = client.get(f"/voices/{voice.id}").json()
    assert (shown["state"], shown["reason"]) == ("pending", "It is waiting for a consent.")
    with pytest.raises(openai.BadRequestError, match="is waiting for a consent") as refusal:
        speech(sdk, {"id": voice.id})
    assert refusal.value.code == "voice_not_ready"
    consent = attest(client, voice.id)
    assert consent["statement"]["text"] == "I agree to be spoken like."
    assert consent["statement"]["address"] == "127.0.0.1"
    assert settled(client, voice.id)["state"] == "ready"
    assert speech(sdk, {"id": voice.id}) > 0
    sdk.audio.voices.delete(voice.id)


def test_openais_names_mean_what_an_organisation_wants(
    sdk: openai.OpenAI, client: httpx.Client, other: httpx.Client
):
    first, second = ready(client, "First", recording("nova")), ready(client, "Second", recording("echo"))
    assert speech(sdk, "alloy") == pytest.approx(PLAIN, abs=1)
    assert client.put(f"/voices/{first['id']}/aliases/Alloy").json()["aliases"] == ["Alloy"]
    assert speech(sdk, "alloy") == pytest.approx(heard(client, first["id"]))
    assert client.put(f"/voices/{second['id']}/aliases/alloy").status_code == 200
    assert speech(sdk, "alloy") == pytest.approx(heard(client, second["id"]))
    assert heard(other, "alloy") == pytest.approx(PLAIN, abs=1)
    listed = {voice["id"]: voice for voice in client.get("/v1/audio/voices").json()["voices"]}
    assert listed[second["id"]]["aliases"] == ["alloy"]
    assert listed[first["id"]]["aliases"] == []
    refused(client.delete(f"/voices/{first['id']}/aliases/alloy"), 404, "alias_not_found")
    assert client.delete(f"/voices/{second['id']}/aliases/ALLOY").status_code == 204
    assert speech(sdk, "alloy") == pytest.approx(PLAIN, abs=1)
    for voice in (first, second):
        client.delete(f"/voices/{voice['id']}")


def test_elevenlabs_clients_make_voices_and_list_them(client: httpx.Client):
    files = [("files", ("a.wav", recording("onyx", 1))), ("files", ("b.wav", recording("onyx", 3)))]
    form = {"name": "Eleven", "labels": '{"accent": "none"}', "description": "Two takes"}
    made = client.post("/v1/voices/add", data=form, files=files)
    assert made.status_code == 200, made.text
    assert made.json()["requires_verification"]
    voice_id = made.json()["voice_id"]
    attest(client, voice_id)
    assert settled(client, voice_id)["samples"] == 2
    listed = {voice["voice_id"]: voice for voice in client.get("/v1/voices").json()["voices"]}
    assert listed[voice_id]["category"] == "cloned"
    assert listed[voice_id]["labels"] == {"accent": "none"}
    assert listed["tone"]["category"] == "premade"
    assert client.delete(f"/voices/{voice_id}").status_code == 204


def test_this_machines_users_need_no_consent(local: Server):
    with openai.OpenAI(base_url=local.api, api_key="local", max_retries=0, timeout=60) as sdk:
        voice = sdk.audio.voices.create(name="Mine", audio_sample=("s.wav", recording()), consent="")
        tone = speech(sdk, "mine")
        assert abs(tone - PLAIN) > 5
        sdk.audio.voices.delete(voice.id)


@pytest.mark.parametrize("name", CLIPS)
def test_real_speech(local: Server, sdk: openai.OpenAI, client: httpx.Client, name: str):
    if not RECORDINGS.is_dir():
        pytest.skip("there are no recordings in ../shared/audio")
    data = (RECORDINGS / name).read_bytes()
    with openai.OpenAI(base_url=local.api, api_key="local", max_retries=0, timeout=60) as here:
        voice = here.audio.voices.create(name=name, audio_sample=(name, data), consent="")
        spoken = here.audio.speech.create(
            model="ESPEAK", voice={"id": voice.id}, input=SENTENCE, response_format="pcm"
        )
        plain = here.audio.speech.create(model="ESPEAK", voice="alloy", input=SENTENCE, response_format="pcm")
        assert len(spoken.content) > 48_000
        assert spoken.content != plain.content
        here.audio.voices.delete(voice.id)
    consent = sdk.audio.voice_consents.create(name=name, language="en", recording=(name, data))
    theirs = sdk.audio.voices.create(name=name, audio_sample=(name, data), consent=consent.id)
    assert say(client, theirs.id).status_code == 200
    report = report_of(client, theirs.id)
    assert report["source"]["container"] == name.rpartition(".")[2]
    sdk.audio.voices.delete(theirs.id)


def report_of(client: httpx.Client, voice_id: str) -> dict[str, Any]:
    (sample,) = client.get(f"/voices/{voice_id}/samples").json()["data"]
    assert not {"speaker", "fingerprint"} & set(sample["quality"])
    return sample["quality"]
