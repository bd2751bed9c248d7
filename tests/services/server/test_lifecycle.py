"""Engines come and go in a real server: budget, memory given back, licences, loads that fail or kill."""

import asyncio
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import psutil
import pytest
from filelock import AsyncFileLock

from services.host.ledger import MemoryLedger

from live import Server, eventually, start

MEBIBYTE = 1024 * 1024
SIZE = 64
"""Mebibytes of each large engine."""

BUDGET = SIZE * MEBIBYTE * 5 // 2

RESTART = 60.0
"""Seconds within which BentoML's supervisor replaces a process; it looks every ten."""


def tone(name: str, **options: Any) -> dict[str, Any]:
    settings = {key: options.pop(key) for key in ("accept_license", "warm") if key in options}
    costs = {"base_ms": 5, "item_ms": 0, "seconds_per_char": 0.01}
    return {
        "name": name,
        "type": "SYNTHETIC",
        "max_concurrent_jobs": 1,
        **settings,
        "options": {**costs, **options},
    }


def say(server: Server, model: str, text: str = "Hello.") -> httpx.Response:
    body = {"model": model, "voice": "tone", "input": text, "response_format": "pcm"}
    return httpx.post(f"{server.api}/audio/speech", json=body, timeout=RESTART)


def speaks(server: Server, model: str, text: str = "Hello.") -> bool:
    answer = say(server, model, text)
    assert answer.status_code == 200, answer.text
    return len(answer.content) > 1_000


def states(server: Server, *names: str) -> list[str]:
    return [server.engine(name)["state"] for name in names]


def error(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 503, answer.text
    found = answer.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    assert found["type"] == "server_error"
    return found


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server, None, None]:
    """Two of the large engines fit at a time; others may not be loaded, cannot be, or end their process."""
    big = {"memory_mb": SIZE, "load_ms": 100, "warm_up_ms": 50, "base_ms": 200}
    engines = [
        tone("A", **big),
        tone("B", **big),
        tone("C", **big),
        tone("HUGE", memory_mb=4 * SIZE),
        tone("CLOSED", license="CPML", warm=True),
        tone("OPEN", license="CPML", accept_license="CPML"),
        tone("BROKEN", fail_load=True),
        tone("DEADLY", crash_load=True),
    ]
    memory = {"ram_bytes": BUDGET, "wait_seconds": 40}
    server = start(tmp_path_factory.mktemp("crowded"), {"engines": engines, "memory": memory})
    yield server
    server.stop()


def test_the_least_recently_used_engine_goes_and_its_memory_comes_back(crowded: Server) -> None:
    for name in ("A", "B", "A"):
        assert speaks(crowded, name)
    assert states(crowded, "A", "B", "C") == ["warm", "warm", "cold"]
    runner = psutil.Process(crowded.worker("engine_b").pid)
    loaded = runner.memory_info().rss
    assert crowded.engine("B")["memory"]["bytes"] >= SIZE * MEBIBYTE * 0.9
    assert speaks(crowded, "C")
    assert states(crowded, "A", "B", "C") == ["warm", "cold", "warm"]
    assert loaded - runner.memory_info().rss >= SIZE * MEBIBYTE * 0.9
    told = crowded.engine("B")
    assert (told["memory"]["bytes"], told["loading"]["unloads"]) == (0, 1)
    # It is cold, and nothing worse: it loads again at its next request.
    assert speaks(crowded, "B")
    assert states(crowded, "A", "B", "C") == ["cold", "warm", "warm"]


def test_busy_engines_stay_and_the_third_waits_until_one_is_idle(crowded: Server) -> None:
    assert speaks(crowded, "B")
    assert speaks(crowded, "C")
    long = "This sentence takes a while to be spoken by the engine that has it. " * 12
    with ThreadPoolExecutor(3) as pool:
        busy = [pool.submit(speaks, crowded, name, long) for name in ("B", "C")]
        eventually(lambda: all(crowded.engine(name)["running"] for name in ("B", "C")))
        third = pool.submit(speaks, crowded, "A")
        eventually(lambda: crowded.engine("A")["state"] == "loading")
        assert not any(done.done() for done in busy)
        assert all(done.result(RESTART) for done in (*busy, third))
    assert states(crowded, "A", "B", "C").count("warm") == 2
    assert crowded.engine("A")["state"] == "warm"


def test_all_at_once_take_turns_and_never_have_more_than_the_budget(crowded: Server) -> None:
    runtime = crowded.log.parent / "runtime"
    stop = threading.Event()
    seen: list[int] = []

    async def watch() -> None:
        ledger = MemoryLedger(runtime / "memory", "nobody")
        while not stop.is_set():
            # Under the lock, as those who take memory have it: nobody takes any while this is added up.
            async with AsyncFileLock(runtime / "memory.lock", timeout=RESTART, run_in_executor=False):
                seen.append(sum(entry.ram for entry in ledger.others()))
            await asyncio.sleep(0.02)

    with ThreadPoolExecutor(7) as pool:
        watching = pool.submit(lambda: asyncio.run(watch()))
        speaking = [pool.submit(speaks, crowded, name) for name in ("A", "B", "C") * 2]
        assert all(done.result(RESTART) for done in speaking)
        stop.set()
        watching.result(RESTART)
    assert max(seen) > SIZE * MEBIBYTE
    assert max(seen) <= BUDGET


def test_an_engine_larger_than_the_budget_says_so_and_disturbs_nobody(crowded: Server) -> None:
    assert speaks(crowded, "A")
    answer = say(crowded, "HUGE")
    assert "memory.ram_bytes" in error(answer)["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert crowded.engine("HUGE")["state"] == "failed"
    assert crowded.engine("A")["state"] == "warm"


def test_cold_start_and_memory_are_exported(crowded: Server) -> None:
    assert speaks(crowded, "A")
    told = crowded.engine("A")["loading"]
    # What was slept: timers of an event loop count whole milliseconds and may end one early.
    assert told["seconds"] >= 0.1 - 0.002
    assert told["warm_up_seconds"] >= 0.05 - 0.002
    lines = httpx.get(f"{crowded.url}/metrics", timeout=10).text.splitlines()
    values = {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if "{" in line)
    }
    assert values['awaaztwin_runner_state{engine="A",state="warm"}'] == 1
    assert values['awaaztwin_runner_state{engine="A",state="cold"}'] == 0
    assert values['awaaztwin_runner_load_seconds{engine="A"}'] == told["seconds"]
    assert values['awaaztwin_runner_warm_up_seconds{engine="A"}'] == told["warm_up_seconds"]
    assert values['awaaztwin_runner_loads{engine="A"}'] >= 1
    assert values['awaaztwin_runner_memory_bytes{engine="A"}'] >= SIZE * MEBIBYTE * 0.9
    assert values['awaaztwin_runner_process_bytes{engine="A"}'] > SIZE * MEBIBYTE
    assert values['awaaztwin_runner_last_used{engine="A"}'] <= time.time()
    assert 'awaaztwin_runner_load_seconds{engine="HUGE"}' not in values, "it was never loaded"


def test_a_licence_is_accepted_before_anything_is_loaded(crowded: Server) -> None:
    answer = say(crowded, "CLOSED")
    found = error(answer)
    assert found["code"] == "license_not_accepted"
    assert "`accept_license: CPML`" in found["message"]
    assert "non-commercial" in found["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    part = crowded.engine("CLOSED")
    assert (part["ready"], part["state"], part["reason"]) == (False, "failed", found["message"])
    assert part["loading"]["failures"] == 0
    assert speaks(crowded, "OPEN")
    models = {model["id"]: model for model in httpx.get(f"{crowded.api}/models", timeout=10).json()["data"]}
    assert models["CLOSED"]["license"] == models["OPEN"]["license"] == "CPML"
    assert models["CLOSED"]["license_accepted"] is False
    assert models["OPEN"]["license_accepted"] is True
    assert "license_accepted" not in models["A"]


def test_the_sdk_does_not_come_back_for_a_licence(crowded: Server) -> None:
    sent: list[object] = []
    with (
        openai.DefaultHttpxClient(event_hooks={"request": [sent.append]}) as counted,
        openai.OpenAI(base_url=crowded.api, api_key="x", max_retries=5, http_client=counted) as client,
        pytest.raises(openai.InternalServerError, match="accept_license"),
    ):
        client.audio.speech.create(model="CLOSED", voice="tone", input="Hello.")
    assert len(sent) == 1


def test_a_load_that_fails_is_held_off_ever_longer(crowded: Server) -> None:
    waits: list[int] = []
    answers = 0

    def failed_again() -> bool:
        nonlocal answers
        answers += 1
        answer = say(crowded, "BROKEN")
        assert "fail_load" in error(answer)["message"]
        part = crowded.engine("BROKEN")
        assert (part["ready"], part["state"]) == (False, "failed")
        assert "fail_load" in part["reason"]
        if part["loading"]["failures"] == len(waits):
            return False
        waits.append(int(answer.headers["retry-after"]))
        return True

    for _ in range(3):
        eventually(failed_again)
    assert waits == [1, 2, 4]
    assert answers > 3, "between the tries nothing is loaded"


def test_a_load_that_ends_its_process_is_no_crash_loop(crowded: Server) -> None:
    died = crowded.worker("engine_deadly").pid
    assert "DEADLY" in error(say(crowded, "DEADLY"))["message"]

    def replaced() -> bool:
        try:
            return crowded.worker("engine_deadly").pid != died
        except LookupError:
            return False

    eventually(replaced, RESTART)
    eventually(lambda: crowded.engine("DEADLY")["state"] == "failed", RESTART)
    part = crowded.engine("DEADLY")
    assert (part["reason"], part["ready"]) == ("The process died while loading.", False)
    assert part["loading"]["failures"] == 1
    replacement = crowded.worker("engine_deadly").pid
    answer = say(crowded, "DEADLY")
    assert "died while loading" in error(answer)["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert crowded.worker("engine_deadly").pid == replacement, "nothing was loaded"
    assert speaks(crowded, "A"), "another engine must not be touched"
