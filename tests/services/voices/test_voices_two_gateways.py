"""Two Gateways on one database and one store: what one of them changes counts in the other at once."""

import asyncio
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from databases import database_address
from live import Server, eventually, start
from redis_server import redis_url
from tenants import Tenants, settings, start_tenants
from voices import TONE, create, heard, ready, recording, refused, samples, say, settled

LONG = "This is a sentence of a long story. " * 100


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[tuple[httpx.Client, httpx.Client, Tenants, Server], None, None]:
    """The first organisation's clients of two Gateways, and those."""
    folder: Path = tmp_path_factory.mktemp("both")
    address, done, ready_ = "", threading.Event(), threading.Event()

    async def database() -> None:
        nonlocal address
        async with database_address("postgresql", folder) as given:
            address = given
            ready_.set()
            await asyncio.to_thread(done.wait)

    failed: list[BaseException] = []

    def hold() -> None:
        try:
            asyncio.run(database())
        except BaseException as error:  # noqa: BLE001 - a skip is one; it is raised again below
            failed.append(error)
        finally:
            ready_.set()

    thread = threading.Thread(target=hold)
    thread.start()
    ready_.wait(60)
    try:
        if failed:
            raise failed[0]
        store = {"path": str(folder / "objects")}
        given: dict[str, Any] = settings(
            storage={"db_url": address, "redis_url": redis_url(), "object_store": store}
        )
        given["engines"] = [{**TONE, "options": {**TONE["options"], "base_ms": 100}}]
        for name in ("first", "second"):
            (folder / name).mkdir()
        tenants = start_tenants(folder / "first", given)
        second = None
        try:
            second = start(folder / "second", given)
            headers = tenants.a.headers()
            with (
                httpx.Client(base_url=tenants.server.url, headers=headers, timeout=60) as here,
                httpx.Client(base_url=second.url, headers=headers, timeout=60) as there,
            ):
                yield here, there, tenants, second
        finally:
            if second is not None:
                second.stop()
            tenants.server.stop()
    finally:
        done.set()
        thread.join(60)


Both = tuple[httpx.Client, httpx.Client, Tenants, Server]


def test_what_one_changes_counts_in_the_other_at_once(both: Both):
    here, there, _, _ = both
    voice, other = ready(here, "Shared")["id"], ready(there, "Other", recording("nova"))["id"]
    assert heard(there, "shared") == heard(here, voice)
    for client, target in ((here, voice), (there, other), (here, voice)):
        assert client.put(f"/voices/{target}/aliases/alloy").status_code == 200
        assert heard(there, "alloy") == heard(here, "alloy") == heard(here, target)
    assert there.patch(f"/voices/{voice}", json={"name": "Renamed"}).status_code == 200
    refused(say(here, "shared"), 400, "voice_not_found", "voice")
    assert heard(here, "renamed") == heard(there, voice)

    before = heard(here, voice)
    added = there.post(f"/voices/{voice}/samples", files=samples(recording("echo", 4)))
    assert added.status_code == 201
    settled(here, voice)
    assert heard(here, voice) == heard(there, voice) != before

    for client, elsewhere, target in ((here, there, voice), (there, here, other)):
        assert client.delete(f"/voices/{target}").status_code == 204
        refused(say(elsewhere, target), 400, "voice_not_found", "voice")


@pytest.mark.parametrize("how", ["revoked", "deleted"])
def test_speech_ends_when_its_voice_is_taken_back_elsewhere(both: Both, how: str):
    here, there, _, second = both
    voice = ready(here, f"To be {how}")
    consent = here.get(f"/voices/{voice['id']}").json()["consent"]["id"]
    body = {"voice": voice["id"], "input": LONG, "response_format": "pcm"}
    with there.stream("POST", "/v1/audio/speech", json=body) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_raw()
        next(pieces)
        path = f"/consents/{consent}" if how == "revoked" else f"/voices/{voice['id']}"
        assert here.delete(path).is_success
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    assert "speech was cut off: The voice was withdrawn during synthesis." in second.log.read_text()
    # As an event, to who listens to events.
    voice = ready(here, f"Also to be {how}")
    events = {**body, "voice": voice["id"], "stream_format": "sse"}
    with there.stream("POST", "/v1/audio/speech", json=events) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert here.delete(f"/voices/{voice['id']}").status_code == 204
        told = [line for line in lines if line]
    assert "voice_taken_back" in told[-1]


async def test_names_and_recordings_are_one_whoever_is_asked(both: Both):
    here, there, tenants, second = both
    voice, other = create(here, "Once")["id"], create(here, "Twice", recording("nova"))["id"]
    settled(there, voice)
    headers = tenants.a.headers()
    async with (
        httpx.AsyncClient(base_url=tenants.server.url, headers=headers, timeout=60) as one,
        httpx.AsyncClient(base_url=second.url, headers=headers, timeout=60) as two,
    ):

        async def race(*requests: Any) -> list[int]:
            return sorted(answer.status_code for answer in await asyncio.gather(*requests))

        clients = [one, two] * 4
        made = await race(*(client.post("/voices", json={"name": "Raced"}) for client in clients))
        assert made == [201, *[409] * 7]
        aliased = await race(
            *(
                client.put(f"/voices/{target}/aliases/fresh")
                for client in clients
                for target in (voice, other)
            )
        )
        assert set(aliased) == {200}
        # A name and an alias that are the same: one of them is first.
        mixed = await race(
            *(client.post("/voices", json={"name": "Both"}) for client in clients[:2]),
            *(client.put(f"/voices/{voice}/aliases/both") for client in clients[:2]),
        )
        assert mixed in ([200, 200, 409, 409], [201, 409, 409, 409])
        added = await race(
            *(
                client.post(f"/voices/{voice}/samples", files=samples(recording("echo", 1)))
                for client in clients[:4]
            )
        )
        assert added == [201, 409, 409, 409]
        # Changes of one voice by everybody at once.
        changed = await race(
            *(client.patch(f"/voices/{voice}", json={"aliases": ["fresh", "new"]}) for client in clients),
            *(client.patch(f"/voices/{other}", json={"aliases": ["new", "fresh"]}) for client in clients),
        )
        assert set(changed) == {200}
        gone = await race(*(client.delete(f"/voices/{other}") for client in clients))
        assert gone == [204, *[404] * 7]
    for log in (tenants.server.log, second.log):
        assert "Traceback" not in log.read_text()


def test_recordings_of_all_are_erased_once_by_whoever_comes_first(both: Both):
    here, there, tenants, _ = both
    folder = tenants.folder.parent / "objects"
    for voice in here.get("/voices").json()["data"]:
        assert there.delete(f"/voices/{voice['id']}").status_code == 204
    eventually(lambda: not [path for path in folder.rglob("*") if path.is_file() and "/voices/" in str(path)])
