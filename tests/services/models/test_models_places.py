"""Models that lie behind links, are removed while they are pulled, or have names that no folder has."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.models.errors import ModelError
from services.models.folder import ModelFolder, ModelState
from services.models.manifest import Manifest
from services.models.meter import Quiet
from services.models.pull import pull
from services.models.removal import remove

from live import eventually
from model_sources import REVISION, Hub, described

WHOLE = os.urandom(300_000)


def manifest(name: str = "m") -> Manifest:
    source = {"type": "hub", "repo": "o/m", "revision": REVISION, "folders": {".": "."}}
    files = [described("model.onnx", WHOLE)]
    return Manifest.model_validate(
        {"name": name, "title": "M", "license": "MIT", "files": files, "sources": [source]}
    )


@pytest.fixture
def hub_(hub_: Hub) -> Hub:
    hub_.files = {"model.onnx": WHOLE}
    return hub_


def linked(folder: ModelFolder, target: Path) -> Path:
    folder.root.mkdir()
    link = folder.path(manifest())
    link.symlink_to(target)
    return link


@pytest.mark.usefixtures("hub_")
def test_a_link_is_removed_alone(folder: ModelFolder, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    link = linked(folder, target)
    assert pull(manifest(), folder, Quiet()).fetched == 1
    removed = remove(manifest(), folder)
    assert (removed.links, removed.freed, removed.found) == ((link,), 0, True)
    assert not link.is_symlink()
    assert (target / "model.onnx").read_bytes() == WHOLE
    assert not remove(manifest(), folder).found


@pytest.mark.usefixtures("hub_")
def test_a_link_to_another_disk(folder: ModelFolder, tmp_path: Path) -> None:
    disk = Path("/dev/shm")  # noqa: S108 - a file system that is another one
    if not os.access(disk, os.W_OK) or disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    target = disk / f"awaaztwin-{os.getpid()}"
    target.mkdir()
    try:
        linked(folder, target)
        pull(manifest(), folder, Quiet())
        assert [(path.name, path.read_bytes()) for path in target.iterdir()] == [("model.onnx", WHOLE)]
    finally:
        for path in target.iterdir():
            path.unlink()
        target.rmdir()


def test_a_link_to_nowhere(hub_: Hub, folder: ModelFolder, tmp_path: Path) -> None:
    """Told before anything is downloaded."""
    link = linked(folder, tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"m is a link to .*nowhere, which does not exist") as failed:
        pull(manifest(), folder, Quiet())
    assert failed.value.hint == "Remove it: awaaztwin models remove m"
    assert not hub_.asked
    assert remove(manifest(), folder).links == (link,)
    assert pull(manifest(), folder, Quiet()).fetched == 1


def test_a_file_in_the_place_of_a_model(hub_: Hub, folder: ModelFolder) -> None:
    folder.root.mkdir()
    folder.path(manifest()).touch()
    with pytest.raises(ModelError, match="m is not a folder"):
        pull(manifest(), folder, Quiet())
    assert not hub_.asked
    assert remove(manifest(), folder).found


def test_a_model_that_is_being_pulled_is_not_removed(hub_: Hub, folder: ModelFolder) -> None:
    hub_.gate.clear()
    thread = threading.Thread(target=pull, args=(manifest(), folder, Quiet()))
    thread.start()
    try:
        eventually(lambda: bool(hub_.asked))
        with pytest.raises(ModelError, match="m is being pulled by another process"):
            remove(manifest(), folder)
    finally:
        hub_.gate.set()
        thread.join()
    assert (folder.path(manifest()) / "model.onnx").read_bytes() == WHOLE
    assert remove(manifest(), folder).freed == len(WHOLE)


@contextmanager
def nobody(folder: Path) -> Generator[None, None, None]:
    """As a user who may not look into the folder."""
    folder.chmod(0)
    ours = os.geteuid()
    if ours == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(ours)
        folder.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
@pytest.mark.parametrize("part", [".", "m"])
@pytest.mark.usefixtures("hub_")
def test_a_folder_that_cannot_be_read(part: str) -> None:
    """Whether the model is there is not known: neither absent nor present."""
    with TemporaryDirectory() as place:
        # The folders of a test's own are closed to others.
        Path(place).chmod(0o755)
        _closed(ModelFolder(Path(place) / "models"), part)


def _closed(folder: ModelFolder, part: str) -> None:
    pull(manifest(), folder, Quiet())
    with nobody(folder.root / part):
        for look in (folder.state, folder.lacking, lambda model: list(folder.damaged(model))):
            with pytest.raises(
                ModelError, match=r"models/m/model\.onnx cannot be read: Permission denied\.$"
            ):
                look(manifest())
    assert folder.state(manifest()) is ModelState.PRESENT


@pytest.mark.parametrize("name", ["manifests", "con", "nul", "com1", "aux.v2", "m."])
def test_names_that_no_folder_has(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        manifest(name)
