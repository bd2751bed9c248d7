"""What is measured in a process of its own: one that runs tests has other memory, and servers below it."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import numpy as np

from engines.config import EngineConfig
from engines.memory import measure, reclaim
from engines.registry import get_engine_adapter
from engines.synthetic import BALLAST

T = TypeVar("T")


def in_own_process(function: Callable[[], T]) -> T:
    """Call a function of a module of tests/support in a new process; gives its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(function).result(120)


def taken_by_a_child() -> int:
    """Bytes that a child with 50 MB adds to what is measured."""
    before = measure()
    child = "b = bytearray(b'x') * 50_000_000; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        taken = measure().since(before).ram
        process.communicate(b"\n", timeout=10)
    return taken


def taken_by_an_engine() -> tuple[int, int, int]:
    """Bytes that an engine of 64 MiB takes: loaded, closed, and after its memory was reclaimed.

    It is in small pieces, and a last one lies above them: freeing alone leaves them to the process.
    """

    async def run() -> tuple[int, int, int]:
        engine = get_engine_adapter(
            "SYNTHETIC", EngineConfig(name="E", type="SYNTHETIC", options={"memory_mb": 64})
        )
        before = measure()
        await engine.load()
        loaded = measure()
        above = np.ones(BALLAST, np.uint8)
        await engine.close()
        freed = measure()
        await asyncio.to_thread(reclaim)
        after = measure()
        assert above.all()
        return loaded.since(before).ram, freed.since(before).ram, after.since(before).ram

    return asyncio.run(run())
