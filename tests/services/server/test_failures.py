"""Processes killed under load, and clients that leave: clean errors, the next request works, no orphans."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterable

import httpx
import openai
import psutil
import pytest

from live import ENGINES, Server, eventually, start

TEXT = "A sentence that is long enough to be interrupted while it is being spoken. " * 3

RESTART = 60.0
"""Seconds within which BentoML's supervisor replaces a process; it looks every ten."""


async def load(server: Server, model: str, voice: str, callers: int, kill: psutil.Process) -> list[str]:
    """What callers got while a process was killed under them: ``ok`` or the error's class."""
    results: list[str] = []
    killed = asyncio.Event()

    async def caller(client: openai.AsyncOpenAI) -> None:
        for _ in range(4):
            try:
                speech = await client.audio.speech.create(
                    model=model, voice=voice, input=TEXT, response_format="pcm"
                )
                results.append("ok" if speech.content else "empty")
            except openai.APIStatusError as error:
                assert error.status_code in {429, 503}, error
                assert error.message
                results.append(type(error).__name__)
            except (openai.APIConnectionError, httpx.HTTPError) as error:
                results.append(type(error).__name__)

    async def killer() -> None:
        while not results:
            await asyncio.sleep(0.01)
        kill.kill()
        killed.set()

    async with openai.AsyncOpenAI(
        base_url=server.api, api_key="local", max_retries=0, timeout=RESTART
    ) as client:
        await asyncio.gather(killer(), *(caller(client) for _ in range(callers)))
    assert killed.is_set()
    return results


def speaks(server: Server, model: str = "tts-1", voice: str = "alloy") -> bool:
    body = {"model": model, "voice": voice, "input": "Hello.", "response_format": "pcm"}
    try:
        answer = httpx.post(f"{server.api}/audio/speech", json=body, timeout=RESTART)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and len(answer.content) > 1_000


def gone(processes: Iterable[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("of", ["engine_espeak", "Gateway"])
def test_a_process_killed_under_load(own_server: Server, of: str) -> None:
    assert speaks(own_server)
    victim = own_server.worker(of)
    below = victim.children(recursive=True)
    results = asyncio.run(load(own_server, "ESPEAK", "en-us", 6, victim))
    assert "ok" in results
    assert "empty" not in results
    eventually(lambda: speaks(own_server), RESTART)
    eventually(lambda: gone([victim, *below]))
    assert own_server.worker(of).pid != victim.pid


def test_an_utterance_that_ends_the_runner(own_server: Server) -> None:
    body = {"model": "TONE", "voice": "tone", "input": "Now CRASH.", "response_format": "pcm"}
    answer = httpx.post(f"{own_server.api}/audio/speech", json=body, timeout=RESTART)
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["type"] == "server_error"
    assert "TONE" in error["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert speaks(own_server), "another engine must not be touched"
    eventually(lambda: speaks(own_server, "TONE", "tone"), RESTART)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_when_the_supervisor_ends(own_server: Server, how: signal.Signals) -> None:
    assert speaks(own_server)
    processes = own_server.workers()
    assert len(processes) >= len(ENGINES) + 1
    own_server.process.send_signal(how)
    own_server.process.wait(60)
    eventually(lambda: gone(processes))


def request(port: int, body: bytes) -> socket.socket:
    """Send a speech request by hand and leave the answer unread."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = (
        f"POST /v1/audio/speech HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


@pytest.mark.parametrize("after_audio", [False, True])
def test_a_client_that_hangs_up_frees_its_place(server: Server, after_audio: bool) -> None:
    port = httpx.URL(server.url).port
    assert port is not None
    text = "The engine takes three tenths of a second for each of these sentences. " * 40
    body = f'{{"model": "SLOW", "voice": "tone", "input": "{text}", "response_format": "pcm"}}'.encode()
    connections = [request(port, body) for _ in range(4)]
    if after_audio:
        assert connections[0].recv(1)
    else:
        eventually(lambda: server.engine("SLOW")["running"] > 0)
    for connection in connections:
        connection.close()
    eventually(lambda: server.engine("SLOW")["waiting"] + server.engine("SLOW")["running"] == 0, 10)
    streams = httpx.get(f"{server.url}/health/ready").json()["parts"]["gateway"]["streams"]
    assert streams == 0


def test_a_cut_stream_is_not_taken_for_a_whole_one(own_server: Server) -> None:
    """What fails after the first audio ends the connection without completing the answer."""
    body = {
        "model": "SLOW",
        "voice": "tone",
        "input": "The first sentence is fine. " * 10 + " and more.",
        "response_format": "pcm",
    }
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", f"{own_server.api}/audio/speech", json=body, timeout=RESTART) as answer,
    ):
        assert answer.status_code == 200
        pieces = answer.iter_raw()
        next(pieces)
        own_server.worker("engine_slow").kill()
        for _ in pieces:
            pass


def test_events_of_a_cut_stream_end_with_an_error(own_server: Server) -> None:
    body = {
        "model": "SLOW",
        "voice": "tone",
        "input": "The first sentence is fine. " * 10 + " and more.",
        "response_format": "pcm",
        "stream_format": "sse",
    }
    with httpx.stream("POST", f"{own_server.api}/audio/speech", json=body, timeout=RESTART) as answer:
        lines = answer.iter_lines()
        assert "speech.audio.delta" in next(lines)
        own_server.worker("engine_slow").kill()
        last = [line for line in lines if line][-1]
    assert '"type":"error"' in last
    assert '"engine_unavailable"' in last


def test_a_flood_of_requests_leaves_nothing_behind(server: Server) -> None:
    """Two hundred clients at once, half of whom leave: then all queues are empty and files are closed."""
    gateway = server.worker("Gateway")
    assert speaks(server)
    before = gateway.num_fds()

    async def flood() -> None:
        async with httpx.AsyncClient(
            base_url=server.url, timeout=60, limits=httpx.Limits(max_connections=200)
        ) as client:

            async def one(index: int) -> None:
                body = {"input": TEXT, "response_format": ("mp3", "opus")[index % 2]}
                try:
                    async with asyncio.timeout(0.05 if index % 2 else 60):
                        await client.post("/v1/audio/speech", json=body)
                except (TimeoutError, httpx.HTTPError):
                    return

            await asyncio.gather(*(one(index) for index in range(200)))

    asyncio.run(flood())
    eventually(lambda: server.engine("ESPEAK")["waiting"] + server.engine("ESPEAK")["running"] == 0)
    eventually(lambda: gateway.num_fds() <= before + 12)
    assert speaks(server)


def test_the_port_is_free_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After SIGTERM a server can be started on the same port at once."""
    first = start(tmp_path_factory.mktemp("first"), {"engines": ENGINES[:1]})
    port = httpx.URL(first.url).port or 0
    first.stop()
    second = start(tmp_path_factory.mktemp("second"), {"engines": ENGINES[:1]}, port)
    try:
        assert speaks(second)
    finally:
        second.stop()


def test_sockets_of_the_runners_are_private(server: Server) -> None:
    """Only the user who started the server reaches the runners directly."""
    runner = server.worker("engine_tone")
    paths = [
        c.laddr
        for c in runner.net_connections("unix")
        if isinstance(c.laddr, str) and c.laddr.endswith(".sock")
    ]
    assert paths
    for path in paths:
        folder = os.path.dirname(path)  # noqa: PTH120 - a plain string from the system
        assert not os.stat(folder).st_mode & 0o077  # noqa: PTH116 - as above
