import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.contract import EngineUnavailable
from engines.openvoice.checkpoint import Checkpoint, load_checkpoint
from engines.openvoice.configuration import converter_folder, fingerprint

import random_openvoice


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "converter")


def saved(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoint.pth", weights_only=True)


def test_reads_what_myshell_ships(checkpoint: Checkpoint, folder: Path):
    weights = saved(folder)["model"]
    assert "dec.resblocks.0.convs1.0.weight_g" in weights
    own = checkpoint.network.state_dict()
    direction, norm = weights["enc_q.enc.in_layers.3.weight_v"], weights["enc_q.enc.in_layers.3.weight_g"]
    folded = direction * norm / direction.flatten(1).norm(dim=1)[:, None, None]
    assert torch.allclose(own["enc_q.enc.in_layers.3.weight"], folded, atol=1e-6)
    assert torch.equal(own["ref_enc.gru.weight_hh_l0"], weights["ref_enc.gru.weight_hh_l0"])
    assert not any("parametrizations" in name for name in own)


def test_the_published_dimensions_have_486_weights(tmp_path: Path):
    weights = saved(random_openvoice.openvoice(tmp_path, size="full"))["model"]
    assert len(weights) == 486
    assert sum(tensor.numel() for tensor in weights.values()) == 32_792_226
    assert load_checkpoint(tmp_path).network.gin_channels == 256


def test_the_folder_may_be_the_one_around_it(copy: Path):
    assert converter_folder(copy.parent) == copy
    assert converter_folder(copy) == copy


def test_a_read_only_folder_is_left_as_it_is(copy: Path):
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in copy.iterdir()}
    for path in (*copy.iterdir(), copy):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        load_checkpoint(copy)
        fingerprint(copy)
    finally:
        copy.chmod(0o755)
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in copy.iterdir()} == before


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("hostile",)


def reconfigured(**changes: Any) -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        contents = json.loads(path.read_text())
        for name, value in changes.items():
            section, _, setting = name.partition("__")
            contents[section][setting] = value
        path.write_text(json.dumps(contents))

    return change


def reweighted(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def rewrite(folder: Path) -> None:
        contents = saved(folder)
        change(contents["model"])
        torch.save(contents, folder / "checkpoint.pth")

    return rewrite


def written(name: str, contents: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(contents)


def halved(folder: Path) -> None:
    path = folder / "checkpoint.pth"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "no configuration": ("config.json", "does not exist", lambda f: (f / "config.json").unlink()),
    "configuration is no JSON": ("config.json", "JSON", written("config.json", b"{")),
    "configuration is a list": ("config.json", "not a JSON object", written("config.json", b"[]")),
    "configuration of something else": ("config.json", "data", written("config.json", b"{}")),
    "configuration of a base speaker": ("config.json", "base speaker", reconfigured(data__n_speakers=4)),
    "another rate": ("config.json", "sampling_rate", reconfigured(data__sampling_rate=44_100)),
    "hop and rates differ": ("config.json", "hop_length", reconfigured(model__upsample_rates=[8, 8, 2, 4])),
    "absurd width": ("config.json", "inter_channels", reconfigured(model__inter_channels=10**9)),
    "another width": ("checkpoint.pth", "config.json describes", reconfigured(model__inter_channels=32)),
    "more layers": (
        "checkpoint.pth",
        "it lacks dec.",
        reconfigured(
            model__upsample_rates=[8, 8, 2, 1, 2], model__upsample_kernel_sizes=[16, 16, 4, 3, 4]
        ),
    ),
    "no weights": ("checkpoint.pth", "does not exist", lambda f: (f / "checkpoint.pth").unlink()),
    "empty weights": ("checkpoint.pth", "empty", written("checkpoint.pth", b"")),
    "half of the weights": ("checkpoint.pth", "truncated", halved),
    "a web page": ("checkpoint.pth", "web page", written("checkpoint.pth", b"<!DOCTYPE html><html>")),
    "a pointer": ("checkpoint.pth", "Git LFS", written("checkpoint.pth", b"version https://git-lfs.github.com/spec/v1")),
    "code": ("checkpoint.pth", "run code", lambda f: torch.save({"model": Hostile()}, f / "checkpoint.pth")),
    "no model": ("checkpoint.pth", "model", lambda f: torch.save({"weights": {}}, f / "checkpoint.pth")),
    "one weight is missing": (
        "checkpoint.pth",
        "it lacks ref_enc.proj.bias",
        reweighted(lambda weights: weights.pop("ref_enc.proj.bias")),
    ),
    "one weight too many": (
        "checkpoint.pth",
        "the unknown emb_g.weight",
        reweighted(lambda weights: weights.update({"emb_g.weight": torch.zeros(2, 3)})),
    ),
    "no number": (
        "checkpoint.pth",
        "dec.conv_pre.bias",
        reweighted(lambda weights: weights["dec.conv_pre.bias"].fill_(float("nan"))),
    ),
    "no weight": (
        "checkpoint.pth",
        "'dec.conv_pre.bias' is not a weight",
        reweighted(lambda weights: weights.update({"dec.conv_pre.bias": 3})),
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_refused_by_the_name_of_the_file(copy: Path, damage: str):
    name, reason, change = DAMAGE[damage]
    change(copy)
    with pytest.raises(EngineUnavailable) as refused:
        load_checkpoint(copy)
    assert str(copy / name) in refused.value.message
    assert reason in refused.value.message
    assert not Path("hostile").exists()


def test_a_fingerprint_changes_with_the_weights_and_with_nothing_else(copy: Path, folder: Path):
    assert fingerprint(copy) == fingerprint(folder)
    (copy / "README.md").write_text("Moved.")
    contents = (copy / "config.json").read_text()
    (copy / "config.json").write_text(json.dumps(json.loads(contents)))
    assert fingerprint(copy) == fingerprint(folder)
    reconfigured(model__zero_g=False)(copy)
    assert fingerprint(copy) != fingerprint(folder)
    (copy / "config.json").write_text(contents)
    random_openvoice.openvoice(copy, seed=1)
    assert fingerprint(copy) != fingerprint(folder)


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match=r"model_path is not set.*checkpoints_v2"):
        converter_folder(None)
    with pytest.raises(EngineUnavailable, match=r"nowhere does not exist.*config.json and checkpoint.pth"):
        converter_folder(tmp_path / "nowhere")
    with pytest.raises(EngineUnavailable, match=r"config.json does not exist"):
        load_checkpoint(tmp_path)
