"""The hostile corpus is uploaded: each file is answered; processes, memory and disk stay as they are."""

import tempfile
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from storage.repositories.orgs import LOCAL_ORG_ID

from hostile import ANY, HostileFile, hostile_files
from live import Server, eventually, start
from tenants import error
from voices import TONE, objects, recording, rows, samples

MIB = 1024 * 1024
AT_ONCE = 1


def used(server: Server) -> int:
    """Bytes of all processes of a server that no other process shares."""
    total = 0
    for process in [psutil.Process(server.process.pid), *server.workers()]:
        try:
            total += process.memory_full_info().uss
        except psutil.NoSuchProcess:
            continue
    return total


@contextmanager
def watched(server: Server) -> Generator[list[int], None, None]:
    """What the server uses meanwhile, again and again."""
    seen = [used(server)]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            seen.append(used(server))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(30)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Generator[Path, None, None]:
    """Where temporary files go; its name is short, as runners have their sockets there."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def wrong(client: httpx.Client, voice: str, file: HostileFile) -> tuple[str | None, str | None]:
    """The sample that came of a file, and what is wrong with the answer."""
    answer = client.post(f"/voices/{voice}/samples", files={"samples": ("a.wav", file.data)})
    if answer.status_code == 201:
        (sample,) = answer.json()["data"]
        fine = file.codes is None or file.either
        return sample["id"], None if fine else f"{file.name}: accepted"
    told = error(answer)
    codes = file.codes or frozenset()
    fine = answer.status_code == 400 and (codes == ANY or told["code"] in codes)
    return None, None if fine else f"{file.name}: {answer.status_code} {told}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_file_harms_the_server(tmp_path: Path, temporary: Path):
    folder = tmp_path / "server"
    folder.mkdir()
    server = start(folder, {"engines": [TONE], "limits": {"max_samples_per_voice": 1_000}})
    files = hostile_files()
    assert len(files) >= 60
    try:
        with httpx.Client(base_url=server.url, timeout=120) as client:
            voice = client.post("/voices", json={"name": "Hostile"}).json()["id"]
            # What is loaded by the first recording is not the fault of the second.
            first = client.post(f"/voices/{voice}/samples", files=samples(recording()))
            assert first.status_code == 201
            kept = {first.json()["data"][0]["id"]}
            before = {process.pid for process in server.workers()}
            with watched(server) as memory, ThreadPoolExecutor(AT_ONCE) as pool:
                results = list(pool.map(lambda file: wrong(client, voice, file), files))
            assert [problem for _, problem in results if problem] == []
            kept |= {sample for sample, _ in results if sample}
            assert before <= {process.pid for process in server.workers()}
            assert server.ready()
            assert (max(memory) - memory[0]) / MIB < 200, (
                f"{memory[0] / MIB:.0f} to {max(memory) / MIB:.0f} MiB"
            )

            found = client.get(f"/voices/{voice}/samples").json()["data"]
            assert {sample["id"] for sample in found} == kept
            eventually(lambda: client.get(f"/voices/{voice}").json()["engines"][0]["state"] == "ready")
            eventually(lambda: rows(folder, LOCAL_ORG_ID).get("doomed_objects", 0) == 0)
            stored = {key.split("/")[5] for key in objects(folder) if "/samples/" in key}
            assert stored == kept
            assert len([key for key in objects(folder) if "/samples/" in key]) == 2 * len(kept)
            assert client.delete(f"/voices/{voice}").status_code == 204
            eventually(lambda: objects(folder) == [])
            assert "Traceback" not in server.log.read_text(errors="replace")
        left = [path for path in temporary.iterdir() if path.name.startswith("awaaztwin-")]
        assert left == []
    finally:
        server.stop()
