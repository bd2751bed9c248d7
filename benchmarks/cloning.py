"""Voices: how long one takes to be ready, how many are prepared, and a thousand of them in one organisation."""

import asyncio
import io
import os
import random
import statistics
import tempfile
import time
import wave
from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final

import aiohttp
import numpy as np

from engines.config import EngineConfig
from engines.text.reading import reading_script
from services.config import Settings
from services.gate import DatabaseGate
from services.samples.report import SampleFigures, SampleReport, SampleSource, voice_findings
from storage.columns import new_id, now
from storage.database import Database
from storage.objects.choose import open_object_store
from storage.objects.contract import ObjectStore
from storage.objects.keys import embedding_key
from storage.repositories.embeddings import EmbeddingRepository, Prepared
from storage.repositories.orgs import LOCAL_ORG_ID
from storage.repositories.samples import SampleRepository
from storage.repositories.voices import VoiceRepository
from storage.tables import AudioSample, VoiceState

from serving import memory, serve

ESPEAK: Final = EngineConfig(name="ESPEAK", type="ESPEAK", voice_cache_bytes=64 * 2**20)

MANY: Final = 1_000
CALLERS: Final = 16
PREPARERS: Final = 4
BODY: Final = {"model": "ESPEAK", "input": "The train leaves at half past nine.", "response_format": "pcm"}


async def bench_voices(rounds: int) -> None:
    """Print how long voices take, and what many of them cost."""
    settings = _settings()
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as folder:
        settings["storage"] = {
            "db_url": f"sqlite:///{folder}/voices.db",
            "object_store": {"path": f"{folder}/objects"},
        }
        with serve(settings) as (address, _):
            async with _session(address) as session:
                await _bench_ready(session)
                model = await _one_voice(session)
        await _populate(settings, model)
        with serve(settings) as (address, pid):
            async with _session(address) as session:
                await _bench_many(session, pid, rounds)


def _settings() -> dict[str, Any]:
    return {"engines": [ESPEAK.model_dump(mode="json", exclude_defaults=True)]}


def _session(address: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=0), raise_for_status=True)


async def _recording(session: aiohttp.ClientSession, voice: str, seconds: float) -> tuple[bytes, str]:
    """A wav that the server itself speaks, of about so many seconds, and its words."""
    sentences: list[str] = []
    spoken: list[np.ndarray] = []
    pause = np.zeros(7_200, np.int16)
    for sentence in [*reading_script("en")] * 4:
        body = {"model": "ESPEAK", "voice": voice, "input": sentence, "response_format": "pcm"}
        async with session.post("/v1/audio/speech", json=body) as answer:
            spoken += [np.frombuffer(await answer.read(), "<i2"), pause]
        sentences.append(sentence)
        if sum(piece.size for piece in spoken) / 24_000 >= seconds:
            break
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 24_000, 0, "NONE", ""))
        out.writeframes(np.concatenate(spoken)[: round(seconds * 24_000)].tobytes())
    return file.getvalue(), " ".join(sentences)


async def _create(
    session: aiohttp.ClientSession, name: str, recording: bytes, transcript: str | None
) -> tuple[float, float]:
    """Make a voice; seconds until the upload was answered, and until the voice was ready."""
    form = aiohttp.FormData({"name": name, "language": "en"})
    form.add_field("samples", recording, filename="a.wav", content_type="audio/wav")
    if transcript is not None:
        form.add_field("transcript", transcript)
    begin = time.perf_counter()
    async with session.post("/voices", data=form) as answer:
        voice = await answer.json()
    uploaded = time.perf_counter() - begin
    while voice["state"] != "ready":
        if voice["state"] == "failed":
            raise RuntimeError(voice["reason"])
        await asyncio.sleep(0.02)
        async with session.get(f"/voices/{voice['id']}") as answer:
            voice = await answer.json()
    return uploaded, time.perf_counter() - begin


async def _bench_ready(session: aiohttp.ClientSession) -> None:
    print("\n## From upload to ready: ESPEAK, one caller (seconds, median of 3)\n")
    print("| recording | transcript | upload answered | ready |\n| --- | --- | --- | --- |")
    number = 0
    for seconds in (10, 60):
        recording, words = await _recording(session, "onyx", seconds)
        for transcript in (None, words):
            took: list[tuple[float, float]] = []
            for _ in range(3):
                number += 1
                took.append(await _create(session, f"Ready {number}", recording, transcript))
            uploaded = statistics.median(pair[0] for pair in took)
            ready = statistics.median(pair[1] for pair in took)
            told = "no" if transcript is None else "yes"
            print(f"| {seconds} s | {told} | {uploaded:.2f} | {ready:.2f} |")
    recording, _ = await _recording(session, "nova", 10)
    begin = time.perf_counter()
    numbers = iter(range(16))

    async def caller() -> None:
        for index in numbers:
            await _create(session, f"Throughput {index}", recording, None)

    await asyncio.gather(*(caller() for _ in range(PREPARERS)))
    rate = 16 / (time.perf_counter() - begin)
    print(
        f"\n16 voices of 10 s by {PREPARERS} callers: {rate * 60:.0f} voices a minute from upload to ready."
    )


async def _one_voice(session: aiohttp.ClientSession) -> str:
    async with session.get("/v1/models/ESPEAK") as answer:
        await answer.read()
    async with session.get("/voices", params={"limit": 1}) as answer:
        voices = (await answer.json())["data"]
    return str(voices[0]["engines"][0]["model"])


async def _populate(settings: dict[str, Any], model: str) -> None:
    """Fill the organisation up to :data:`MANY` voices, each with an embedding of its own: copies of a real one."""
    loaded = Settings.model_validate(settings)
    config = loaded.storage
    async with (
        Database(config.db_url.get_secret_value()) as database,
        open_object_store(config.object_store) as objects,
    ):
        gate = DatabaseGate(database, loaded)
        async with gate.read() as session:
            repository = VoiceRepository(session, LOCAL_ORG_ID)
            known = await repository.list(limit=MANY)
            (row, *_) = await EmbeddingRepository(session, LOCAL_ORG_ID).list([known[0].id])
        reader = await objects.open(row.key or "")
        data = b"".join([chunk async for chunk in reader.chunks])
        for number in range(MANY - len(known)):
            await _add(gate, objects, number, model, data)


async def _add(gate: DatabaseGate, objects: ObjectStore, number: int, model: str, data: bytes) -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield data

    report = SampleReport(**dict(_figures()))
    async with gate.write() as session:
        voice = await VoiceRepository(session, LOCAL_ORG_ID).create(f"Voice {number:04}", language="en")
        voice.state, voice.report = VoiceState.READY, voice_findings([report]).model_dump(mode="json")
        sample = AudioSample(
            id=new_id("sample"),
            org_id=LOCAL_ORG_ID,
            voice_id=voice.id,
            filename="a.wav",
            content_type="audio/wav",
            sha256="0" * 64,
            size=0,
            duration_ms=10_000,
            report=report.model_dump(mode="json"),
            created_at=now(),
        )
        await SampleRepository(session, LOCAL_ORG_ID).add(sample)
        embedding_id = new_id("emb")
        key = embedding_key(LOCAL_ORG_ID, voice.id, embedding_id)
        prepared = Prepared(embedding_id=embedding_id, model=model, key=key, size=len(data))
        await EmbeddingRepository(session, LOCAL_ORG_ID).put_prepared(voice, "ESPEAK", prepared)
    await objects.put(key, chunks(), content_type="application/octet-stream", max_bytes=len(data))


def _figures() -> SampleFigures:
    source = SampleSource(container="wav", codec="pcm_s16le", sample_rate=24_000, channels=1, seconds=10.0)
    return SampleFigures(
        source=source,
        seconds=10.0,
        speech_seconds=9.0,
        snr_db=40.0,
        level_lufs=-23.0,
        peak_dbfs=-3.0,
        clipping=0.0,
        bandwidth_hz=10_000.0,
        voiced_ratio=0.7,
        pitch_hz=120.0,
        pitch_spread=3.0,
        timbre_spread=0.1,
        fingerprint=(),
    )


async def _bench_many(session: aiohttp.ClientSession, pid: int, rounds: int) -> None:
    async with session.get("/v1/audio/voices") as answer:
        own = [voice["id"] for voice in (await answer.json())["voices"] if voice["id"].startswith("voice_")]
    print(f"\n## {len(own)} voices in one organisation, {CALLERS} callers in random ones\n")
    print("| list | p50 ms | p95 ms |\n| --- | --- | --- |")
    for name, path in (
        ("a page of 100", "/voices?limit=100"),
        ("a search", "/voices?limit=100&search=voice 07"),
        ("all, in the community's shape", "/v1/audio/voices"),
    ):
        times = sorted([await _timed(session, path) for _ in range(100)])
        print(f"| {name} | {times[50] * 1000:.1f} | {times[95] * 1000:.1f} |")
    print(
        "\n| round | requests/s | first byte p50 / p95, ms | hits | misses | cached, MiB | runner, MiB | Gateway, MiB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for number in range(1, rounds + 1):
        before = await _cache(session)
        begin = time.perf_counter()
        order = iter(random.Random(number).sample(own, len(own)))  # noqa: S311 - load, not secrets
        firsts: list[float] = []

        async def caller(order: Iterator[str], firsts: list[float]) -> None:
            for voice in order:
                started = time.perf_counter()
                async with session.post("/v1/audio/speech", json={**BODY, "voice": voice}) as answer:
                    await answer.content.readany()
                    firsts.append(time.perf_counter() - started)
                    await answer.read()

        await asyncio.gather(*(caller(order, firsts) for _ in range(CALLERS)))
        took = time.perf_counter() - begin
        after = await _cache(session)
        firsts.sort()
        sizes = memory(pid)
        runner = sum(size for name, size in sizes.items() if name.startswith("runner"))
        gateway = sum(size for name, size in sizes.items() if name.startswith("gateway"))
        print(
            f"| {number} | {len(firsts) / took:.1f} "
            f"| {firsts[len(firsts) // 2] * 1000:.0f} / {firsts[int(len(firsts) * 0.95)] * 1000:.0f} "
            f"| {after['hits'] - before['hits']} | {after['misses'] - before['misses']} "
            f"| {after['bytes'] / 2**20:.1f} | {runner:.0f} | {gateway:.0f} |"
        )


async def _timed(session: aiohttp.ClientSession, path: str) -> float:
    begin = time.perf_counter()
    async with session.get(path) as answer:
        await answer.read()
    return time.perf_counter() - begin


async def _cache(session: aiohttp.ClientSession) -> dict[str, int]:
    async with session.get("/health/ready") as answer:
        return dict((await answer.json())["parts"]["engines"]["ESPEAK"]["voices"])


if __name__ == "__main__":
    asyncio.run(bench_voices(int(os.environ.get("ROUNDS", "4"))))
