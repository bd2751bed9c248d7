"""XTTS through the whole server over callers, beside coqui-tts's own server on the same weights."""

import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
import numpy as np

from engines.config import EngineConfig
from engines.contract import Speech, Utterance, synthesize
from engines.registry import get_engine_adapter
from engines.text.reading import reading_script

from ours import engine_settings, forced, summary
from quiet import Watch
from serving import free_port, serve
from spoken import RATE, TEXTS, Spoken, print_table
from stock import LANGUAGE, SPEAKER, THREADS, serve_folder

START_TIMEOUT: Final = 180.0
STOP_TIMEOUT: Final = 20.0
READY_TIMEOUT: Final = 180.0
REQUEST_TIMEOUT: Final = 1_200.0
PADDING: Final = 10_000
"""Samples of silence that coqui-tts puts after each sentence; they are not counted as speech."""

WAV_HEADER: Final = 44


@dataclass(frozen=True, slots=True)
class Point:
    """What a number of callers saw of one server.

    Attributes:
        callers: How many.
        first50: Seconds until the first audio, median.
        first95: The same, 95 %.
        factor: Seconds from request to last byte, for a second of audio, median.
        rate: Seconds of audio a second, of all callers together.
        errors: Requests that failed.
        dirty: Whether others used the processors meanwhile.
    """

    callers: int
    first50: float
    first95: float
    factor: float
    rate: float
    errors: int
    dirty: bool

    def row(self, name: str) -> list[str]:
        """A row of the table, for the server of that name."""
        times = [f"{value:.2f}" for value in (self.first50, self.first95, self.factor, self.rate)]
        return [str(self.callers), name + " *" * self.dirty, *times, str(self.errors)]


async def bench_server(
    folder: Path,
    device: str,
    *,
    tokens: int,
    callers: tuple[int, ...],
    each: int,
    options: dict[str, Any],
    stock: bool,
) -> dict[str, list[Point]]:
    """Print the table; gives its rows, by server.

    Args:
        folder: The checkpoint's.
        device: ``cpu`` or ``cuda``.
        tokens: Audio tokens of each sentence, forced on both sides.
        callers: Each row's.
        each: Requests of each caller to ours; stock gets at least two, and one of each caller.
        options: Of our engine.
        stock: Whether stock's server runs beside it.
    """
    print(f"\n## XTTS through the whole server, pcm: sentences of {tokens} audio tokens\n")
    points: dict[str, list[Point]] = {"stock": [], "ours": []} if stock else {"ours": []}
    with stock_server(folder, device, tokens, wanted=stock) as old:
        settings = engine_settings(str(folder), device, forced(options, tokens), batch=max(callers))
        async with our_server(settings) as (session, voice):
            speak = _ours(session, str(settings["name"]), voice)
            await speak(TEXTS[1])
            for count in callers:
                if old is not None:
                    async with _session(old) as other:
                        points["stock"].append(await _load(count, 2 if count == 1 else 1, _stock(other)))
                points["ours"].append(await _load(count, each, speak))
    print_table(
        ["callers", "server", "first audio p50, s", "p95", "RTF p50", "throughput, × real time", "errors"],
        [
            point.row(name)
            for rows in zip(*points.values(), strict=True)
            for name, point in zip(points, rows, strict=True)
        ],
    )
    print(
        "Measured at the client. RTF is a request's seconds from asking to its last byte for a second of its audio. "
        "Each caller asks again as soon as it is answered. Stock is coqui-tts's own server (`TTS/server/server.py`, one "
        "request at a time, whole sentences), with latents of its voice at hand. * others used more than 8 % of the "
        "processors meanwhile.\n"
    )
    return points


@contextmanager
def stock_server(
    checkpoint: Path, device: str, tokens: int, *, wanted: bool
) -> Generator[str | None, None, None]:
    """Coqui-tts's own server on a free port of 127.0.0.1; gives its address, once it has spoken."""
    if not wanted:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as temporary:
        folder = Path(temporary)
        serve_folder(checkpoint, folder)
        script = Path(__file__).with_name("stock.py")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(script), str(folder), str(port), device, str(tokens)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": str(THREADS)},
            )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(process, address, folder / "log")
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{address}/api/tts", params=_query(TEXTS[1]), timeout=START_TIMEOUT)
        except httpx.ConnectError:
            time.sleep(0.5)
            continue
        if answer.status_code == 200:
            return
        break
    raise RuntimeError("coqui-tts's server did not start:\n" + log.read_text(errors="replace")[-4000:])


@asynccontextmanager
async def our_server(
    settings: dict[str, Any],
) -> AsyncGenerator[tuple[aiohttp.ClientSession, str], None]:
    """The whole server with one engine; gives a session and the id of a voice that is ready."""
    recording = await spoken_recording()
    limits = {"first_audio_timeout_seconds": 600, "stall_timeout_seconds": 600}
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as objects:
        configuration: dict[str, object] = {"engines": [settings], "limits": limits}
        configuration["storage"] = {
            "db_url": f"sqlite:///{objects}/voices.db",
            "object_store": {"path": f"{objects}/objects"},
        }
        with serve(configuration) as (address, _):
            async with _session(address) as session:
                yield session, await _voice(session, recording)


async def spoken_recording(seconds: float = 12.0) -> bytes:
    """A wav that the embedded engine speaks: what the server takes for a recording of somebody."""
    engine = get_engine_adapter("ESPEAK", EngineConfig(name="ESPEAK", type="ESPEAK"))
    await engine.load()
    try:
        lines = [Utterance(text=text, voice="onyx", language="en") for text in reading_script("en")]
        outcomes = await synthesize(engine, lines)
    finally:
        await engine.close()
    pcm = np.concatenate([outcome.pcm for outcome in outcomes if isinstance(outcome, Speech)])
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, engine.sample_rate, 0, "NONE", ""))
        out.writeframes(pcm[: round(seconds * engine.sample_rate)].tobytes())
    return file.getvalue()


async def _voice(session: aiohttp.ClientSession, recording: bytes) -> str:
    """Make a voice, and wait until an engine has prepared it."""
    form = aiohttp.FormData({"name": "Bench", "language": LANGUAGE})
    form.add_field("samples", recording, filename="a.wav", content_type="audio/wav")
    async with session.post("/voices", data=form) as answer:
        voice = await answer.json()
    deadline = time.monotonic() + READY_TIMEOUT
    while voice["state"] != "ready":
        if voice["state"] == "failed" or time.monotonic() > deadline:
            raise RuntimeError(f"the voice is {voice['state']}: {voice['reason']}")
        await asyncio.sleep(0.1)
        async with session.get(f"/voices/{voice['id']}") as answer:
            voice = await answer.json()
    return str(voice["id"])


def _session(address: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        address,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT),
    )


def _query(text: str) -> dict[str, str]:
    return {"text": text, "speaker_id": SPEAKER, "language_id": LANGUAGE}


def _stock(session: aiohttp.ClientSession) -> Callable[[str], Awaitable[Spoken]]:
    return lambda text: _ask(session.get("/api/tts", params=_query(text)), WAV_HEADER + 2 * PADDING)


def _ours(session: aiohttp.ClientSession, model: str, voice: str) -> Callable[[str], Awaitable[Spoken]]:
    body = {"model": model, "voice": voice, "response_format": "pcm"}
    return lambda text: _ask(session.post("/v1/audio/speech", json={**body, "input": text}), 0)


async def _ask(request: Any, extra: int) -> Spoken:  # noqa: ANN401 - aiohttp's own private type
    """One request; ``extra`` bytes of its answer are no speech.

    Raises:
        RuntimeError: The server refused it.
    """
    begin = time.perf_counter()
    first, size = 0.0, 0
    async with request as answer:
        if answer.status != 200:
            raise RuntimeError(await answer.text())
        async for data in answer.content.iter_any():
            first = first or time.perf_counter() - begin
            size += len(data)
    return Spoken(first=first, total=time.perf_counter() - begin, audio=(size - extra) / 2 / RATE)


async def _load(callers: int, each: int, speak: Callable[[str], Awaitable[Spoken]]) -> Point:
    """Callers that each ask ``each`` times, again as soon as they are answered."""
    spoken: list[Spoken] = []
    failed: list[str] = []

    async def caller(number: int) -> None:
        for turn in range(each):
            try:
                spoken.append(await speak(TEXTS[(number + turn) % len(TEXTS)]))
            except (aiohttp.ClientError, RuntimeError, TimeoutError) as error:
                failed.append(f"{type(error).__name__}: {error}")

    with Watch() as watch:
        await asyncio.gather(*(caller(number) for number in range(callers)))
    if failed:
        print(f"{len(failed)} requests failed, the first with {failed[0][:300]}", file=sys.stderr)
    seen = summary(watch.seconds, spoken)
    return Point(callers=callers, errors=len(failed), dirty=watch.dirty, **seen)
