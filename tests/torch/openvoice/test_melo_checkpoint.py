import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.contract import EngineUnavailable
from engines.openvoice.melo.checkpoint import load_network
from engines.openvoice.melo.configuration import read_config
from engines.openvoice.melo.network import Synthesizer
from engines.openvoice.melo.voice import MeloVoice

import random_melo

weight_norm: Any = torch._weight_norm  # pyright: ignore[reportPrivateImportUsage] - MeloTTS's layers use it


def load(folder: Path) -> Synthesizer:
    return load_network(folder, read_config(folder))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_melo.melo(tmp_path_factory.mktemp("melo"))


@pytest.fixture
def folder(shipped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped, tmp_path / "melo"))


# SHA-256 of the sorted lines "name shape" of the state_dict() of MeloTTS's own SynthesizerTrn, made from its
# source at commit 2091453 with the same configurations: `full` is as its melo/configs/config.json.
@pytest.mark.parametrize(
    ("size", "count", "digest"),
    [
        ("tiny", 817, "45e897597ffa5af806764a77e6754e628b51389c12f8291cf45cd33799c8fc7d"),
        ("full", 1051, "95d5512a0ebb888997104a060b0174b41b753240069500abc080a7e9ae5900da"),
    ],
)
def test_a_checkpoint_has_the_names_and_shapes_of_melotts(
    size: random_melo.Size, count: int, digest: str
) -> None:
    settings = random_melo.settings(size, random_melo.SPEAKERS)
    with torch.device("meta"):
        state = random_melo.state(settings)
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
    assert len(lines) == count
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == digest


def test_norms_are_folded_into_the_weights(shipped: Path) -> None:
    saved = torch.load(shipped / "checkpoint.pth", weights_only=True)["model"]
    network = load(shipped)
    weight = weight_norm(saved["dec.ups.1.weight_v"], saved["dec.ups.1.weight_g"], 0)
    torch.testing.assert_close(network.dec.ups[1].weight, weight)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_training_weights_may_be_left_out(folder: Path) -> None:
    saved = torch.load(folder / "checkpoint.pth", weights_only=True)
    saved["model"] = {
        name: tensor
        for name, tensor in saved["model"].items()
        if not name.startswith(("enc_q.", "sdp.post_"))
    }
    torch.save(saved, folder / "checkpoint.pth")
    assert load(folder).state_dict().keys() == load(folder).state_dict().keys()


def test_a_loaded_network_does_not_need_its_file(folder: Path) -> None:
    network = load(folder)
    before = network.enc_p.emb.weight.clone()
    (folder / "checkpoint.pth").write_bytes(b"")
    assert torch.equal(network.enc_p.emb.weight, before)


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Damage the weights."""

    def damage(folder: Path) -> None:
        path = folder / "checkpoint.pth"
        saved = torch.load(path, weights_only=True)
        change(saved["model"])
        torch.save(saved, path)

    return damage


def truncated(folder: Path) -> None:
    path = folder / "checkpoint.pth"
    path.write_bytes(path.read_bytes()[:5_000])


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the checkpoint ran code",))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(lambda f: (f / "checkpoint.pth").unlink(), "does not exist", id="missing"),
        pytest.param(lambda f: (f / "checkpoint.pth").write_bytes(b""), "empty", id="empty"),
        pytest.param(truncated, "truncated", id="truncated"),
        pytest.param(
            lambda f: (f / "checkpoint.pth").write_bytes(b"<!DOCTYPE html>"), "web page", id="web page"
        ),
        pytest.param(
            lambda f: (f / "checkpoint.pth").write_bytes(pickle.dumps({"model": Code()})),
            "cannot be used",
            id="code",
        ),
        pytest.param(lambda f: torch.save({"x": 1}, f / "checkpoint.pth"), "no `model`", id="no model"),
        pytest.param(changed(lambda m: m.pop("emb_g.weight")), r"lacks emb_g\.weight", id="lacks a weight"),
        pytest.param(
            changed(lambda m: m.update({"ref_enc.proj.bias": torch.ones(1)})), "unknown", id="one more"
        ),
        pytest.param(changed(lambda m: m.update({"emb_g.weight": 3})), "not a weight", id="a number"),
        pytest.param(changed(lambda m: m["emb_g.weight"].resize_(1, 8)), "describes", id="shape"),
        pytest.param(
            changed(lambda m: m["dec.conv_pre.bias"].fill_(torch.nan)), "not a number", id="not a number"
        ),
        pytest.param(
            changed(lambda m: m.pop("dec.ups.0.weight_g")), "does not go with", id="norm without direction"
        ),
    ],
)
def test_a_damaged_checkpoint_is_named(folder: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(folder)
    with pytest.raises(EngineUnavailable, match=says) as caught:
        load(folder)
    assert str(folder / "checkpoint.pth") in caught.value.message


def settings_changed(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(settings: dict[str, Any]) -> None:
        for name, value in changes.items():
            section = next(s for s in (settings["model"], settings["data"], settings) if name in s)
            section[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda s: s.pop("symbols"), "symbols", id="no symbols"),
        pytest.param(lambda s: s["symbols"].append("_"), "twice", id="symbol twice"),
        pytest.param(settings_changed(hidden_channels=10**9), "hidden_channels", id="huge"),
        pytest.param(settings_changed(n_heads=3), "n_heads", id="heads"),
        pytest.param(settings_changed(n_layers_trans_flow=2), "n_layers_trans_flow", id="few layers"),
        pytest.param(settings_changed(hop_length=256), "hop_length", id="hop"),
        pytest.param(settings_changed(spk2id={"EN-US": 99}), "number 99", id="speaker"),
        pytest.param(settings_changed(spk2id={}), "spk2id", id="no speakers"),
        pytest.param(settings_changed(resblock="2"), "resblock", id="another decoder"),
        pytest.param(settings_changed(upsample_initial_channel=8), "too small", id="narrow"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_named(
    folder: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    path = folder / "config.json"
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps(settings))
    with pytest.raises(EngineUnavailable, match=says) as caught:
        read_config(folder)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(("speakers", "says"), [({"ES": 0}, "only English"), ({"KR": 0, "JP": 1}, "KR, JP")])
async def test_a_model_of_another_language_is_refused_at_load(
    tmp_path: Path, speakers: dict[str, int], says: str
) -> None:
    voice = MeloVoice(random_melo.melo(tmp_path, speakers=speakers))
    assert not voice.voices()
    with pytest.raises(EngineUnavailable, match=says):
        await voice.load()


async def test_a_model_without_the_phones_of_english_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"zh"', '"zzz"'))
    with pytest.raises(EngineUnavailable, match="lack zh"):
        await MeloVoice(folder).load()
