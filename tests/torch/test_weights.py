"""Weights are read, and what is not weights is named; nothing in a file runs."""

import json
import os
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.contract import EngineUnavailable
from engines.weights import read_weights


class Running:
    """Pickles into a call of ``os.mkdir``."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


def weights() -> dict[str, Any]:
    return {
        "model": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)},
        "step": 3,
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_weights_come_as_they_were_saved(path: Path, zipped: bool) -> None:
    torch.save(weights(), path, _use_new_zipfile_serialization=zipped)
    read = read_weights(path)
    assert read["step"] == 3
    for name, tensor in weights()["model"].items():
        assert torch.equal(read["model"][name], tensor)
        assert read["model"][name].dtype == tensor.dtype


def test_tensors_are_pages_of_the_file(path: Path) -> None:
    """Not a copy: what is written to the file afterwards is what is read."""
    torch.save({"a": torch.zeros(200_000)}, path)
    read = read_weights(path)["a"]
    with path.open("r+b") as file:
        contents = file.read()
        file.seek(len(contents) // 2 // 4 * 4)
        file.write(b"\xff" * 64)
    assert torch.isnan(read).any()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_a_pickle_that_would_run_code_does_not_run(path: Path, tmp_path: Path, zipped: bool) -> None:
    mark = tmp_path / "ran"
    torch.save({"model": weights()["model"], "x": Running(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(EngineUnavailable, match=r"model\.pth.*run code \((posix|nt)\.mkdir\)"):
        read_weights(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the trap would not have worked"


def test_a_plain_pickle_does_not_run(path: Path, tmp_path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": Running(tmp_path / "ran")}, protocol=2))
    with pytest.raises(EngineUnavailable, match=r"model\.pth"):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_a_pickled_configuration_is_passed_over(path: Path, monkeypatch: Any, zipped: bool) -> None:
    """Old XTTS checkpoints hold one, of classes that have moved; coqui-tts rewrites them, we do not."""
    from engines.coqui import coqui  # noqa: PLC0415 - seconds, for this test alone

    xtts = coqui("tts.models.xtts")
    for moved in (xtts.XttsArgs, xtts.XttsAudioConfig):
        monkeypatch.setattr(moved, "__module__", xtts.__name__)
    config = xtts.XttsConfig(datasets=[coqui("config.shared_configs").BaseDatasetConfig()])
    torch.save({"config": config, **weights()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    before = path.read_bytes()
    assert torch.equal(read_weights(path)["model"]["a"], weights()["model"]["a"])
    assert path.read_bytes() == before


def test_a_trainers_numbers_are_passed_over(path: Path) -> None:
    torch.save({**weights(), "model_loss": np.float64(0.5)}, path)
    assert read_weights(path)["step"] == 3


def test_two_files_can_be_read_at_once(tmp_path: Path) -> None:
    """The list of what may be in a file is the process's, and reading one must not take it from another."""
    paths = [tmp_path / f"{number}.pth" for number in range(4)]
    for path in paths:
        torch.save({**weights(), "model_loss": np.float64(0.5)}, path)
    read: list[int] = []

    def several(path: Path) -> None:
        read.extend(read_weights(path)["step"] for _ in range(25))

    threads = [threading.Thread(target=several, args=(path,), daemon=True) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert read == [3] * 100


def write_safetensors(path: Path) -> None:
    save_file({"a": torch.ones(3)}, path)


def write_script(path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))


def write_archive(path: Path) -> None:
    folder = path.parent / "packed"
    folder.mkdir()
    (folder / "readme.txt").write_text("hello")
    shutil.make_archive(str(path.parent / "packed"), "zip", folder)
    (path.parent / "packed.zip").rename(path)


def write_cut(path: Path) -> None:
    torch.save({"a": torch.ones(50_000)}, path)
    path.write_bytes(path.read_bytes()[:100_000])


def write_hole(path: Path) -> None:
    """The list of contents is whole; the pickle in the archive is not."""
    torch.save({"a": torch.ones(50_000)}, path)
    contents = bytearray(path.read_bytes())
    start = contents.index(b"data.pkl") + 60
    contents[start : start + 40] = bytes(40)
    path.write_bytes(contents)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _: None, "does not exist"),
    "a folder": (lambda path: path.mkdir(), "not a file"),
    "empty": (lambda path: path.touch(), "empty"),
    "lfs": (
        lambda path: path.write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1867929118\n"
        ),
        "git lfs pull",
    ),
    "a web page": (
        lambda path: path.write_text("\n<!DOCTYPE html><title>404</title>" + "x" * 5000),
        "a web page",
    ),
    "json": (lambda path: path.write_text(json.dumps({"error": "gated"})), "a text"),
    "gzip": (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(600)), "gzip"),
    "zeros": (lambda path: path.write_bytes(bytes(4096)), "not in torch's format"),
    "noise": (
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(4096)),
        "not in torch's format",
    ),
    "safetensors": (write_safetensors, "safetensors"),
    "torchscript": (write_script, "TorchScript"),
    "archive": (write_archive, "ZIP archive of something else"),
    "truncated": (write_cut, "truncated"),
    "damaged": (write_hole, "damaged"),
    "half a pickle": (lambda path: path.write_bytes(pickle.dumps({"a": [1] * 999}, 2)[:700]), "damaged"),
    "a list": (lambda path: torch.save([torch.ones(2)], path), "contains a list"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TorchScript, which one of them is made with
def test_a_wrong_file_is_named_with_what_it_is(path: Path, kind: str) -> None:
    write, said = WRONG[kind]
    write(path)
    with pytest.raises(EngineUnavailable) as raised:
        read_weights(path)
    assert str(path) in raised.value.message
    assert said in raised.value.message
    assert raised.value.retry_after == 60.0
