"""Local mode: no key needed on this machine, and no web page from elsewhere gets in."""

import httpx
import pytest

from live import Server
from tenants import error

SPEECH = {"model": "TONE", "voice": "tone", "input": "Hello.", "response_format": "pcm"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer local"},
        {"authorization": "Bearer sk-anything"},
        {"authorization": "Bearer"},
        {"xi-api-key": "anything"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1:8000"},
    ],
)
def test_this_machine_needs_no_key(server: Server, headers: dict[str, str]):
    answer = httpx.post(f"{server.api}/audio/speech", json=SPEECH, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example"}, "host_not_allowed"),
        ({"host": "127.0.0.1.evil.example:8000"}, "host_not_allowed"),
        ({"host": "[bad"}, "host_not_allowed"),
        ({"origin": "https://evil.example"}, "origin_not_allowed"),
        ({"origin": "null"}, "origin_not_allowed"),
        ({"origin": "http://localhost.evil.example"}, "origin_not_allowed"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/models", "/config", "/nothing"])
def test_a_page_from_elsewhere_does_not_get_in(server: Server, headers: dict[str, str], code: str, path: str):
    method = "POST" if path.endswith("speech") else "GET"
    answer = httpx.request(method, f"{server.url}{path}", json=SPEECH, headers=headers, timeout=60)
    assert (answer.status_code, error(answer)["code"]) == (403, code)


def test_what_looks_like_our_key_must_be_one(server: Server):
    headers = {"authorization": f"Bearer atk_0123456789abcdef_{'x' * 43}"}
    answer = httpx.get(f"{server.api}/models", headers=headers, timeout=60)
    assert (answer.status_code, error(answer)["code"]) == (401, "invalid_api_key")


def test_who_am_i(server: Server):
    me = httpx.get(f"{server.url}/auth/me", timeout=60).json()
    assert (me["org_id"], me["user_id"], me["key_id"]) == ("org_local", None, None)
    assert "operator" in me["scopes"]


def test_what_is_spoken_is_told(server: Server):
    headers = {"x-openwebui-user-id": "asha"}
    answer = httpx.post(f"{server.api}/audio/speech", json=SPEECH, headers=headers, timeout=60)
    assert answer.status_code == 200
    deadline = 100
    for _ in range(deadline):
        usage = httpx.get(f"{server.url}/usage", params={"by": "user"}, timeout=60).json()
        if any(row["user"] == "asha" for row in usage["data"]):
            break
    else:
        pytest.fail("the usage was never written")
    (row,) = [row for row in usage["data"] if row["user"] == "asha"]
    assert row["characters"] == 6
    assert row["audio_seconds"] == pytest.approx(len(answer.content) / 48_000, abs=0.05)


def test_a_signed_url_of_a_server_that_asks_nobody(server: Server):
    body = {"model": "TONE", "voice": "tone", "input": "Hello.", "response_format": "wav", "store": True}
    spoken = httpx.post(f"{server.api}/audio/speech", json=body, timeout=60)
    path = f"{server.url}/audio/{spoken.headers['x-audio-id']}"
    signed = httpx.post(f"{path}/url", json={}, timeout=60).json()["url"]
    assert "by=" not in signed
    assert httpx.get(signed, timeout=60).content == spoken.content
    assert httpx.delete(path, timeout=60).status_code == 204
    assert httpx.get(signed, timeout=60).status_code == 404
