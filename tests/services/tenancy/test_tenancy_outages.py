"""PostgreSQL and Redis that go away and come back: clean answers meanwhile, and no restart."""

import asyncio
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url
from wire import Wire

from databases import database_address
from live import ENGINES, Server, eventually, start
from redis_server import OwnRedis, own_redis
from s3_server import S3Server
from tenants import Tenants, error, settings, start_tenants
from voices import TONE, create, heard, recording, samples, say, settled
from workers import free_port

SPEECH = {"model": "TONE", "voice": "tone", "input": "Hello.", "response_format": "pcm"}


@pytest.fixture
async def postgresql(tmp_path: Path) -> Any:
    async with database_address("postgresql", tmp_path) as address:
        yield address


@pytest.fixture
def broken(postgresql: str, tmp_path: Path) -> Generator[tuple[Tenants, Wire, OwnRedis], None, None]:
    """A server whose database and Redis the test may take away."""
    url = make_url(postgresql)
    wire = Wire(url.host or "127.0.0.1", url.port or 5432)
    through = url.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    with own_redis() as redis:
        given = settings(
            storage={"db_url": through, "redis_url": redis.url},
            quota={"plans": {"default": {"requests_per_minute": 1_000, "characters_per_day": 100_000}}},
        )
        tenants = start_tenants(tmp_path, given)
        try:
            yield tenants, wire, redis
        finally:
            tenants.server.stop()
            wire.cut()


def speak(tenants: Tenants) -> httpx.Response:
    return httpx.post(
        f"{tenants.server.api}/audio/speech", json=SPEECH, headers=tenants.a.headers(), timeout=60
    )


def parts(server: Server) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{server.url}/health/ready", timeout=60)
    return answer.status_code, answer.json()["parts"]


def test_outages_are_told_and_are_over_when_they_are_over(broken: tuple[Tenants, Wire, OwnRedis]):
    tenants, wire, redis = broken
    assert speak(tenants).status_code == 200

    wire.cut()
    refused = speak(tenants)
    assert (refused.status_code, error(refused)["code"]) == (503, "storage_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in refused.text
    eventually(lambda: parts(tenants.server)[0] == 503)  # a success counts for some seconds
    status, told = parts(tenants.server)
    assert status == 503
    assert not told["database"]["ready"]
    assert told["counters"]["ready"]
    assert httpx.get(f"{tenants.server.url}/health/live", timeout=60).status_code == 200
    wire.mend()
    eventually(lambda: speak(tenants).status_code == 200)
    assert parts(tenants.server)[1]["database"]["ready"]

    redis.stop()
    refused = speak(tenants)
    assert (refused.status_code, error(refused)["code"]) == (503, "limits_unavailable")
    status, told = parts(tenants.server)
    assert status == 503
    assert told["database"]["ready"]
    assert not told["counters"]["ready"]
    # What no limit is on goes on.
    with tenants.client(tenants.a) as client:
        assert client.get("/v1/models").status_code == 200
    redis.start()
    eventually(lambda: speak(tenants).status_code == 200)


def test_a_stream_that_ends_during_an_outage_is_free_after_it(tmp_path: Path):
    with own_redis() as redis:
        wire = Wire("127.0.0.1", redis.port)
        address = f"redis://127.0.0.1:{wire.port}/0"
        plan = {"concurrent_streams": 1}
        given = settings(engines=ENGINES, storage={"redis_url": address}, quota={"plans": {"default": plan}})
        tenants = start_tenants(tmp_path, given)
        try:
            body = {**SPEECH, "model": "SLOW", "input": "This is a sentence. " * 10}
            with tenants.client(tenants.a) as client:
                with client.stream("POST", "/v1/audio/speech", json=body) as answer:
                    assert answer.status_code == 200
                    wire.cut()
                    assert answer.read()
                time.sleep(2)  # the Gateway has tried by then
                wire.mend()
                eventually(lambda: speak(tenants).status_code == 200)
        finally:
            tenants.server.stop()
            wire.cut()


def test_an_outage_of_the_object_store(tmp_path: Path):
    s3 = S3Server()
    s3.start()
    store = {"type": "s3", "bucket": s3.config.bucket, "endpoint_url": s3.url}
    store |= {"access_key": "test", "secret_key": "test-secret"}
    tenants = start_tenants(tmp_path, settings(storage={"object_store": store}))
    try:
        with tenants.client(tenants.a) as client:
            body = {**SPEECH, "store": True}
            kept = client.post("/v1/audio/speech", json=body).headers["x-audio-id"]
            s3.stop()
            for refused in (client.post("/v1/audio/speech", json=body), client.get(f"/audio/{kept}")):
                assert (refused.status_code, error(refused)["code"]) == (503, "storage_unavailable")
                assert "object store" in error(refused)["message"]
                assert int(refused.headers["retry-after"]) >= 1
            # Who keeps nothing needs no store.
            assert client.post("/v1/audio/speech", json=SPEECH).status_code == 200
            # A success counts for some seconds.
            eventually(lambda: not parts(tenants.server)[1]["objects"]["ready"])
            assert parts(tenants.server)[0] == 200
            s3.start()
            assert client.post("/v1/audio/speech", json=body).status_code == 200
            assert parts(tenants.server)[1]["objects"]["ready"]
    finally:
        tenants.server.stop()
        s3.stop()


def wired(postgresql: str, s3: S3Server) -> tuple[dict[str, Any], Wire, Wire]:
    """Settings with a database and an object store that may be cut off."""
    url = make_url(postgresql)
    database, store = Wire(url.host or "127.0.0.1", url.port or 5432), Wire("127.0.0.1", s3.port)
    through = url.set(host="127.0.0.1", port=database.port).render_as_string(hide_password=False)
    objects = {"type": "s3", "bucket": s3.config.bucket, "endpoint_url": f"http://127.0.0.1:{store.port}"}
    objects |= {"access_key": "test", "secret_key": "test-secret"}
    given = settings(storage={"db_url": through, "object_store": objects}, consent={"required": False})
    given["engines"] = [TONE]
    return given, database, store


def test_voices_during_outages(postgresql: str, tmp_path: Path):
    s3 = S3Server()
    s3.start()
    given, database, store = wired(postgresql, s3)
    tenants = start_tenants(tmp_path, given)

    def kept() -> int:
        return httpx.get(f"{s3.url}/{s3.config.bucket}", timeout=60).text.count("<Key>")

    def away(answer: httpx.Response) -> None:
        assert (answer.status_code, error(answer)["code"]) == (503, "storage_unavailable"), answer.text

    try:
        with tenants.client(tenants.a) as client:
            voice = create(client, "Lasting")["id"]
            assert settled(client, voice)["state"] == "ready"
            tone = heard(client, voice)
            assert kept() == 3
            more = samples(recording("nova"))

            store.cut()
            away(client.post("/voices", data={"name": "Later"}, files=more))
            away(client.post(f"/voices/{voice}/samples", files=more))
            away(client.get(f"/voices/{voice}/export"))
            away(
                client.post(
                    "/v1/audio/voice_consents",
                    data={"name": "x", "language": "en"},
                    files=samples(recording("nova"), field="recording"),
                )
            )
            assert client.post(f"/voices/{voice}/prepare").status_code == 202
            # What the runner holds goes on speaking.
            assert heard(client, voice) == tone
            store.mend()
            assert client.get("/voices", params={"search": "later"}).json()["data"] == []
            assert client.get("/v1/audio/voice_consents").json()["data"] == []
            later = create(client, "Later", recording("nova"))["id"]
            assert settled(client, later)["state"] == "ready"

            database.cut()
            away(client.post("/voices", data={"name": "Last"}, files=more))
            away(say(client, voice))
            away(client.delete(f"/voices/{voice}"))
            database.mend()
            eventually(lambda: say(client, voice).status_code == 200)
            assert heard(client, voice) == tone

            def prepared() -> bool:
                (engine,) = client.get(f"/voices/{voice}").json()["engines"]
                return engine["state"] == "ready"

            eventually(prepared)
            last = create(client, "Last", recording("nova"))["id"]
            for one in (voice, later, last):
                assert client.delete(f"/voices/{one}").status_code == 204
            eventually(lambda: kept() == 0)
    finally:
        tenants.server.stop()
        database.cut()
        store.cut()
        s3.stop()


def test_without_redis_requests_may_go_on_uncounted(tmp_path: Path):
    given = settings(
        storage={"redis_url": f"redis://127.0.0.1:{free_port()}/0"},
        quota={"plans": {"default": {"requests_per_minute": 1}}, "when_counters_fail": "open"},
    )
    tenants = start_tenants(tmp_path, given)
    try:
        for _ in range(3):
            assert speak(tenants).status_code == 200
        assert parts(tenants.server)[0] == 200
    finally:
        tenants.server.stop()


async def test_a_local_server_speaks_without_its_database(tmp_path: Path):
    address = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    engines = settings()["engines"]
    server = await asyncio.to_thread(start, tmp_path, {"engines": engines, "storage": {"db_url": address}})
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            answer = await client.post("/v1/audio/speech", json=SPEECH)
            assert answer.status_code == 200
            ready = (await client.get("/health/ready")).json()
            assert ready["status"] == "degraded"
            assert not ready["parts"]["database"]["ready"]
            refused = await client.get("/usage")
            assert refused.status_code == 503
    finally:
        await asyncio.to_thread(server.stop)
