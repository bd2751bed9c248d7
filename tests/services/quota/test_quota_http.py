"""Quotas over HTTP: what is refused, what is given back, what is told."""

import asyncio
import csv
import io
from collections.abc import Generator

import httpx
import pytest

from live import ENGINES, eventually
from tenants import Tenants, error, settings, start_tenants

WORDS = {"model": "TONE", "voice": "tone", "input": "Hello there.", "response_format": "pcm"}
PLANS = {
    "default": {},
    "minute": {"requests_per_minute": 3},
    "streams": {"concurrent_streams": 1},
    "day": {"characters_per_day": 30},
    "month": {"characters_per_month": 30},
    "audio": {"audio_minutes_per_month": 1},
}


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    given = settings(engines=ENGINES, quota={"plans": PLANS})
    running = start_tenants(tmp_path_factory.mktemp("quota"), given)
    yield running
    running.server.stop()


def fresh(tenants: Tenants, plan: str, **limits: int | None) -> dict[str, str]:
    """The headers of a new organisation of a plan."""
    with tenants.client(tenants.operator) as client:
        body = {
            "name": f"{plan} {len(client.get('/admin/orgs').json()['data'])}",
            "plan": plan,
            "limits": limits,
        }
        org = client.post("/admin/orgs", json=body).json()
        new = {"name": "k", "scopes": ["speech", "usage"]}
        key = client.post("/admin/keys", params={"org_id": org["id"]}, json=new).json()
    return {"authorization": f"Bearer {key['key']}"}


def speak(tenants: Tenants, headers: dict[str, str], **fields: object) -> httpx.Response:
    body = {**WORDS, **fields}
    return httpx.post(f"{tenants.server.api}/audio/speech", json=body, headers=headers, timeout=60)


def test_requests_a_minute(tenants: Tenants):
    headers = fresh(tenants, "minute")
    for left in ("2", "1", "0"):
        answer = speak(tenants, headers)
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit-requests"] == "3"
        assert answer.headers["x-ratelimit-remaining-requests"] == left
        assert answer.headers["x-ratelimit-reset-requests"].endswith("ms")
    refused = speak(tenants, headers)
    assert (refused.status_code, error(refused)["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    # Another tenant of the same plan has its own.
    assert speak(tenants, fresh(tenants, "minute")).status_code == 200


@pytest.mark.parametrize("plan", ["day", "month"])
def test_characters(tenants: Tenants, plan: str):
    headers = fresh(tenants, plan)
    assert speak(tenants, headers).status_code == 200
    assert speak(tenants, headers).status_code == 200
    refused = speak(tenants, headers)
    assert (refused.status_code, error(refused)["type"]) == (429, "insufficient_quota")
    assert "24 are used" in error(refused)["message"]
    assert int(refused.headers["retry-after"]) >= 1
    assert speak(tenants, headers, input="Hello.").status_code == 200
    usage = httpx.get(f"{tenants.server.url}/usage", headers=headers, timeout=60).json()
    assert usage["quota"]["used"][f"characters_per_{plan}"] == 30
    assert usage["quota"]["limits"][f"characters_per_{plan}"] == 30


def used(tenants: Tenants, headers: dict[str, str]) -> int:
    usage = httpx.get(f"{tenants.server.url}/usage", headers=headers, timeout=60).json()
    return int(usage["quota"]["used"]["characters_per_day"])


def test_a_character_that_a_lexicon_makes_long_is_booked_as_what_is_spoken(tenants: Tenants):
    headers = fresh(tenants, "default", characters_per_day=2_000)
    spoken = "la " * 199 + "la"
    answer = speak(tenants, headers, input="a", lexicon={"a": spoken})
    assert answer.status_code == 200
    before = used(tenants, headers)
    # Five characters are free; where it is cut into sentences, blanks are not spoken.
    assert 1 + len(spoken) - 5 - 3 <= before <= 1 + len(spoken) - 5
    # Written-out numbers are what the caller wrote.
    assert speak(tenants, headers, input="5 of 70").status_code == 200
    assert used(tenants, headers) == before + 7
    for _ in range(2):
        assert speak(tenants, headers, input="a", lexicon={"a": spoken}).status_code == 200
    refused = speak(tenants, headers, input="a", lexicon={"a": spoken})
    assert (refused.status_code, error(refused)["type"]) == (429, "insufficient_quota")


def test_what_a_lexicon_makes_too_long_is_refused(tenants: Tenants):
    headers = fresh(tenants, "default", characters_per_day=1_000_000)
    refused = speak(tenants, headers, input="a " * 2_000, lexicon={"a": "b " * 500})
    assert refused.status_code == 400
    assert (error(refused)["code"], error(refused)["param"]) == ("spoken_text_too_long", "input")
    refused = speak(tenants, headers, input="a", lexicon={"a": "b" * 1_001})
    assert (refused.status_code, error(refused)["param"]) == (400, "lexicon")
    assert used(tenants, headers) == 0


def test_the_highest_limits_are_limits(tenants: Tenants):
    headers = fresh(tenants, "default", audio_minutes_per_month=10**12, characters_per_day=10**15)
    assert speak(tenants, headers).status_code == 200


@pytest.mark.parametrize(
    "limits",
    [
        {"audio_minutes_per_month": 10**15},
        {"voices": True},
        {"voices": "5"},
        {"voices": 5.0},
        {"voices": -1},
        {"voices": 10**16},
    ],
)
def test_limits_that_are_none(tenants: Tenants, limits: dict[str, object]):
    with tenants.client(tenants.operator) as client:
        refused = client.post("/admin/orgs", json={"name": "nobody", "limits": limits})
        assert (refused.status_code, error(refused)["param"]) == (400, "limits")
        refused = client.patch(f"/admin/orgs/{tenants.a.id}", json={"limits": limits})
        assert (refused.status_code, error(refused)["param"]) == (400, "limits")


def test_a_tenants_own_limits_win(tenants: Tenants):
    headers = fresh(tenants, "day", characters_per_day=None)
    for _ in range(4):
        assert speak(tenants, headers).status_code == 200
    headers = fresh(tenants, "default", characters_per_day=5)
    assert speak(tenants, headers).status_code == 429


def test_minutes_of_audio_are_never_exceeded(tenants: Tenants):
    headers = fresh(tenants, "audio")
    # TONE speaks 0.02 s a character; more is reserved, and the difference given back.
    seconds, refused = 0.0, None
    for _ in range(40):
        answer = speak(tenants, headers, input="a" * 300)
        if answer.status_code != 200:
            refused = answer
            break
        seconds += len(answer.content) / 48_000
    assert refused is not None
    assert error(refused)["code"] == "insufficient_quota"
    assert 20 < seconds <= 60
    usage = httpx.get(f"{tenants.server.url}/usage", headers=headers, timeout=60).json()
    assert usage["quota"]["used"]["audio_ms_per_month"] == pytest.approx(seconds * 1000, rel=0.01)
    assert usage["quota"]["used"]["audio_ms_per_month"] <= 60_000


def test_what_fails_costs_nothing(tenants: Tenants):
    headers = fresh(tenants, "day")
    for fields in ({"input": "FAIL"}, {"voice": "nobody"}, {"model": "BROKEN"}, {"input": " "}):
        assert speak(tenants, headers, **fields).status_code >= 400
    usage = httpx.get(f"{tenants.server.url}/usage", headers=headers, timeout=60).json()
    assert usage["quota"]["used"]["characters_per_day"] == 0


async def test_what_a_caller_hung_up_on_is_given_back(tenants: Tenants):
    headers = fresh(tenants, "default", characters_per_day=2_000)
    # A sentence of SLOW takes 0.3 s and has 1.2 s of audio; the caller goes in the second or third.
    body = {**WORDS, "model": "SLOW", "input": "This is a sentence. " * 50}
    async with (
        httpx.AsyncClient(base_url=tenants.server.url, headers=headers, timeout=60) as client,
        client.stream("POST", "/v1/audio/speech", json=body) as answer,
    ):
        heard = 0
        async for data in answer.aiter_raw():
            heard += len(data)
            if heard > 2 * 24_000 * 2:
                break

    def given_back() -> bool:
        usage = httpx.get(f"{tenants.server.url}/usage", headers=headers, timeout=60).json()
        return 0 < usage["quota"]["used"]["characters_per_day"] < 500

    await asyncio.to_thread(eventually, given_back)


async def test_concurrent_streams(tenants: Tenants):
    headers = fresh(tenants, "streams")
    body = {**WORDS, "model": "SLOW", "input": "This is a sentence. " * 20}
    async with httpx.AsyncClient(base_url=tenants.server.url, headers=headers, timeout=60) as client:
        async with client.stream("POST", "/v1/audio/speech", json=body) as answer:
            assert answer.status_code == 200
            refused = await client.post("/v1/audio/speech", json=WORDS)
            assert (refused.status_code, error(refused)["code"]) == (429, "rate_limit_exceeded")

        def free() -> bool:
            return speak(tenants, headers).status_code == 200

        await asyncio.to_thread(eventually, free)


def test_one_stream_after_the_other(tenants: Tenants):
    headers = fresh(tenants, "streams")
    with httpx.Client(base_url=tenants.server.url, headers=headers, timeout=60) as client:
        statuses = {client.post("/v1/audio/speech", json=WORDS).status_code for _ in range(50)}
    assert statuses == {200}


def test_usage_as_csv(tenants: Tenants):
    headers = fresh(tenants, "day")
    assert speak(tenants, {**headers, "x-openwebui-user-id": "=cmd()"}).status_code == 200
    answer = httpx.get(f"{tenants.server.url}/usage", params={"format": "csv"}, headers=headers, timeout=60)
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["kind"], row["outcome"], row["engine"], row["voice"]) == ("speech", "ok", "TONE", "tone")
    assert (row["characters"], row["external_user"]) == ("12", "'=cmd()")
    assert row["request_id"].startswith("req_")
    assert int(row["audio_ms"]) > 0


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"from": "2020-01-01", "to": "2026-01-01"},
        {"from": "yesterday"},
        {"by": "colour"},
        {"format": "xml"},
    ],
)
def test_bad_questions_about_usage(tenants: Tenants, params: dict[str, str]):
    with tenants.client(tenants.a) as client:
        answer = client.get("/usage", params=params)
        assert answer.status_code == 400
        assert error(answer)["param"] in params
