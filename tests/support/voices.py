"""Voices over HTTP: recordings to make them from, how they sound, and what a server keeps of them."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import media
from live import eventually
from speaking import RATE, speech
from tenants import error

TONE: dict[str, Any] = {
    "name": "TONE",
    "type": "SYNTHETIC",
    "options": {"base_ms": 1, "item_ms": 0, "seconds_per_char": 0.02},
}
"""An engine that clones in a moment: it speaks in a tone of the recordings' strongest frequency."""

SENTENCE = "A sentence that is long enough to tell a tone by."

BUSY = {"pending", "processing"}

KEPT = ("voices", "voice_aliases", "audio_samples", "voice_embeddings", "voice_consents", "doomed_objects")
"""Tables of voices."""


@cache
def recording(who: str = "onyx", count: int = 2) -> bytes:
    """A wav of somebody's first sentences, four seconds each."""
    return media.wav(media.pcm16(speech(who, count)))


def samples(*data: bytes, field: str = "samples") -> list[tuple[str, tuple[str, bytes]]]:
    """Recordings as httpx sends them."""
    return [(field, (f"take {number}.wav", one)) for number, one in enumerate(data)]


def create(client: httpx.Client, name: str, *data: bytes, **fields: Any) -> dict[str, Any]:
    """A new voice."""
    answer = client.post("/voices", data={"name": name, **fields}, files=samples(*data or [recording()]))
    assert answer.status_code == 201, answer.text
    return answer.json()


def attest(client: httpx.Client, voice_id: str) -> dict[str, Any]:
    """Somebody's word that they consent."""
    words = {"name": "Asha Rao", "text": "I agree to be spoken like.", "language": "en"}
    answer = client.post(f"/voices/{voice_id}/consent", json=words)
    assert answer.status_code == 201, answer.text
    return answer.json()


def settled(client: httpx.Client, voice_id: str) -> dict[str, Any]:
    """The voice, once nothing will become of it soon; what failed and is tried again is not waited for."""
    shown: dict[str, Any] = {}

    def done() -> bool:
        shown.update(client.get(f"/voices/{voice_id}").json())
        parts = [shown, *shown["engines"]]
        return not [part for part in parts if part["state"] in BUSY and part["reason"] is None]

    eventually(done)
    return shown


def ready(client: httpx.Client, name: str, *data: bytes, **fields: Any) -> dict[str, Any]:
    """A new voice with a consent, once it speaks."""
    voice = create(client, name, *data, **fields)
    attest(client, voice["id"])
    shown = settled(client, voice["id"])
    assert shown["state"] == "ready", shown
    return shown


def say(client: httpx.Client, voice: Any, text: str = SENTENCE, **fields: Any) -> httpx.Response:
    """Speech in a voice."""
    body = {"voice": voice, "input": text, "response_format": "pcm", **fields}
    return client.post("/v1/audio/speech", json=body)


def pitch(pcm: bytes) -> float:
    """The strongest frequency of PCM at 24 kHz, in hertz."""
    size = 1 << 17
    return float(np.abs(np.fft.rfft(np.frombuffer(pcm, "<i2"), size)).argmax()) * RATE / size


def heard(client: httpx.Client, voice: Any, **fields: Any) -> float:
    """The pitch that a voice speaks with, in hertz."""
    answer = say(client, voice, **fields)
    assert answer.status_code == 200, answer.text
    return pitch(answer.content)


def refused(answer: httpx.Response, status: int, code: str | None, param: str | None = None) -> str:
    """The message of an error that is the expected one."""
    found = error(answer)
    told = (answer.status_code, found["code"])
    assert told == (status, code), found
    assert param is None or found["param"] == param, found
    return found["message"]


def objects(folder: Path) -> list[str]:
    """The keys of a server's object store in a folder."""
    root = folder / "objects"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def rows(folder: Path, org_id: str) -> dict[str, int]:
    """How many rows of voices a server's SQLite database has of a tenant; without those that are none."""
    counts: dict[str, int] = {}
    with closing(sqlite3.connect(folder / "awaaztwin.db")) as database:
        for table in KEPT:
            doomed = table == "doomed_objects"
            where = "key LIKE 'org/' || ? || '/%'" if doomed else "org_id = ?"
            query = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608 - of our own names
            counts[table] = database.execute(query, [org_id]).fetchone()[0]
    return {table: count for table, count in counts.items() if count}
