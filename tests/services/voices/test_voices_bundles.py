"""A voice goes from SQLite and a folder to PostgreSQL and S3; what was tampered with goes nowhere."""

import asyncio
import hashlib
import io
import json
import random
import zipfile
from collections.abc import AsyncGenerator, Callable, Generator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from databases import database_address
from live import eventually, start
from s3_server import S3Server
from tenants import Tenants
from voices import TONE, attest, create, heard, objects, ready, recording, refused, rows, samples, settled

Change = Callable[[dict[str, bytes], dict[str, Any]], None]


@pytest.fixture(scope="module")
def exported(client: httpx.Client) -> Generator[tuple[dict[str, Any], bytes], None, None]:
    """A voice with everything, and its bundle."""
    consent = client.post(
        "/v1/audio/voice_consents",
        data={"name": "Asha's word", "language": "hi"},
        files=samples(recording("nova", 1), field="recording"),
    ).json()["id"]
    form = {
        "language": "hi-IN",
        "description": "Two\nlines",
        "labels": '{"mood": "calm"}',
        "aliases": "Wanderer",
        "transcript": ["one", "two"],
        "consent": consent,
    }
    voice = create(client, "Traveller", recording("nova"), recording("nova", 1), **form)
    shown = settled(client, voice["id"])
    assert shown["state"] == "ready"
    answer = client.get(f"/voices/{voice['id']}/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.awaaztwin.voice+zip"
    assert len(answer.content) == int(answer.headers["content-length"])
    yield shown, answer.content
    client.delete(f"/voices/{voice['id']}")


def import_(client: httpx.Client, data: bytes, **fields: str) -> httpx.Response:
    return client.post("/voices/import", data=fields, files=samples(data, field="bundle"))


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncGenerator[tuple[httpx.Client, S3Server], None]:
    """A server on PostgreSQL and S3, with another engine beside."""
    s3 = S3Server()
    await asyncio.to_thread(s3.start)
    store = {"type": "s3", "bucket": s3.config.bucket, "endpoint_url": s3.url}
    store |= {"access_key": "test", "secret_key": "test-secret"}
    async with database_address("postgresql", tmp_path) as address:
        given = {
            "engines": [{**deepcopy(TONE), "name": "OTHER"}, TONE],
            "storage": {"db_url": address, "object_store": store},
            "consent": {"required": True},
        }
        server = await asyncio.to_thread(start, tmp_path, given)
        try:
            with httpx.Client(base_url=server.url, timeout=60) as client:
                yield client, s3
        finally:
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(s3.stop)


async def test_a_voice_goes_to_another_server(
    client: httpx.Client, elsewhere: tuple[httpx.Client, S3Server], exported: tuple[dict[str, Any], bytes]
):
    there, _ = elsewhere
    voice, data = exported

    def check() -> None:
        made = import_(there, data)
        assert made.status_code == 201, made.text
        shown = settled(there, made.json()["id"])
        told = ("name", "language", "description", "labels", "aliases", "samples", "state")
        assert {name: shown[name] for name in told} == {name: voice[name] for name in told}
        assert [row["state"] for row in shown["engines"]] == ["ready", "ready"]
        before = heard(client, voice["id"])
        for engine in ("TONE", "OTHER"):
            assert heard(there, "wanderer", model=engine) == pytest.approx(before, abs=0.5)
        found = there.get(f"/voices/{shown['id']}/samples").json()["data"]
        assert [sample["transcript"] for sample in found] == ["one", "two"]
        path = f"/voices/{shown['id']}/samples/{found[1]['id']}/audio"
        assert there.get(path, params={"original": True}).content == recording("nova", 1)
        consent = there.get(f"/consents/{shown['consent']['id']}").json()
        assert (consent["name"], consent["kind"], consent["language"]) == ("Asha's word", "recording", "hi")
        assert consent["statement"]["imported"]["address"] == "127.0.0.1"

        # Its name is taken there now; under another it comes again, and names that are taken stay.
        refused(import_(there, data), 409, "conflict", "name")
        again = import_(there, data, name="Again")
        assert (again.json()["name"], again.json()["aliases"]) == ("Again", [])
        for made in (shown["id"], again.json()["id"]):
            assert there.delete(f"/voices/{made}").status_code == 204

    await asyncio.to_thread(check)


def test_a_voice_whose_recordings_are_not_kept_comes_with_what_was_prepared(
    client: httpx.Client, exported: tuple[dict[str, Any], bytes]
):
    def forget(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        for sample in manifest["samples"]:
            for kind in ("original", "audio"):
                files.pop(sample.pop(kind))
        manifest["files"] = [entry for entry in manifest["files"] if entry["name"] in files]

    made = import_(client, changed(exported[1], forget), name="Remembered")
    assert made.status_code == 201, made.text
    shown = settled(client, made.json()["id"])
    assert (shown["state"], shown["samples"]) == ("ready", 2)
    assert heard(client, shown["id"]) == heard(client, exported[0]["id"])
    refused(client.post(f"/voices/{shown['id']}/prepare"), 409, "no_samples")
    client.delete(f"/voices/{shown['id']}")


def test_a_voice_that_an_attestation_allows(client: httpx.Client):
    voice = ready(client, "Sworn")
    data = client.get(f"/voices/{voice['id']}/export").content
    made = import_(client, data, name="Sworn too").json()
    consent = client.get(f"/consents/{made['consent']['id']}").json()
    assert consent["kind"] == "attestation"
    assert consent["statement"]["imported"]["text"] == "I agree to be spoken like."
    assert settled(client, made["id"])["state"] == "ready"
    for one in (voice["id"], made["id"]):
        client.delete(f"/voices/{one}")


def changed(data: bytes, change: Change, **options: Any) -> bytes:
    """A bundle with something else in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    change(files, manifest)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", **options) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
        if manifest:
            bundle.writestr("manifest.json", json.dumps(manifest))
    return written.getvalue()


def wrong_byte(files: dict[str, bytes], _: dict[str, Any]) -> None:
    files["samples/0/original"] = files["samples/0/original"][:-1] + b"x"


def missing_file(files: dict[str, bytes], _: dict[str, Any]) -> None:
    del files["samples/0/original"]


def unlisted_file(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"].pop()


def no_manifest(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest.clear()


def shorter(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"][0]["size"] -= 1


def longer(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"][0]["size"] = 10**12


def twice(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"].append(manifest["files"][0])


def listed(name: str) -> Change:
    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        files[name] = files["samples/0/original"]
        entry = {**manifest["files"][0], "name": name, "size": len(files[name])}
        manifest["files"].append(entry)

    return change


def manifest_with(**fields: Any) -> Change:
    def change(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest.update(fields)

    return change


def sample_with(**fields: Any) -> Change:
    def change(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["samples"][0].update(fields)

    return change


def consent_with(**fields: Any) -> Change:
    def change(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["consent"].update(fields)

    return change


def replaced(name: str, content: bytes) -> Change:
    """Another file under a right checksum."""

    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        files[name] = content
        (entry,) = [entry for entry in manifest["files"] if entry["name"] == name]
        entry.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())

    return change


def same_twice(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["samples"].append(manifest["samples"][0])


CHANGES: dict[str, Change] = {
    "a wrong byte": wrong_byte,
    "a file is missing": missing_file,
    "a file is not listed": unlisted_file,
    "no manifest": no_manifest,
    "smaller than it is": shorter,
    "larger than it is": longer,
    "a file is listed twice": twice,
    "a path upwards": listed("../../etc/cron.d/x"),
    "an absolute path": listed("/etc/x"),
    "a drive": listed("C:\\x"),
    "a path with a zero": sample_with(original="samples/0/original\x00"),
    "another format": manifest_with(format="zip"),
    "another version": manifest_with(version=2),
    "no name": manifest_with(name=""),
    "a name with a zero": manifest_with(name="a\x00b"),
    "a name of half a letter": manifest_with(name="\ud800"),
    "a name that is too long": manifest_with(name="x" * 201),
    "too many aliases": manifest_with(aliases=[f"a{n}" for n in range(101)]),
    "aliases of nothing": manifest_with(aliases=[""]),
    "a language that is none": manifest_with(language="../x"),
    "labels that are numbers": manifest_with(labels={"a": 1}),
    "labels without end": manifest_with(labels={str(n): "x" for n in range(51)}),
    "no samples but a list of text": manifest_with(samples="text"),
    "a thousand samples": manifest_with(samples=[{}] * 1_001),
    "a sample's path": sample_with(original="../../x"),
    "a sample's time": sample_with(duration_ms=-1),
    "a report of nothing": sample_with(original=None, audio=None, report={"x": 1}),
    "a report without end": sample_with(report={"x": float("inf")}),
    "a transcript with a zero": sample_with(transcript="\x00"),
    "a consent of another kind": consent_with(kind="rumour"),
    "a consent that never ends": consent_with(statement={"text": "x" * 30_000}),
    "a consent of no recording": consent_with(recording="consent/other"),
    "a recording that is text": replaced("samples/0/original", b"This is text."),
    "a consent that is text": replaced("consent/recording", b"This is text."),
    "an embedding that is a pickle": replaced("embeddings/0.safetensors", b"\x80\x04}q\x00."),
    "an embedding that is nothing": replaced("embeddings/0.safetensors", b""),
}


@pytest.fixture
def _nothing_left(tenants: Tenants) -> Generator[None, None, None]:
    def kept() -> tuple[dict[str, int], list[str]]:
        own = [key for key in objects(tenants.folder) if tenants.a.id in key]
        return rows(tenants.folder, tenants.a.id), own

    eventually(lambda: "doomed_objects" not in kept()[0])
    before = kept()
    yield
    eventually(lambda: kept() == before)


@pytest.mark.usefixtures("exported", "_nothing_left")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_tampered_with(client: httpx.Client, exported: tuple[dict[str, Any], bytes], change: Change):
    answer = import_(client, changed(exported[1], change), name="Tampered")
    assert answer.status_code == 400, answer.text
    # The same without a consent that is worth keeping.
    assert answer.json()["error"]["code"] in {"bad_bundle", "not_audio"}


@pytest.mark.usefixtures("exported", "_nothing_left")
def test_more_samples_than_a_voice_may_have_or_the_same_twice(
    client: httpx.Client, exported: tuple[dict[str, Any], bytes]
):
    refused(import_(client, changed(exported[1], same_twice), name="Twice"), 409, "duplicate_sample")

    def many(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["samples"] *= 3

    refused(import_(client, changed(exported[1], many), name="Many"), 400, "too_many_samples")


@pytest.mark.usefixtures("exported", "_nothing_left")
def test_bundles_that_are_none(client: httpx.Client, exported: tuple[dict[str, Any], bytes]):
    _, data = exported
    source = random.Random(5)
    broken = [b"", b"PK", b"PK\5\6" + bytes(18), data[:-1], data[: len(data) // 2], data[100:], data + b"x"]
    for _ in range(40):
        fuzzed = bytearray(data)
        # The manifest and the zip's own list of files are at its end.
        for _ in range(4):
            fuzzed[source.randrange(len(data) - 8_000, len(data))] ^= 1 << source.randrange(8)
        broken.append(bytes(fuzzed))
    for one in broken:
        answer = import_(client, one, name="None")
        if answer.status_code == 201:  # what was changed did not matter
            assert client.delete(f"/voices/{answer.json()['id']}").status_code == 204
        else:
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"]["code"] == "bad_bundle"


def blown_up(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    files["samples/0/original"] = bytes(100 * 1024 * 1024)
    manifest["files"][0]["size"] = 60 * 1024 * 1024


def long_manifest(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["padding"] = "x" * (5 * 1024 * 1024)


@pytest.mark.usefixtures("exported", "_nothing_left")
@pytest.mark.parametrize("change", [blown_up, long_manifest])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_bundles_that_grow(
    client: httpx.Client, exported: tuple[dict[str, Any], bytes], change: Change, method: int
):
    data = changed(exported[1], change, compression=method)
    assert len(data) < 2_000_000
    refused(import_(client, data, name="Bomb"), 400, "bad_bundle", "bundle")


@pytest.mark.usefixtures("exported", "_nothing_left")
def test_a_bundle_of_countless_files(client: httpx.Client):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as bundle:
        for number in range(30_000):
            bundle.writestr(str(number), b"")
    message = refused(import_(client, written.getvalue(), name="Many"), 400, "bad_bundle", "bundle")
    assert "too many files" in message


def test_another_tenants_voice_is_not_exported(client: httpx.Client, other: httpx.Client):
    voice = ready(other, "Not yours")
    refused(client.get(f"/voices/{voice['id']}/export"), 404, "voice_not_found")
    assert other.delete(f"/voices/{voice['id']}").status_code == 204


def test_a_voice_without_a_consent_goes_without_one(client: httpx.Client):
    voice = create(client, "Unsworn", recording("echo"))
    data = client.get(f"/voices/{voice['id']}/export").content
    made = import_(client, data, name="Unsworn too").json()
    assert (made["state"], made["reason"], made["consent"]) == (
        "pending",
        "It is waiting for a consent.",
        None,
    )
    attest(client, made["id"])
    assert settled(client, made["id"])["state"] == "ready"
    for one in (voice["id"], made["id"]):
        client.delete(f"/voices/{one}")
