"""Every way in which a request about voices is wrong, what is said of it, and that it leaves nothing."""

import json
import socket
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import media
from live import eventually
from tenants import Tenants
from voices import (
    create,
    objects,
    ready,
    recording,
    refused,
    rows,
    samples,
    say,
    settled,
)


@pytest.fixture(autouse=True)
def _as_before(tenants: Tenants) -> Generator[None, None, None]:
    """Whatever goes wrong leaves no row, no object and no file."""

    def kept() -> tuple[dict[str, int], list[str]]:
        own = [key for key in objects(tenants.folder) if tenants.a.id in key]
        return rows(tenants.folder, tenants.a.id), own

    eventually(lambda: "doomed_objects" not in kept()[0])
    before = kept()
    yield
    with tenants.client(tenants.a) as client:
        for voice in client.get("/voices").json()["data"]:
            if voice["name"].startswith("Passing"):
                assert client.delete(f"/voices/{voice['id']}").status_code == 204
    eventually(lambda: kept() == before)


@pytest.fixture(scope="module")
def kept(client: httpx.Client) -> Generator[dict[str, Any], None, None]:
    """A voice that all errors are tried on."""
    voice = ready(client, "Katharina", recording("onyx", 1))
    yield voice
    client.delete(f"/voices/{voice['id']}")


@pytest.mark.usefixtures("kept")
def test_an_unknown_voice_and_the_nearest_names(client: httpx.Client):
    message = refused(say(client, "katherina"), 400, "voice_not_found", "voice")
    assert "Your own voices: Katharina" in message
    for wanted in ("voice_0123456789abcdef01234567", {"id": "voice_x"}, "\N{ZERO WIDTH SPACE}", "x" * 200):
        refused(say(client, wanted), 400, "voice_not_found", "voice")


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("name", ["KATHARINA", " katharina "])
def test_a_name_is_there_once(client: httpx.Client, name: str):
    for answer in (
        client.post("/voices", json={"name": name}),
        client.post("/voices", data={"name": name}, files=samples(recording())),
        client.post(
            "/v1/audio/voices", data={"name": name}, files=samples(recording(), field="audio_sample")
        ),
        client.post("/v1/voices/add", data={"name": name}, files=samples(recording(), field="files")),
    ):
        refused(answer, 409, "conflict", "name")
    passing = client.post("/voices", json={"name": "Passing"}).json()["id"]
    refused(client.patch(f"/voices/{passing}", json={"name": name}), 409, "conflict", "name")
    refused(client.put(f"/voices/{passing}/aliases/{name}"), 409, "conflict", "alias")
    refused(client.patch(f"/voices/{passing}", json={"aliases": [name]}), 409, "conflict", "alias")


def test_a_recording_is_there_once(client: httpx.Client, kept: dict[str, Any]):
    path = f"/voices/{kept['id']}/samples"
    answer = client.post(path, files=samples(recording("onyx", 1)))
    refused(answer, 409, "duplicate_sample", "samples")
    assert answer.headers["x-should-retry"] == "false"
    refused(client.post(path, files=samples(recording("echo"), recording("echo"))), 409, "duplicate_sample")
    twice = {"name": "Passing"}
    answer = client.post("/voices", data=twice, files=samples(recording(), recording()))
    refused(answer, 409, "duplicate_sample")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/audio/voices", "audio_sample"),
        ("/v1/audio/voice_consents", "recording"),
        ("/v1/voices/add", "files"),
        ("/voices/import", "bundle"),
    ],
)
def test_what_is_no_form_or_has_no_file(client: httpx.Client, path: str, field: str):
    form = {"name": "Passing", "language": "en"}
    refused(client.post(path, json=form), 400, "invalid_content_type")
    refused(client.post(path, content=b"name=x"), 400, "invalid_content_type")
    refused(client.post(path, data=form), 400, "missing", field)
    refused(client.post(path, data={**form, field: "text"}), 400, "not_a_file", field)
    files = [(field, (f"{n}.wav", recording())) for n in range(5)]
    assert client.post(path, data=form, files=files).status_code == 400


def test_a_voice_needs_a_name_and_samples_a_file(client: httpx.Client, kept: dict[str, Any]):
    for answer in (
        client.post("/voices", json={}),
        client.post("/voices", files=samples(recording())),
        client.post("/v1/audio/voices", files=samples(recording(), field="audio_sample")),
    ):
        refused(answer, 400, "missing", "name")
    refused(client.post(f"/voices/{kept['id']}/samples", data={"x": "y"}), 400, "missing", "samples")
    refused(client.post("/voices", content=b"{", headers=JSON), 400, "invalid_json")
    refused(client.post("/voices", json=[]), 400, "model_type")
    refused(client.post("/voices", json={"name": "x", "owner": "y"}), 400, "extra_forbidden", "owner")
    refused(client.post("/voices", json={"name": "x", "language": "??"}), 400, "string_pattern_mismatch")
    for text in ("a\x00b", "a\nb", "  ", "x" * 201):
        assert client.post("/voices", json={"name": text}).status_code == 400
    half = client.post("/voices", content=rb'{"name": "\ud800", "\ud801": 1}', headers=JSON)
    assert half.status_code == 400


JSON = {"content-type": "application/json"}


def test_more_samples_than_a_voice_may_have(client: httpx.Client, kept: dict[str, Any]):
    one = recording("echo", 1)
    many = [one + bytes([n]) * 2 for n in range(4)]
    refused(client.post(f"/voices/{kept['id']}/samples", files=samples(*many)), 400, "too_many_samples")
    answer = client.post("/voices", data={"name": "Passing"}, files=samples(*many, one))
    assert answer.status_code == 400
    assert "files" in answer.text


def test_transcripts_are_for_recordings(client: httpx.Client, kept: dict[str, Any]):
    form = {"transcript": ["one", "two"]}
    answer = client.post(f"/voices/{kept['id']}/samples", data=form, files=samples(recording("echo")))
    refused(answer, 400, "transcripts_do_not_match", "transcript")
    long = {"transcript": "x" * 5_001}
    answer = client.post(f"/voices/{kept['id']}/samples", data=long, files=samples(recording("echo")))
    refused(answer, 400, "string_too_long", "transcripts")


@pytest.mark.parametrize(
    "labels", ["{", "[]", '{"a": 1}', '{"": "x"}', '"text"', '{"a": "\\u0000"}', "1" * 5_000]
)
def test_labels_are_an_object_of_texts(client: httpx.Client, labels: str):
    form = {"name": "Passing", "labels": labels}
    answer = client.post("/voices", data=form, files=samples(recording()))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "labels"


def test_an_unknown_consent(client: httpx.Client, other: httpx.Client, kept: dict[str, Any]):
    theirs = other.post(
        "/v1/audio/voice_consents",
        data={"name": "x", "language": "en"},
        files=samples(recording("echo", 1), field="recording"),
    ).json()["id"]
    for consent in ("cons_unknown", theirs):
        form = {"name": "Passing", "consent": consent}
        refused(client.post("/voices", data=form, files=samples(recording())), 404, "consent_not_found")
        changed = client.patch(f"/voices/{kept['id']}", json={"consent": consent})
        refused(changed, 404, "consent_not_found")
        refused(client.delete(f"/consents/{consent}"), 404, "consent_not_found")
    assert other.delete(f"/consents/{theirs}").status_code == 200


def test_voices_are_not_made_from_words(client: httpx.Client):
    answer = client.post(
        "/v1/audio/voices", data={"name": "Passing", "type": "prompt", "prompt": "x"}, files={}
    )
    assert answer.status_code == 400
    form = {"name": "Passing", "type": "prompt"}
    answer = client.post("/v1/audio/voices", data=form, files=samples(b"x", field="other"))
    refused(answer, 400, "unsupported_voice_type", "type")


def test_ids_of_nothing(client: httpx.Client, kept: dict[str, Any]):
    for method, path in (
        ("GET", "/voices/voice_x"),
        ("PATCH", "/voices/voice_x"),
        ("DELETE", "/voices/voice_x"),
        ("POST", "/voices/voice_x/prepare"),
        ("GET", "/voices/voice_x/events"),
        ("GET", "/voices/voice_x/preview"),
        ("GET", "/voices/voice_x/samples"),
        ("GET", "/voices/voice_x/export"),
        ("POST", "/voices/voice_x/samples"),
        ("PUT", "/voices/voice_x/aliases/nova"),
        ("DELETE", "/v1/audio/voices/voice_x"),
    ):
        refused(client.request(method, path, json={}), 404, "voice_not_found")
    path = f"/voices/{kept['id']}/samples/sample_x"
    for answer in (client.get(path), client.get(f"{path}/audio"), client.delete(path)):
        refused(answer, 404, "sample_not_found")


def test_more_than_an_organisation_may_have(tenants: Tenants, client: httpx.Client, kept: dict[str, Any]):
    def plan(name: str) -> None:
        with tenants.client(tenants.operator) as operator:
            assert operator.patch(f"/admin/orgs/{tenants.a.id}", json={"plan": name}).status_code == 200

    passing = create(client, "Passing", recording("echo", 1))["id"]
    settled(client, passing)
    try:
        plan("two")
        third = {"name": "Passing too"}
        for answer in (
            client.post("/voices", json=third),
            client.post("/voices", data=third, files=samples(recording())),
            client.post("/voices/import", data=third, files=bundle(client, kept["id"])),
        ):
            refused(answer, 429, "insufficient_quota")
        plan("full")
        for answer in (
            client.post("/voices", data=third, files=samples(recording())),
            client.post(f"/voices/{passing}/samples", files=samples(recording())),
            client.post("/voices/import", data=third, files=bundle(client, kept["id"])),
            client.post(
                "/v1/audio/voice_consents",
                data={"name": "x", "language": "en"},
                files=samples(recording(), field="recording"),
            ),
        ):
            assert "bytes" in refused(answer, 429, "insufficient_quota")
    finally:
        plan("default")


def bundle(client: httpx.Client, voice_id: str) -> list[tuple[str, tuple[str, bytes]]]:
    answer = client.get(f"/voices/{voice_id}/export")
    assert answer.status_code == 200
    return samples(answer.content, field="bundle")


def test_bodies_that_are_too_long(client: httpx.Client, kept: dict[str, Any]):
    huge = bytes(9 * 1024 * 1024)
    for path, field in (
        (f"/voices/{kept['id']}/samples", "samples"),
        ("/voices", "samples"),
        ("/v1/audio/voices", "audio_sample"),
        ("/v1/audio/voice_consents", "recording"),
        ("/voices/import", "bundle"),
    ):
        form = {"name": "Passing", "language": "en"}
        refused(client.post(path, data=form, files=samples(huge, field=field)), 413, "body_too_large")

    def unsaid() -> Generator[bytes, None, None]:
        yield b"--x\r\ncontent-disposition: form-data; name=samples; filename=a\r\n\r\n"
        for _ in range(9):
            yield bytes(1024 * 1024)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    refused(client.post("/voices", content=unsaid(), headers=headers), 413, "body_too_large")
    # What is no form may be no longer than anywhere else.
    long = json.dumps({"name": "Passing", "description": "x" * 2_000_000})
    refused(client.post("/voices", content=long, headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize(
    "charset", ["undefined", "idna", "utf-7", "unicode_escape", "rot13", "hex", "no-such", "punycode"]
)
def test_forms_in_any_charset(client: httpx.Client, charset: str):
    head = f"multipart/form-data; boundary=x; charset={charset}"
    body = (
        b'--x\r\ncontent-disposition: form-data; name="name"\r\n\r\nPassing \xff+2AA-\\ud800.-\r\n--x--\r\n'
    )
    answer = client.post("/v1/audio/voices", content=body, headers={"content-type": head})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\n\r\n", b"--y\r\n", b"x" * 1_000, b"--x\r\n" * 1_000])
def test_forms_that_are_none(client: httpx.Client, body: bytes):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/voices", content=body, headers=headers).status_code == 400
    assert (
        client.post("/voices", content=body, headers={"content-type": "multipart/form-data"}).status_code
        == 400
    )


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\con\\nul.wav", "\N{SNOWMAN}.wav", "x" * 300, '"; rm -rf']
)
def test_file_names_never_become_paths(tenants: Tenants, client: httpx.Client, name: str):
    files = [("samples", (name, recording("echo", 1)))]
    voice = client.post("/voices", data={"name": "Passing"}, files=files)
    assert voice.status_code == 201
    (sample,) = client.get(f"/voices/{voice.json()['id']}/samples").json()["data"]
    assert "/" not in sample["filename"]
    assert len(sample["filename"]) <= 200
    found = [key for key in objects(tenants.folder) if sample["id"] in key]
    assert sorted(key.rpartition("/")[2] for key in found) == ["audio.wav", "original"]
    path = f"/voices/{voice.json()['id']}/samples/{sample['id']}/audio"
    assert client.get(path, params={"original": True}).content == recording("echo", 1)
    assert client.get(path).content.startswith(b"RIFF")


def test_a_broken_sample_spoils_all_that_come_with_it_and_nothing_else(
    client: httpx.Client, kept: dict[str, Any]
):
    path = f"/voices/{kept['id']}/samples"
    files = samples(recording("echo", 1), b"This is text.")
    message = refused(client.post(path, files=files), 400, "not_audio", "samples")
    assert "take 1.wav" in message
    refused(client.post("/voices", data={"name": "Passing"}, files=files), 400, "not_audio")
    silence = media.wav(bytes(96_000))
    refused(client.post(path, files=samples(silence)), 400, "no_speech")
    shown = client.get(f"/voices/{kept['id']}").json()
    assert {**shown, "updated_at": 0} == {**kept, "updated_at": 0}
    # Its name was not taken.
    assert create(client, "Passing", recording("echo", 1))["name"] == "Passing"


def test_a_client_that_hangs_up_while_it_uploads(tenants: Tenants, kept: dict[str, Any]):
    address = urlsplit(tenants.server.url)
    head = (
        f"POST /voices/{kept['id']}/samples HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {tenants.a.key}\r\n"
        "content-type: multipart/form-data; boundary=x\r\ncontent-length: 3000000\r\n\r\n"
        "--x\r\ncontent-disposition: form-data; name=samples; filename=a.wav\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(head.encode() + bytes(2_000_000))
    line = f"POST /voices/{kept['id']}/samples 400"
    eventually(lambda: line in tenants.server.log.read_text())
    assert "Traceback" not in tenants.server.log.read_text()
