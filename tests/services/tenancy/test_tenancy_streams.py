"""Answers under way end with the right to have them."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from services.config.load import load_settings
from storage.columns import new_id, now
from storage.database import Database
from storage.objects.choose import open_object_store
from storage.objects.keys import output_key
from storage.repositories.outputs import OutputRepository
from storage.repositories.users import UserRepository

from live import eventually
from tenants import PASSWORD, Tenant, Tenants, error, own_org, settings, start_tenants

# Longer than a test may take, if nothing cuts it off.
ENDLESS = {"model": "SLOW", "voice": "tone", "input": "This is a sentence. " * 200, "response_format": "pcm"}

LATE = {"model": "LATE", "voice": "tone", "input": "Hello.", "response_format": "pcm"}

SIZE = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    engines = [
        {
            "name": name,
            "type": "SYNTHETIC",
            "max_concurrent_jobs": 8,
            "batching": {"max_batch_size": 1},
            "options": {"base_ms": milliseconds},
        }
        for name, milliseconds in (("SLOW", 1_000), ("LATE", 25_000))
    ]
    given = settings(engines=engines, auth={"cache_seconds": 2.0})
    tenants = start_tenants(tmp_path_factory.mktemp("streams"), given)
    yield tenants
    tenants.server.stop()


@pytest.fixture
def org(running: Tenants) -> Iterator[Tenant]:
    """An organisation of the test's own."""
    with own_org(running) as made:
        yield made


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def revoke(running: Tenants, org: Tenant) -> None:
    with running.client(running.operator) as client:
        assert client.delete(f"/admin/keys/{org.key_id}", params={"org_id": org.id}).status_code == 200


def lock(running: Tenants, org: Tenant) -> None:
    with running.client(running.operator) as client:
        assert client.patch(f"/admin/orgs/{org.id}", json={"disabled": True}).status_code == 200


def login(running: Tenants, email: str) -> str:
    with running.client() as client:
        answer = client.post("/auth/login", json={"email": email, "password": PASSWORD})
    return answer.json()["access_token"]


def disable(running: Tenants, email: str, *, disabled: bool) -> None:
    async def change() -> None:
        loaded = load_settings(running.folder / "configuration.yaml", environ={}).settings
        async with (
            Database(loaded.storage.db_url.get_secret_value()) as database,
            database.write() as session,
        ):
            users = UserRepository(session)
            user = await users.by_email(email)
            assert user is not None
            await users.set_disabled(user, disabled=disabled)

    asyncio.run(change())


@contextmanager
def speaking(running: Tenants, token: str, **more: str) -> Generator[Iterator[bytes], None, None]:
    """An endless answer that has begun."""
    with (
        running.client() as client,
        client.stream("POST", "/v1/audio/speech", json={**ENDLESS, **more}, headers=bearer(token)) as answer,
    ):
        assert answer.status_code == 200
        chunks = answer.iter_raw()
        next(chunks)
        yield chunks


def is_cut(chunks: Iterator[bytes]) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        for _ in chunks:
            pass


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
@pytest.mark.parametrize("end", [revoke, lock])
def test_speech_ends_with_its_key_and_its_organisation(
    running: Tenants, org: Tenant, end: Callable[[Tenants, Tenant], None], stream_format: str
):
    with speaking(running, org.key, stream_format=stream_format) as chunks:
        end(running, org)
        is_cut(chunks)


def test_speech_ends_with_the_key_that_its_token_was_made_from(running: Tenants, org: Tenant):
    with running.client() as client:
        body = {"grant_type": "api_key", "api_key": org.key}
        token = client.post("/auth/token", json=body).json()["access_token"]
    with speaking(running, token) as chunks:
        revoke(running, org)
        is_cut(chunks)


def test_speech_ends_with_its_session_and_others_go_on(running: Tenants):
    email = "member@audio.example"
    ended, other = login(running, email), login(running, email)
    with speaking(running, other) as going_on:
        with speaking(running, ended) as chunks:
            with running.client() as client:
                assert client.post("/auth/logout", headers=bearer(ended)).status_code == 204
            is_cut(chunks)
        assert next(going_on)
    with running.client() as client:
        # The session's token is worth nothing from then on.
        eventually(lambda: client.get("/auth/me", headers=bearer(ended)).status_code == 401)
        assert client.get("/auth/me", headers=bearer(other)).status_code == 200


def test_speech_ends_with_its_user(running: Tenants):
    email = "member@books.example"
    token = login(running, email)
    with speaking(running, token) as chunks:
        disable(running, email, disabled=True)
        try:
            is_cut(chunks)
        finally:
            disable(running, email, disabled=False)


def test_speech_that_has_not_begun_is_refused(running: Tenants, org: Tenant):
    seen: list[httpx.Response] = []

    def ask() -> None:
        seen.append(
            httpx.post(f"{running.server.api}/audio/speech", json=LATE, headers=org.headers(), timeout=60)
        )

    asking = threading.Thread(target=ask)
    asking.start()
    running_late = 'awaaztwin_runner_running{engine="LATE"} 1.0'
    with running.client(running.operator) as client:
        eventually(lambda: running_late in client.get("/metrics").text)
    revoke(running, org)
    asking.join()
    assert (seen[0].status_code, error(seen[0])["code"]) == (401, "invalid_api_key")


def keep(running: Tenants, org: Tenant) -> str:
    """Audio so large that no buffer between the server and a client holds it."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for _ in range(SIZE // 65_536):
            yield bytes(65_536)

    async def put() -> str:
        loaded = load_settings(running.folder / "configuration.yaml", environ={}).settings
        audio_id = new_id("audio")
        key = output_key(org.id, audio_id, "pcm", now())
        async with (
            open_object_store(loaded.storage.object_store) as store,
            Database(loaded.storage.db_url.get_secret_value()) as database,
        ):
            info = await store.put(key, pieces(), content_type="audio/pcm", max_bytes=SIZE)
            async with database.write() as session:
                await OutputRepository(session, org.id).add(
                    output_id=audio_id,
                    key=key,
                    content_type="audio/pcm",
                    size=info.size,
                    etag=info.etag,
                    duration_ms=1_000,
                    expires_at=None,
                )
        return audio_id

    return asyncio.run(put())


def cuts(running: Tenants) -> int:
    return running.server.log.read_text(errors="replace").count("a response was cut off")


def signed_url(running: Tenants, audio_id: str, headers: dict[str, str]) -> str:
    with running.client() as client:
        answer = client.post(f"/audio/{audio_id}/url", json={}, headers=headers)
    assert answer.status_code == 200
    return answer.json()["url"]


@pytest.mark.parametrize("end", [revoke, lock])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "key"])
def test_a_download_ends_with_its_key_and_its_organisation(
    running: Tenants, org: Tenant, end: Callable[[Tenants, Tenant], None], signed: bool
):
    audio_id = keep(running, org)
    url = signed_url(running, audio_id, org.headers()) if signed else f"{running.server.url}/audio/{audio_id}"
    headers = {} if signed else org.headers()
    got, before = 0, cuts(running)
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        chunks = answer.iter_raw()
        got += len(next(chunks))
        end(running, org)
        # Nobody reads meanwhile: what is not in a buffer by then is never sent.
        eventually(lambda: cuts(running) > before)
        with pytest.raises(httpx.RemoteProtocolError):
            for chunk in chunks:
                got += len(chunk)
    assert got < SIZE


@pytest.mark.parametrize("end", [revoke, lock])
def test_signed_urls_end_with_what_signed_them(
    running: Tenants, org: Tenant, end: Callable[[Tenants, Tenant], None]
):
    audio_id = keep(running, org)
    url = signed_url(running, audio_id, org.headers())
    part: dict[str, Any] = {"headers": {"range": "bytes=0-9"}, "timeout": 60}
    assert httpx.get(url, **part).status_code == 206
    end(running, org)
    eventually(lambda: httpx.get(url, **part).status_code == 403)
    assert error(httpx.get(url, **part))["code"] == "url_withdrawn"


def test_signed_urls_of_a_user_outlive_the_session_and_not_the_user(running: Tenants):
    email = "admin@books.example"
    token = login(running, email)
    audio_id = keep(running, running.b)
    url = signed_url(running, audio_id, bearer(token))
    part: dict[str, Any] = {"headers": {"range": "bytes=0-9"}, "timeout": 60}
    with running.client() as client:
        assert client.post("/auth/logout", headers=bearer(token)).status_code == 204
        eventually(lambda: client.get("/auth/me", headers=bearer(token)).status_code == 401)
    assert httpx.get(url, **part).status_code == 206
    disable(running, email, disabled=True)
    try:
        eventually(lambda: httpx.get(url, **part).status_code == 403)
    finally:
        disable(running, email, disabled=False)
