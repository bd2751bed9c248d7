"""Engines that share one budget: runners on real sockets, and processes that come and go."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from filelock import AsyncFileLock
from pydantic import SecretStr

from engines.config import EngineConfig
from engines.contract import EngineUnavailable
from engines.lease import EngineState
from engines.memory import Budget, Memory, NoRoom
from services.config import Settings
from services.host.folder import RuntimeFolderError, runtime_folder
from services.host.ledger import Entry, MemoryLedger
from services.host.memory import HostMemory
from services.runner.app import create_runner_app
from services.runner.middleware import RunnerToken
from services.wire.client import EngineClient
from services.wire.frames import EngineDescription, Line, SynthesisCall

from runners import client, engine, served, until

MEBIBYTE = 1024 * 1024


@dataclass
class Neighbour:
    """A runner that shares the budget."""

    client: EngineClient

    async def speak(self, text: str = "hello") -> None:
        call = SynthesisCall(lines=(Line(text=text, voice="tone", language="en"),))
        async for _ in self.client.speak(call):
            pass

    async def state(self) -> EngineState:
        return (await self.client.describe()).state


@asynccontextmanager
async def neighbours(
    folder: Path, *configs: EngineConfig, budget_mb: int, wait: float = 0.0
) -> AsyncGenerator[list[Neighbour], None]:
    """Runners in this process; what each takes is what its option says, as they share what is measured."""
    addresses: dict[str, str] = {}

    class Told(HostMemory):
        def keep(self, memory: Memory) -> None:
            """The process's memory is everybody's here."""

    async with AsyncExitStack() as stack:
        found: list[Neighbour] = []
        for config in configs:
            room = Told(
                config,
                Budget(ram=budget_mb * MEBIBYTE),
                folder,
                wait=wait,
                engines=configs,
                address=lambda name=config.name: addresses.get(name),
            )
            app = create_runner_app(config, room=room)
            token = config.token
            guarded = app if token is None else RunnerToken(app, token.get_secret_value())
            lifespan = await stack.enter_async_context(app.router.lifespan_context(app))
            assert lifespan is None
            addresses[config.name] = await stack.enter_async_context(served(guarded, lifespan=False))
            found.append(Neighbour(await stack.enter_async_context(client(config, addresses[config.name]))))
        yield found


def speaks(described: EngineDescription) -> bool:
    return described.state is EngineState.WARM and described.running > 0


def sized(name: str, megabytes: int = 2, **settings: object) -> EngineConfig:
    return engine(name, options={"memory_mb": megabytes}, **settings)


async def test_the_least_recently_used_engine_makes_room(tmp_path: Path) -> None:
    configs = sized("A", token=SecretStr("a secret of A's")), sized("B"), sized("C")
    async with neighbours(tmp_path, *configs, budget_mb=5) as (a, b, c):
        await a.speak()
        await b.speak()
        await a.speak()
        await c.speak()
        assert [await n.state() for n in (a, b, c)] == [EngineState.WARM, EngineState.COLD, EngineState.WARM]
        await b.speak()
        assert [await n.state() for n in (a, b, c)] == [EngineState.COLD, EngineState.WARM, EngineState.WARM]
        described = await a.client.describe()
        assert (described.loads, described.unloads, described.load_failures) == (1, 1, 0)


async def test_a_busy_engine_is_not_unloaded_and_the_other_told_to_come_back(tmp_path: Path) -> None:
    slow = engine("A", options={"memory_mb": 2, "base_ms": 60_000})
    async with neighbours(tmp_path, slow, sized("B"), budget_mb=3) as (a, b):
        speaking = asyncio.create_task(a.speak())
        await until(a.client, speaks)
        assert not await a.client.unload()
        with pytest.raises(EngineUnavailable, match=r"memory for the engine B.* A \(2 MB\)") as caught:
            await b.speak()
        assert caught.value.retry_after >= 1
        assert [await n.state() for n in (a, b)] == [EngineState.WARM, EngineState.COLD]
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        await until(a.client, lambda described: not described.held)
        await b.speak()
        assert [await n.state() for n in (a, b)] == [EngineState.COLD, EngineState.WARM]


async def test_one_waits_for_a_busy_engine_to_fall_idle(tmp_path: Path) -> None:
    slow = engine("A", options={"memory_mb": 2, "base_ms": 500})
    async with neighbours(tmp_path, slow, sized("B"), budget_mb=3, wait=30) as (a, b):
        speaking = asyncio.create_task(a.speak())
        await until(a.client, speaks)
        await b.speak()
        await speaking
        assert [await n.state() for n in (a, b)] == [EngineState.COLD, EngineState.WARM]


async def test_an_engine_is_held_between_the_sentences_of_a_call(tmp_path: Path) -> None:
    """Nobody has the model then, but it would have to be loaded again at once."""
    async with neighbours(tmp_path, engine("A", options={"seconds_per_char": 1.0}), budget_mb=3) as (a,):
        lines = tuple(Line(text="x" * 300, voice="tone", language="en") for _ in range(6))
        events = a.client.speak(SynthesisCall(lines=lines))
        await anext(events)  # 14 MB each: the rest waits for its reader
        described = await a.client.describe()
        assert described.held
        assert not await a.client.unload()
        await events.aclose()


async def test_an_engine_larger_than_the_budget(tmp_path: Path) -> None:
    async with neighbours(tmp_path, sized("A", 2), sized("B", 9), budget_mb=5) as (a, b):
        await a.speak()
        with pytest.raises(EngineUnavailable, match=r"Raise memory\.ram_bytes"):
            await b.speak()
        assert await a.state() is EngineState.WARM, "nobody is unloaded for it"
        described = await b.client.describe()
        assert described.state is EngineState.FAILED
        assert "9 MB" in (described.reason or "")


async def test_all_that_load_at_once_never_have_more_than_the_budget(tmp_path: Path) -> None:
    """Each on a lock of its own, as processes have; nobody can be asked, so who comes late finds no room."""
    configs = [sized(f"E{index}") for index in range(6)]
    rooms = [
        HostMemory(c, Budget(ram=5), tmp_path, wait=0.2, engines=configs, address=lambda: None)
        for c in configs
    ]
    results = await asyncio.gather(*(room.take(Memory(2)) for room in rooms), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [NoRoom] * 4
    assert sum(e.ram for e in MemoryLedger(tmp_path / "memory", "x").others()) == 4
    for room in rooms:
        room.leave()
    assert not list((tmp_path / "memory").iterdir())


async def test_two_that_load_together_take_turns(tmp_path: Path) -> None:
    configs = [engine(f"E{i}", options={"memory_mb": 2, "load_ms": 50, "base_ms": 20}) for i in range(4)]
    async with neighbours(tmp_path, *configs, budget_mb=5, wait=60) as members:
        await asyncio.gather(*(n.speak() for n in members for _ in range(2)))
        warm = [n for n in members if await n.state() is EngineState.WARM]
        assert len(warm) == 2
        assert len(list((tmp_path / "memory").glob("*.json"))) == 2


def entry(name: str, pid: int, started: float, ram: int = 5) -> str:
    return Entry(engine=name, address=None, pid=pid, started=started, ram=ram, vram=0).model_dump_json()


async def test_what_the_dead_have_counts_for_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = psutil.Process(process.pid).create_time()
        (folder / "dead.json").write_text(entry("DEAD", process.pid, started))
        (folder / "reused.json").write_text(entry("REUSED", process.pid, started - 1))
        ledger = MemoryLedger(folder, "OURS")
        assert [found.engine for found in ledger.others()] == ["DEAD"]
        process.communicate(b"\n", timeout=10)
    assert ledger.others() == []
    (folder / "broken.json").write_text("{")
    ledger.write(Memory(1), None)
    assert ledger.others() == [], "one's own does not count either"
    room = HostMemory(sized("OURS"), Budget(ram=5), tmp_path, wait=0, engines=(), address=lambda: None)
    await room.take(Memory(5))


HOLD = """
import asyncio, sys
from filelock import AsyncFileLock

async def main():
    async with AsyncFileLock(sys.argv[1], timeout=10, run_in_executor=False):
        print(flush=True)
        await asyncio.to_thread(input)

asyncio.run(main())
"""


async def test_a_lock_of_another_process_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        with pytest.raises(TimeoutError):
            async with AsyncFileLock(path, timeout=0.1, run_in_executor=False):
                pass
        given_up = asyncio.create_task(AsyncFileLock(path, run_in_executor=False, timeout=60).acquire())
        await asyncio.sleep(0.1)
        given_up.cancel()
        await asyncio.wait({given_up})
        assert given_up.cancelled()
        process.kill()
        async with AsyncFileLock(path, timeout=10, run_in_executor=False):
            assert path.exists()


def test_the_runtime_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings = Settings()
    folder = runtime_folder(settings)
    assert folder == runtime_folder(settings)
    assert folder.is_relative_to(tmp_path)
    assert folder.name == "8000"
    if os.name == "posix":
        assert not stat.S_IMODE(folder.stat().st_mode) & 0o077
        # Somebody else's trap.
        folder.rmdir()
        folder.parent.rmdir()
        folder.parent.symlink_to(tmp_path)
        with pytest.raises(RuntimeFolderError, match="runtime_folder"):
            runtime_folder(settings)


def test_a_runtime_folder_of_ones_choice(tmp_path: Path) -> None:
    def settings(folder: Path) -> Settings:
        return Settings.model_validate({"server": {"runtime_folder": str(folder)}})

    assert runtime_folder(settings(tmp_path / "a" / "b")).is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeFolderError, match="runtime_folder"):
        runtime_folder(settings(tmp_path / "file" / "below"))
