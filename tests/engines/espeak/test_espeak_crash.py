"""What is lost when a worker is lost: the utterance it was speaking, and nothing else."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
import pytest

from engines.config import EngineConfig
from engines.contract import (
    EngineOverloaded,
    EngineUnavailable,
    Outcome,
    Speech,
    Streamed,
    Utterance,
    collect,
    synthesize,
)
from engines.espeak.adapter import EspeakEngine
from engines.espeak.process import HIGH_WATER, WorkerProcess
from engines.espeak.wire import CLOSING, MessageKind, Request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

LONG = "something long and winding that goes on and on. " * 20


def say(text: str, voice: str = "en-gb") -> Utterance:
    return Utterance(text=text, voice=voice, language="en")


@pytest.fixture
async def engine(started: Callable[[], list[psutil.Process]]) -> AsyncGenerator[EspeakEngine, None]:
    engine = EspeakEngine(EngineConfig(name="e", max_concurrent_jobs=1, utterance_timeout_seconds=2))
    await engine.load()
    yield engine
    await engine.close()
    assert not started(), "an orphan"


async def speak_and_hit(
    engine: EspeakEngine, batch: Sequence[Utterance], victims: set[int], signal_number: int
) -> list[Outcome]:
    """Speak ``batch``; send the signal at the first PCM of each of ``victims``."""
    left = set(victims)

    async def watched() -> AsyncGenerator[Streamed, None]:
        async with aclosing(engine.stream(batch)) as items:
            async for index, item in items:
                if index in left and isinstance(item, np.ndarray):
                    left.remove(index)
                    os.kill(engine.workers[0], signal_number)
                yield index, item

    return await collect(watched(), len(batch))


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_a_crash_costs_one_utterance(engine: EspeakEngine, signal_number: int):
    before = engine.workers
    outcomes = await speak_and_hit(engine, [say("One."), say(LONG), say("Three.")], {1}, signal_number)
    assert [type(outcome) for outcome in outcomes] == [Speech, EngineUnavailable, Speech]
    assert engine.workers != before
    assert isinstance((await synthesize(engine, [say("Four.")]))[0], Speech)


async def test_a_storm_of_crashes(engine: EspeakEngine):
    batch = [say(LONG if n % 2 else f"Number {n}.") for n in range(12)]
    victims = {n for n in range(12) if n % 2}
    outcomes = await speak_and_hit(engine, batch, victims, signal.SIGKILL)
    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, EngineUnavailable if n in victims else Speech), n


async def test_a_worker_lost_between_batches_costs_nothing(engine: EspeakEngine):
    for _ in range(3):
        os.kill(engine.workers[0], signal.SIGKILL)
        outcomes = await synthesize(engine, [say("One."), say("Two.")])
        assert [type(outcome) for outcome in outcomes] == [Speech, Speech]


async def test_a_hang_ends_with_its_time(engine: EspeakEngine):
    outcomes = await speak_and_hit(engine, [say(LONG), say("Two.")], {0}, signal.SIGSTOP)
    assert isinstance(outcomes[0], EngineUnavailable)
    assert "longer than 1 s" in outcomes[0].message
    assert isinstance(outcomes[1], Speech)


async def test_a_worker_that_does_not_stop_is_replaced(engine: EspeakEngine):
    before = engine.workers[0]
    async with aclosing(engine.stream([say(LONG)] * 4)) as items:
        await anext(items)
        os.kill(before, signal.SIGSTOP)
    assert isinstance((await synthesize(engine, [say("Next.")]))[0], Speech)
    assert before not in engine.workers


async def test_stopping_keeps_the_worker(engine: EspeakEngine):
    before = engine.workers
    for _ in range(20):
        async with aclosing(engine.stream([say(LONG)] * 4)) as items:
            await anext(items)
    assert isinstance((await synthesize(engine, [say("Next.")]))[0], Speech)
    assert engine.workers == before


async def test_a_worker_stops_what_is_aborted_and_speaks_the_rest(engine: EspeakEngine):
    assert engine._pool
    worker = engine._pool.workers[0]
    ids = [worker.speak(Request(LONG, "gmw/en", 175)) for _ in range(3)]
    assert (await worker.receive(5)).kind is MessageKind.PCM
    for request_id in ids[:2]:
        worker.abort(request_id)
    closings: list[tuple[int, MessageKind]] = []
    while len(closings) < 3:
        frame = await worker.receive(5)
        if frame.kind in CLOSING:
            closings.append((frame.id, frame.kind))
    assert closings == [
        (ids[0], MessageKind.ABORTED),
        (ids[1], MessageKind.ABORTED),
        (ids[2], MessageKind.DONE),
    ]
    assert not worker.busy


async def test_closing_while_it_speaks(engine: EspeakEngine):
    stream = engine.stream([say(LONG), say(LONG)])
    first = await anext(stream)
    await engine.close()
    rest = [first, *[item async for item in stream]]
    endings = [item for _, item in rest if not isinstance(item, np.ndarray)]
    assert [type(item) for item in endings] == [EngineUnavailable, EngineUnavailable]


async def test_waiting_for_a_worker_has_an_end():
    engine = EspeakEngine(EngineConfig(name="e", max_concurrent_jobs=1, utterance_timeout_seconds=0.2))
    await engine.load()
    try:
        async with aclosing(engine.stream([say(LONG)])) as items:
            await anext(items)
            second = await synthesize(engine, [say("Two."), say("Three.")])
        assert [type(outcome) for outcome in second] == [EngineOverloaded, EngineOverloaded]
    finally:
        await engine.close()


async def test_a_slow_reader_makes_the_worker_wait(engine: EspeakEngine):
    assert engine._pool
    worker = engine._pool.workers[0]
    batch = [say(LONG)] * 6
    whole = sum(len(o.pcm) for o in await synthesize(engine, batch) if isinstance(o, Speech))
    stream = engine.stream(batch)
    first = await anext(stream)
    async with asyncio.timeout(20):
        while not worker._paused:
            await asyncio.sleep(0.001)
    assert worker._held < 2 * HIGH_WATER < whole * 2
    rest = [first, *[item async for item in stream]]
    assert sum(len(i) for _, i in rest if isinstance(i, np.ndarray)) == pytest.approx(whole, rel=0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="limits and parent-death signals are Linux's here")
def test_workers_end_with_a_parent_that_is_killed():
    program = (
        "import asyncio\n"
        "from engines.espeak.adapter import EspeakEngine\n"
        "from engines.config import EngineConfig\n"
        "async def main():\n"
        "    engine = EspeakEngine(EngineConfig(name='e', max_concurrent_jobs=2))\n"
        "    await engine.load()\n"
        "    print(*engine.workers, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(workers) == 2
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="limits and parent-death signals are Linux's here")
async def test_a_worker_is_confined(engine: EspeakEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWAAZTWIN_AUTH__SECRET", "hunter2")
    os.kill(engine.workers[0], signal.SIGKILL)
    await synthesize(engine, [say("A new worker.")])
    worker = psutil.Process(engine.workers[0])
    assert not any("AWAAZTWIN" in name for name in worker.environ())
    assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_AS)[0] == 1 << 30
    assert worker.memory_info().rss < 60 << 20
    assert not any("numpy" in mapped.path for mapped in worker.memory_maps())


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
async def test_a_worker_goes_on_when_the_server_is_told_to_stop(engine: EspeakEngine, told: signal.Signals):
    """The signal goes to every process of the server; only the runner knows what is still to be spoken."""
    worker = engine.workers[0]
    (outcome,) = await speak_and_hit(engine, [say(LONG)], {0}, told)
    assert isinstance(outcome, Speech)
    assert list(engine.workers) == [worker]


async def test_a_long_path_is_no_obstacle(engine: EspeakEngine, tmp_path: Path):
    assert engine._folder
    folder = tmp_path / ("long" * 50) / ("path" * 25)
    folder.parent.mkdir()
    shutil.copytree(engine._folder, folder, symlinks=True)
    worker = await WorkerProcess.start(folder / "libespeak-ng.so", folder)
    assert worker.sample_rate == 22_050
    assert worker.version.startswith("1.")
    await worker.stop()


async def test_load_says_what_is_missing(engine: EspeakEngine, tmp_path: Path):
    assert engine._folder
    library = engine._folder / "libespeak-ng.so"
    with pytest.raises(EngineUnavailable, match="espeak_Initialize"):
        await WorkerProcess.start(library, tmp_path)
    with pytest.raises(EngineUnavailable, match=r"nothing\.so.*pip install"):
        await WorkerProcess.start(tmp_path / "nothing.so", tmp_path)
    for folder, message in ((None, r"awaaztwin\[server\]"), (tmp_path, "no eSpeak NG library")):
        broken = EspeakEngine(EngineConfig(name="e"))
        broken.__dict__["_folder"] = folder
        with pytest.raises(EngineUnavailable, match=message):
            await broken.load()
        assert broken.voices() == ()
        assert not broken.workers
        await broken.close()
