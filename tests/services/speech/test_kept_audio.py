"""Audio that is kept: fetched again, in ranges, by signed URLs, from a folder and from S3."""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from live import ENGINES, eventually
from s3_server import S3Server
from tenants import Tenants, error, settings, start_tenants

WORDS = {"model": "TONE", "voice": "tone", "input": "Hello there.", "response_format": "wav", "store": True}


@pytest.fixture(scope="module", params=["folder", "s3"])
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Tenants, None, None]:
    folder: Path = tmp_path_factory.mktemp("kept")
    given: dict[str, Any] = settings(
        engines=ENGINES, quota={"plans": {"default": {}, "small": {"stored_bytes": 60_000}}}
    )
    s3 = S3Server()
    if request.param == "s3":
        s3.start()
        given["storage"] = {
            "object_store": {
                "type": "s3",
                "bucket": s3.config.bucket,
                "endpoint_url": s3.url,
                "access_key": "test",
                "secret_key": "test-secret",
            }
        }
    tenants = start_tenants(folder, given)
    yield tenants
    tenants.server.stop()
    s3.stop()


def speak(kept: Tenants, **fields: object) -> httpx.Response:
    with kept.client(kept.a) as client:
        answer = client.post("/v1/audio/speech", json={**WORDS, **fields})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("audio", ["mp3", "wav", "opus", "wav_ulaw"])
def test_what_was_spoken_is_fetched_again(kept: Tenants, audio: str):
    spoken = speak(kept, response_format=audio)
    audio_id = spoken.headers["x-audio-id"]
    assert spoken.headers["content-location"] == f"/audio/{audio_id}"
    with kept.client(kept.a) as client:
        again = client.get(f"/audio/{audio_id}")
        assert again.content == spoken.content
        assert again.headers["content-type"] == spoken.headers["content-type"]
        assert again.headers["content-length"] == str(len(spoken.content))
        assert again.headers["accept-ranges"] == "bytes"
        assert audio_id in again.headers["content-disposition"]
        head = client.head(f"/audio/{audio_id}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(spoken.content))
        listed = {entry["id"]: entry for entry in client.get("/audio").json()["data"]}
        assert listed[audio_id]["size"] == len(spoken.content)
        assert listed[audio_id]["duration"] == pytest.approx(0.24, abs=0.05)


def test_without_being_asked_nothing_is_kept(kept: Tenants):
    with kept.client(kept.b) as client:
        spoken = client.post("/v1/audio/speech", json={**WORDS, "store": False})
        assert "x-audio-id" not in spoken.headers
        assert client.get("/audio").json()["data"] == []


def test_events_are_kept_as_their_audio(kept: Tenants):
    spoken = speak(kept, stream_format="sse", response_format="pcm")
    with kept.client(kept.a) as client:
        again = client.get(f"/audio/{spoken.headers['x-audio-id']}")
    assert again.headers["content-type"].startswith("audio/")
    assert len(again.content) > 1_000


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, None),
        ("bytes=-50", -50, None),
        ("bytes=10-999999999", 10, None),
    ],
)
def test_ranges(kept: Tenants, asked: str, first: int, last: int | None):
    spoken = speak(kept)
    with kept.client(kept.a) as client:
        answer = client.get(f"/audio/{spoken.headers['x-audio-id']}", headers={"range": asked})
    expected = spoken.content[first : None if last is None else last + 1]
    size, start = len(spoken.content), first % len(spoken.content)
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=-", "chars=0-5", "bytes=0-1,4-5", "nonsense"])
def test_what_is_no_range_is_answered_whole(kept: Tenants, asked: str):
    spoken = speak(kept)
    with kept.client(kept.a) as client:
        answer = client.get(f"/audio/{spoken.headers['x-audio-id']}", headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, spoken.content)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_end(kept: Tenants, asked: str):
    spoken = speak(kept)
    with kept.client(kept.a) as client:
        answer = client.get(f"/audio/{spoken.headers['x-audio-id']}", headers={"range": asked})
    assert (answer.status_code, error(answer)["code"]) == (416, "invalid_range")
    assert answer.headers["content-range"] == f"bytes */{len(spoken.content)}"


def test_etags(kept: Tenants):
    spoken = speak(kept)
    with kept.client(kept.a) as client:
        path = f"/audio/{spoken.headers['x-audio-id']}"
        etag = client.get(path).headers["etag"]
        fresh = client.get(path, headers={"if-none-match": f'"x", {etag}'})
        assert (fresh.status_code, fresh.content) == (304, b"")
        assert client.get(path, headers={"if-none-match": '"x"'}).status_code == 200
        same = {"range": "bytes=0-9", "if-range": etag}
        assert client.get(path, headers=same).status_code == 206
        assert client.get(path, headers={**same, "if-range": '"x"'}).status_code == 200


def test_a_signed_url_needs_no_key(kept: Tenants):
    spoken = speak(kept)
    path = f"/audio/{spoken.headers['x-audio-id']}"
    with kept.client(kept.a) as client:
        signed = client.post(f"{path}/url", json={"expires_in": 60}).json()
        assert client.post(f"{path}/url", json={"expires_in": 0}).status_code == 400
    assert signed["expires_at"] - time.time() == pytest.approx(60, abs=20)
    assert httpx.get(signed["url"], timeout=60).content == spoken.content
    ranged = httpx.get(signed["url"], headers={"range": "bytes=0-9"}, timeout=60)
    assert (ranged.status_code, ranged.content) == (206, spoken.content[:10])


def test_a_signature_is_for_one_audio_of_one_tenant_and_one_time(kept: Tenants):
    spoken, other = speak(kept), speak(kept)
    path = f"/audio/{spoken.headers['x-audio-id']}"
    with kept.client(kept.a) as client:
        signed = urlsplit(client.post(f"{path}/url", json={}).json()["url"])
    query = {name: values[0] for name, values in parse_qs(signed.query).items()}
    with kept.client() as client:
        assert client.get(f"{path}?{signed.query}").status_code == 200
        for change in (
            {"expires": str(int(query["expires"]) + 1)},
            {"org": kept.b.id},
            {"by": kept.b.key_id},
            {"by": kept.b.id},
            {"signature": query["signature"][:-1]},
        ):
            answer = client.get(f"{path}?{urlencode({**query, **change})}")
            assert (answer.status_code, error(answer)["code"]) == (403, "invalid_signature")
        elsewhere = client.get(f"/audio/{other.headers['x-audio-id']}?{signed.query}")
        assert elsewhere.status_code == 403
        assert client.get(f"{path}?signature=x").status_code == 403


def test_what_is_deleted_is_gone(kept: Tenants):
    spoken = speak(kept)
    path = f"/audio/{spoken.headers['x-audio-id']}"
    with kept.client(kept.a) as client:
        signed = client.post(f"{path}/url", json={}).json()["url"]
        assert client.delete(path).status_code == 204
        for answer in (client.get(path), client.delete(path), client.post(f"{path}/url", json={})):
            assert (answer.status_code, error(answer)["code"]) == (404, "audio_not_found")
    assert httpx.get(signed, timeout=60).status_code in {403, 404}


def test_a_tenant_keeps_no_more_than_it_may(kept: Tenants):
    with kept.client(kept.operator) as client:
        changed = client.patch(f"/admin/orgs/{kept.b.id}", json={"plan": "small"})
        assert changed.status_code == 200
    with kept.client(kept.b) as client:
        body = {**WORDS, "input": "a" * 50}  # a second: 48 kB
        assert client.post("/v1/audio/speech", json=body).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/audio/speech", json=body)
        (only,) = client.get("/audio").json()["data"]
        assert client.delete(f"/audio/{only['id']}").status_code == 204
        assert client.post("/v1/audio/speech", json=body).status_code == 200


def test_audio_whose_caller_left_is_not_kept(kept: Tenants):
    body = {**WORDS, "model": "SLOW", "input": "This is a sentence. " * 30}
    with kept.client(kept.operator) as client:
        with client.stream("POST", "/v1/audio/speech", json=body) as answer:
            audio_id = answer.headers["x-audio-id"]
            next(answer.iter_raw())

        def hung_up() -> bool:
            records = client.get("/usage", params={"format": "csv"}).text
            return "hangup" in records

        eventually(hung_up)
        assert client.get(f"/audio/{audio_id}").status_code == 404
        assert client.get("/audio").json()["data"] == []


def test_an_organisation_that_goes_takes_its_audio_along(kept: Tenants):
    with kept.client(kept.operator) as client:
        org = client.post("/admin/orgs", json={"name": "Gone Soon"}).json()
        made = client.post("/admin/keys", params={"org_id": org["id"]}, json={"name": "k"}).json()
        headers = {"authorization": f"Bearer {made['key']}"}
        spoken = client.post("/v1/audio/speech", json=WORDS, headers=headers)
        path = f"/audio/{spoken.headers['x-audio-id']}"
        url = client.post(f"{path}/url", json={}, headers=headers).json()["url"]
        assert httpx.get(url, timeout=60).status_code == 200
        assert client.delete(f"/admin/orgs/{org['id']}").status_code == 204
        assert client.delete(f"/admin/orgs/{org['id']}").status_code == 404
        assert client.get(path, headers=headers).status_code == 401
        assert httpx.get(url, timeout=60).status_code in {403, 404}
        told = client.get("/admin/audit", params={"org_id": org["id"]}).json()["data"]
        assert [event["action"] for event in told[:2]] == ["org.deleted", "org.changed"]
    assert not list((kept.folder / "objects").glob(f"org/{org['id']}/**/*.wav"))


def test_a_folder_holds_what_was_kept_and_nothing_else(kept: Tenants):
    folder = kept.folder / "objects"
    if not folder.exists():
        pytest.skip("the objects are in S3")
    with kept.client(kept.a) as client:
        ids = {entry["id"] for entry in client.get("/audio").json()["data"]}
    found = {path.stem for path in folder.rglob("*") if path.is_file() and kept.a.id in path.parts}
    assert found == ids
