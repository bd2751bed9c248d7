"""What noisy tenants cost a quiet one: slow readers, lexicons, uploads, logins and half-sent heads, in one run.

The quiet tenant speaks a sentence, waits a moment and speaks the next: first alone, then beside two tenants
that do all of the above from processes of their own, then alone again. Everything runs on the same cores, the
noisy processes at the lowest priority: they stand for other machines.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from services.config import QuotaConfig, Settings
from services.gate import DatabaseGate
from services.host.parent import end_with_parent
from services.tenancy.administration import Administration
from services.tenancy.authenticator import LOCAL
from services.tenancy.origin import CLI
from services.tenancy.passwords import Passwords
from storage.database import Database

from serving import memory, serve
from spoken import machine

SENTENCE = "The train to Mumbai leaves at half past nine, and we are late."
PAUSE = 0.25
"""Seconds between an answer of the quiet tenant and its next request."""

WARM_UP = 5.0

SLOW_READERS = 128
LEXICONS = 10
UPLOADS = 10
LOGINS = 10
HEADS = 200
UPLOAD_BYTES = 30 * 1024 * 1024
PATIENCE = 120.0
"""Seconds that a client waits for an answer."""

PASSWORD = "correct horse battery staple 9"  # noqa: S105 - made up


@dataclass
class Heard:
    """What the quiet tenant saw.

    Attributes:
        first: Seconds to the first byte of audio, of each request.
        answers: How many there were of each status, or of each kind of failure.
    """

    first: list[float] = field(default_factory=list[float])
    answers: Counter[str] = field(default_factory=Counter[str])

    @property
    def p95(self) -> float:
        """Seconds, of the first audio."""
        return sorted(self.first)[min(len(self.first) - 1, int(len(self.first) * 0.95))]


@dataclass(frozen=True)
class Customer:
    """A tenant of the benchmark: its key, and the address of its owner."""

    key: str
    email: str


async def listen(address: str, key: str, seconds: float) -> Heard:
    """Be the quiet tenant for some seconds."""
    heard = Heard()
    end = time.perf_counter() + seconds
    body = {"model": "ESPEAK", "voice": "en-us", "input": SENTENCE, "response_format": "pcm"}
    async with _session(address, key) as session:
        while time.perf_counter() < end:
            begin = time.perf_counter()
            try:
                async with session.post("/v1/audio/speech", json=body) as answer:
                    await answer.content.readany()
                    took = time.perf_counter() - begin
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                heard.answers[type(error).__name__] += 1
            else:
                heard.answers[str(answer.status)] += 1
                if answer.status == 200:
                    heard.first.append(took)
            await asyncio.sleep(PAUSE)
    return heard


async def read_slowly(address: str, key: str, _email: str, tell: Callable[[str], None]) -> None:
    """Ask for minutes of audio and read a few bytes of it now and then."""
    text = "A long story about a slow train, told to nobody at all. " * 70
    body = {"model": "ESPEAK", "voice": "en-us", "input": text[:4_000], "response_format": "wav"}
    async with (
        _session(address, key, limit=2**12) as session,
        session.post("/v1/audio/speech", json=body) as answer,
    ):
        tell(str(answer.status))
        while await answer.content.read(256):  # noqa: ASYNC110 - slow on purpose
            await asyncio.sleep(2.0)


async def multiply(address: str, key: str, _email: str, tell: Callable[[str], None]) -> None:
    """Have a lexicon make much of little."""
    lexicon = {"a": "b " * 500, **{f"word{number}": "c " * 400 for number in range(4)}}
    body = {"model": "ESPEAK", "voice": "en-us", "input": "a " * 2_000, "lexicon": lexicon}
    async with _session(address, key) as session, session.post("/v1/audio/speech", json=body) as answer:
        tell(str(answer.status))
        await answer.read()


async def withhold(address: str, key: str, _email: str, tell: Callable[[str], None]) -> None:
    """Upload a recording and withhold its end."""
    host, port = urlsplit(address).hostname, urlsplit(address).port
    edge = uuid.uuid4().hex
    part = f'--{edge}\r\ncontent-disposition: form-data; name="audio_sample"; filename="a.wav"\r\n\r\n'
    head = (
        f"POST /v1/audio/voices HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: multipart/form-data; boundary={edge}\r\ncontent-length: {UPLOAD_BYTES}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write((head + part).encode())
        for _ in range(UPLOAD_BYTES // 2**20 - 1):
            writer.write(bytes(2**20))
            await asyncio.wait_for(writer.drain(), PATIENCE)
        line = await asyncio.wait_for(reader.readline(), PATIENCE)
        tell(line.split()[1].decode() if line.count(b" ") else "closed")
    finally:
        writer.close()


async def guess(address: str, _key: str, email: str, tell: Callable[[str], None]) -> None:
    """Guess a password, of oneself or another."""
    body = {"email": email, "password": uuid.uuid4().hex}
    async with _session(address, None) as session, session.post("/auth/login", json=body) as answer:
        tell(str(answer.status))
        await answer.read()


async def dangle(address: str, _key: str, _email: str, tell: Callable[[str], None]) -> None:
    """Send half of a head, then nothing."""
    reader, writer = await asyncio.open_connection(urlsplit(address).hostname, urlsplit(address).port)
    try:
        writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\na: ")
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), PATIENCE)
        tell(line.split()[1].decode() if line.count(b" ") else "closed")
    finally:
        writer.close()


Noise = Callable[[str, str, str, Callable[[str], None]], Awaitable[None]]

NOISES: dict[str, tuple[Noise, int]] = {
    "slow readers": (read_slowly, SLOW_READERS),
    "lexicons": (multiply, LEXICONS),
    "uploads without an end": (withhold, UPLOADS),
    "guessed passwords": (guess, LOGINS),
    "half-sent heads": (dangle, HEADS),
}


async def make_noise(
    address: str, key: str, email: str, seconds: float, kinds: list[str]
) -> dict[str, Counter[str]]:
    """Be a noisy tenant for some seconds; gives how often each answer came, by noise."""
    told = {name: Counter[str]() for name in kinds}
    end = time.monotonic() + seconds

    async def one(name: str, noise: Noise) -> None:
        def tell(answer: str) -> None:
            told[name][answer] += 1

        while (left := end - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await noise(address, key, email, tell)
            except TimeoutError:
                if time.monotonic() < end:
                    tell("TimeoutError")
            except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError, ValueError) as error:
                tell(type(error).__name__)
                await asyncio.sleep(0.1)

    noises = [(name, *NOISES[name]) for name in kinds]
    await asyncio.gather(*(one(name, noise) for name, noise, count in noises for _ in range(count)))
    return told


async def compare(seconds: float, alone: float, kinds: list[str]) -> None:
    """Print the quiet tenant's first audio alone and beside the noise."""
    with tempfile.TemporaryDirectory(prefix="awaaztwin-bench-") as folder:
        settings: dict[str, Any] = {
            "engines": [{"name": "ESPEAK", "type": "ESPEAK"}],
            "auth": {"mode": "required"},
            "storage": {
                "db_url": f"sqlite:///{folder}/noisy.db",
                "object_store": {"path": f"{folder}/objects"},
            },
        }
        with serve(settings) as (address, pid):
            quiet, *noisy = await _customers(settings, 3)
            await listen(address, quiet.key, WARM_UP)
            before = await listen(address, quiet.key, alone)
            commands = [
                [
                    *("nice", "-n", "19", sys.executable, __file__, "--noise", address, one.key, email),
                    *("--seconds", str(seconds), "--kinds", ",".join(kinds)),
                ]
                for one, email in zip(noisy, (noisy[0].email, quiet.email), strict=True)
            ]
            noise = [
                await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE) for command in commands
            ]
            beside = await listen(address, quiet.key, seconds)
            told = [json.loads((await process.communicate())[0]) for process in noise]
            sizes = memory(pid)
            after = await listen(address, quiet.key, alone)
    _print(before, beside, after, told, sizes)


def _print(
    before: Heard, beside: Heard, after: Heard, told: list[dict[str, dict[str, int]]], sizes: dict[str, float]
) -> None:
    print("| the quiet tenant | requests | p50, ms | p95, ms | p95, of alone | answers |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, heard in (("alone", before), ("beside the noise", beside), ("alone again", after)):
        if not heard.first:
            print(f"| {name} | 0 | – | – | – | {_counted(heard.answers)} |")
            continue
        middle, high = statistics.median(heard.first), heard.p95
        ratio = high / before.p95
        print(
            f"| {name} | {len(heard.first)} | {middle * 1000:.0f} | {high * 1000:.0f} | {ratio:.2f} "
            f"| {_counted(heard.answers)} |"
        )
    print("\n| noise | at once, of both | answers |\n| --- | --- | --- |")
    for name in told[0]:
        answers = sum((Counter(one[name]) for one in told), Counter[str]())
        print(f"| {name} | {NOISES[name][1] * len(told)} | {_counted(answers)} |")
    print("\nMiB at the end: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()))


def _counted(answers: Counter[str]) -> str:
    return ", ".join(f"{count} × {answer}" for answer, count in sorted(answers.items())) or "none"


async def _customers(settings: dict[str, Any], count: int) -> list[Customer]:
    loaded = Settings.model_validate(settings)
    made: list[Customer] = []
    async with Database(loaded.storage.db_url.get_secret_value()) as database:
        gate = DatabaseGate(database, loaded)
        hashed = await Passwords().hash(PASSWORD)
        for number in range(count):
            async with gate.write() as session:
                admin = Administration(session, QuotaConfig(), CLI, by=LOCAL)
                org = await admin.create_org(f"Customer {number}", plan=None, limits={})
                email = f"owner@customer{number}.example"
                await admin.create_owner(org.id, email, hashed, operator=False)
                key = await admin.create_key(org.id, name="bench", scopes=None)
            made.append(Customer(key.text, email))
    return made


def _session(address: str, key: str | None, *, limit: int = 2**16) -> aiohttp.ClientSession:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(
        address, headers=headers, timeout=timeout, connector=connector, read_bufsize=limit
    )


def main() -> None:
    """Run the comparison, or be one of its noisy tenants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0, help="of noise")
    parser.add_argument("--alone", type=float, default=60.0, help="seconds without noise, before and after")
    parser.add_argument("--kinds", default=",".join(NOISES), help="the noises to make, with commas between")
    parser.add_argument("--noise", nargs=3, metavar=("ADDRESS", "KEY", "EMAIL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(NOISES):
        parser.error(f"There is no noise called {', '.join(sorted(unknown))}; there is {', '.join(NOISES)}.")
    if options.noise:
        end_with_parent()
        address, key, email = options.noise
        print(json.dumps(asyncio.run(make_noise(address, key, email, options.seconds, kinds))))
        return
    print(f"{machine()}\n")
    asyncio.run(compare(options.seconds, options.alone, kinds))


if __name__ == "__main__":
    main()
