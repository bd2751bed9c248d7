"""Watching a voice being prepared, and hearing it."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from live import Server, eventually, start
from tenants import Tenants
from voices import SENTENCE, TONE, create, heard, pitch, ready, recording, refused, samples, settled


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Server]:
    """A server that takes its time to prepare a voice."""
    engine = {**TONE, "options": {**TONE["options"], "prepare_ms": 2_000}}
    running = start(tmp_path, {"engines": [engine]})
    yield running
    running.stop()


def test_a_voice_is_watched_until_it_is_ready(slow: Server):
    with httpx.Client(base_url=slow.url, timeout=60) as client:
        voice = create(client, "Watched")["id"]
        with client.stream("GET", f"/voices/{voice}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            seen = list(events(answer))
        assert {name for name, _ in seen} == {"voice"}
        states = [shown["state"] for _, shown in seen]
        assert states[-1] == "ready"
        assert set(states[:-1]) <= {"pending", "processing"}
        assert seen[-1][1] == client.get(f"/voices/{voice}").json()
        # Of one that is ready there is one event.
        with client.stream("GET", f"/voices/{voice}/events") as answer:
            assert [shown["state"] for _, shown in events(answer)] == ["ready"]

        bare = client.post("/voices", json={"name": "Bare"}).json()["id"]
        with client.stream("GET", f"/voices/{bare}/events") as answer:
            assert [shown["reason"] for _, shown in events(answer)] == ["It has no samples yet."]

        # A voice whose last recording goes is waiting for others, not being prepared.
        (sample,) = client.get(f"/voices/{voice}/samples").json()["data"]
        client.delete(f"/voices/{voice}/samples/{sample['id']}")
        with client.stream("GET", f"/voices/{voice}/events") as answer:
            assert [shown["state"] for _, shown in events(answer)] == ["pending"]

        client.post(f"/voices/{voice}/samples", files=samples(recording("echo")))
        with client.stream("GET", f"/voices/{voice}/events") as answer:
            watched = events(answer)
            next(watched)
            assert client.delete(f"/voices/{voice}").status_code == 204
            name, told = list(watched)[-1]
        assert (name, told["error"]["code"]) == ("error", "voice_not_found")

        # Who hangs up leaves nothing that goes on looking.
        voice = create(client, "Left")["id"]
        with client.stream("GET", f"/voices/{voice}/events") as answer:
            next(events(answer))
        line = re.compile(rf"GET /voices/{voice}/events 200 .* total=(\d+)")
        eventually(lambda: line.search(slow.log.read_text()) is not None)
        assert client.get(f"/voices/{voice}").json()["state"] in {"pending", "processing"}
        assert "Traceback" not in slow.log.read_text()


def test_a_preview_is_speech(tenants: Tenants, client: httpx.Client):
    voice = ready(client, "Heard", recording("echo"), language="hi")
    path = f"/voices/{voice['id']}/preview"
    spoken = client.get(path)
    assert (spoken.status_code, spoken.headers["content-type"]) == (200, "audio/mpeg")
    text = "Hello there."
    spoken = client.get(path, params={"text": text, "response_format": "pcm"})
    assert spoken.status_code == 200
    assert pitch(spoken.content) == pytest.approx(heard(client, voice["id"]), abs=2)
    records = csv.DictReader(client.get("/usage", params={"format": "csv"}).text.splitlines())
    of_voice = [record for record in records if record["voice"] == voice["id"]]
    assert len(of_voice) == 3
    assert {record["characters"] for record in of_voice} >= {str(len(text)), str(len(SENTENCE))}
    assert all(record["outcome"] == "ok" for record in of_voice)

    refused(client.get(path, params={"response_format": "nonsense"}), 400, "unsupported_format")
    refused(client.get(path, params={"engine": "NONE"}), 400, "engine_not_found", "engine")
    assert client.get(path, params={"text": ""}).status_code == 400
    assert client.get(path, params={"text": " "}).status_code == 400
    assert client.get(path, params={"text": "x" * 501}).status_code == 400
    with tenants.client() as nobody:
        assert nobody.get(path).status_code == 401
    with tenants.client(tenants.b) as other:
        refused(other.get(path), 404, "voice_not_found")
    client.delete(f"/voices/{voice['id']}")
    refused(client.get(path), 404, "voice_not_found")


def test_a_script_to_read(client: httpx.Client):
    for language in ("en", "hi", "hi-IN", "fr"):
        script = client.get("/voices/script", params={"language": language}).json()
        assert len(script["sentences"]) > 1
    assert client.get("/voices/script", params={"language": "?"}).status_code == 400


def test_voices_are_listed_in_pages_and_searched(client: httpx.Client):
    made = [
        client.post("/voices", json={"name": f"List {n}", "language": "hi", "labels": {"n": str(n)}}).json()
        for n in range(3)
    ]
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = client.get("/voices", params={"search": "list", "limit": 2, **after}).json()
        found += [voice["id"] for voice in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["data"][-1]["id"]}
    assert found == [voice["id"] for voice in made]
    assert client.get("/voices", params={"language": "fr", "search": "list"}).json()["data"] == []
    assert len(client.get("/voices", params={"language": "hi-IN", "state": "pending"}).json()["data"]) == 3
    assert client.get("/voices", params={"state": "nonsense"}).status_code == 400
    changed = client.patch(f"/voices/{found[0]}", json={"name": "Other", "labels": {}, "description": "a\nb"})
    assert (changed.json()["name"], changed.json()["labels"]) == ("Other", {})
    assert client.get("/voices", params={"search": "A\nB"}).status_code == 400
    for voice in found:
        assert client.delete(f"/voices/{voice}").status_code == 204


def test_deleting_an_unfinished_voice_leaves_nothing(client: httpx.Client):
    voice = create(client, "Unfinished")["id"]
    assert client.delete(f"/voices/{voice}").status_code == 204
    refused(client.get(f"/voices/{voice}"), 404, "voice_not_found")
    assert settled(client, ready(client, "Unfinished")["id"])["state"] == "ready"
    client.delete(f"/voices/{client.get('/voices', params={'search': 'unfin'}).json()['data'][0]['id']}")
