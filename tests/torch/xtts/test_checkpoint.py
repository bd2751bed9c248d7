"""A folder as Coqui and its trainer write it becomes a model; one that is not whole is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.contract import EngineUnavailable
from engines.xtts.checkpoint import Checkpoint, fingerprint, load_checkpoint

import random_checkpoint
from stock_xtts import load_stock


@pytest.fixture
def folder(tiny_xtts: Path, tmp_path: Path) -> Path:
    """A copy that the test may break."""
    return Path(shutil.copytree(tiny_xtts, tmp_path / "model"))


@pytest.fixture(scope="module")
def loaded(tiny_xtts: Path) -> Checkpoint:
    return load_checkpoint(tiny_xtts)


def of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """All its weights by the names of the file."""
    gpt = {f"gpt.{name}": tensor for name, tensor in checkpoint.gpt.state_dict().items()}
    hifi = {f"hifigan_decoder.{name}": tensor for name, tensor in checkpoint.hifi.state_dict().items()}
    return {"mel_stats": checkpoint.mel_stats, **gpt, **hifi}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "model.pth"
    state = torch.load(path, weights_only=True)["model"]
    change(state)
    torch.save({"model": state}, path)


def configure(folder: Path, **changes: Any) -> None:
    """Change ``config.json``; what is part of ``model_args`` there, and the rest beside it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name, value in changes.items():
        (config["model_args"] if name in config["model_args"] else config)[name] = value
    path.write_text(json.dumps(config))


def test_weights_are_those_that_coqui_loads(tiny_xtts: Path, loaded: Checkpoint) -> None:
    stock = load_stock(tiny_xtts)
    reference = {
        name: tensor
        for name, tensor in stock.state_dict().items()
        if not name.startswith(("gpt.gpt_inference.", "gpt.gpt.wte."))
    }
    ours = of(loaded)
    assert ours.keys() == reference.keys()
    assert same(ours, reference)


def test_dimensions_are_those_that_coqui_has(tiny_xtts: Path, loaded: Checkpoint) -> None:
    stock, shape = load_stock(tiny_xtts), loaded.shape
    gpt = stock.gpt
    assert (shape.layers, shape.width, shape.heads) == (gpt.layers, gpt.model_dim, gpt.heads)
    assert (shape.text_tokens, shape.audio_tokens) == (gpt.number_text_tokens, gpt.num_audio_tokens)
    assert (shape.start_text, shape.stop_text) == (gpt.start_text_token, gpt.stop_text_token)
    assert (shape.start_audio, shape.stop_audio) == (gpt.start_audio_token, gpt.stop_audio_token)
    assert shape.max_audio == gpt.max_gen_mel_tokens
    assert shape.max_text == stock.args.gpt_max_text_tokens - 1  # it asks for fewer than that
    assert shape.latents == gpt.conditioning_perceiver.latents.shape[0]
    assert shape.hop == stock.hifigan_decoder.output_hop_length
    assert loaded.languages == tuple(stock.config.languages) == random_checkpoint.LANGUAGES
    settings = loaded.settings.model_dump()
    assert settings == {name: stock.config[name] for name in settings}


def test_a_vocoder_says_what_coquis_says(tiny_xtts: Path, loaded: Checkpoint) -> None:
    """The same weights in the same places, and the constants that are not in the file."""
    stock = load_stock(tiny_xtts)
    latents = torch.randn(1, 9, loaded.shape.width, generator=torch.Generator().manual_seed(1))
    speaker = torch.randn(1, loaded.shape.speaker, 1, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wave = loaded.hifi(latents, g=speaker)
        assert torch.equal(wave, stock.hifigan_decoder(latents, g=speaker))
    assert wave.abs().max() > 0.01


def test_nothing_is_left_for_training(loaded: Checkpoint) -> None:
    for module in (loaded.gpt, loaded.hifi):
        assert not any(part.training for part in module.modules())
        for tensor in (*module.parameters(), *module.buffers()):
            assert not tensor.requires_grad
            assert not tensor.is_meta
            assert tensor.dtype in {torch.float32, torch.int64}


@pytest.mark.parametrize("layout", ["trainer", "v1", "weight_norm"])
def test_every_layout_gives_the_same_weights(
    layout: random_checkpoint.Layout, loaded: Checkpoint, tmp_path: Path
) -> None:
    other = random_checkpoint.xtts(tmp_path, layout=layout)
    names = set(torch.load(other / "model.pth", weights_only=True)["model"])
    assert names != set(of(loaded)), "the layout differs"
    assert same(of(load_checkpoint(other)), of(loaded))


def test_weights_without_a_dictionary_around_them_are_read(folder: Path, loaded: Checkpoint) -> None:
    state = torch.load(folder / "model.pth", weights_only=True)["model"]
    torch.save(state, folder / "model.pth")
    assert same(of(load_checkpoint(folder)), of(loaded))


def test_a_mask_of_old_transformers_is_passed_over(folder: Path, loaded: Checkpoint) -> None:
    def mask(state: dict[str, torch.Tensor]) -> None:
        for layer in range(2):
            state[f"gpt.gpt.h.{layer}.attn.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.bool)
            state[f"gpt.gpt.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)

    rewrite(folder, mask)
    assert same(of(load_checkpoint(folder)), of(loaded))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_cast(folder: Path, loaded: Checkpoint, dtype: torch.dtype) -> None:
    def halve(state: dict[str, torch.Tensor]) -> None:
        for name, tensor in state.items():
            state[name] = tensor.to(dtype) if tensor.is_floating_point() else tensor

    rewrite(folder, halve)
    halved = of(load_checkpoint(folder))
    for name, tensor in of(loaded).items():
        assert halved[name].dtype == tensor.dtype
        assert torch.equal(
            halved[name], tensor.to(dtype).to(tensor.dtype) if tensor.is_floating_point() else tensor
        )


def test_nothing_is_written(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    load_checkpoint(folder)
    fingerprint(folder)
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == before
    folder.chmod(0o755)


@pytest.mark.parametrize("name", ["best_model.pth", "hindi.pth"])
def test_weights_may_have_another_name(folder: Path, name: str, loaded: Checkpoint) -> None:
    (folder / "model.pth").rename(folder / name)
    (folder / "speakers_xtts.pth").write_bytes(b"not a model")
    assert same(of(load_checkpoint(folder)), of(loaded))


def test_of_two_others_none_is_guessed(folder: Path) -> None:
    (folder / "model.pth").rename(folder / "a.pth")
    shutil.copy(folder / "a.pth", folder / "b.pth")
    with pytest.raises(
        EngineUnavailable, match=r"model\.pth does not exist; rename the right one of a\.pth, b\.pth"
    ):
        load_checkpoint(folder)


def test_the_configuration_may_name_the_vocabulary(folder: Path, loaded: Checkpoint) -> None:
    (folder / "vocab.json").rename(folder / "hindi_vocab.json")
    configure(folder, tokenizer_file="/where/it/was/trained/hindi_vocab.json")
    assert load_checkpoint(folder).shape == loaded.shape


def test_a_language_without_a_tag_is_not_offered(folder: Path) -> None:
    configure(folder, languages=["hi", "ta", "en"])
    assert load_checkpoint(folder).languages == ("hi", "en")


def test_unknown_settings_are_passed_over_and_absent_ones_are_coquis(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["temperature"], config["gpt_cond_len"]
    config["model_args"]["a_new_one"] = {"x": 1}
    (folder / "config.json").write_text("\ufeff" + json.dumps(config), encoding="utf-8")
    settings = load_checkpoint(folder).settings
    assert (settings.temperature, settings.gpt_cond_len) == (0.85, 12)


def pop(name: str) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda state: state.pop(name))


def put(name: str, tensor: torch.Tensor) -> Callable[[Path], object]:
    return lambda folder: rewrite(folder, lambda state: state.update({name: tensor}))


def saved(contents: object) -> Callable[[Path], object]:
    return lambda folder: torch.save(contents, folder / "model.pth")


def spoil(folder: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        state["gpt.gpt.h.1.mlp.c_fc.weight"][3, 4] = float("nan")

    rewrite(folder, change)


def other_vocabulary(folder: Path) -> None:
    path = folder / "vocab.json"
    contents = json.loads(path.read_text())
    contents["model"]["vocab"]["<new>"] = len(contents["model"]["vocab"])
    path.write_text(json.dumps(contents))


def no_start(folder: Path) -> None:
    path = folder / "vocab.json"
    path.write_text(path.read_text().replace("[START]", "[BEGIN]"))


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:2000])


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def unlink(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


HTML = "<!DOCTYPE html><html><title>Sign in</title></html>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1867929118\n"
WEIGHT = "gpt.gpt.h.0.attn.c_attn.weight"
DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no config": (unlink("config.json"), "config.json", "does not exist"),
    "no vocabulary": (unlink("vocab.json"), "vocab.json", "does not exist"),
    "no weights": (unlink("model.pth"), "model.pth", "does not exist"),
    "no folder": (shutil.rmtree, "config.json", "does not exist"),
    "config is a page": (write("config.json", HTML), "config.json", "a web page"),
    "config is cut": (write("config.json", '{"model_args": {"gpt_'), "config.json", "not JSON"),
    "config is a list": (write("config.json", "[]"), "config.json", "not a JSON object"),
    "config is another's": (write("config.json", '{"model": "vits"}'), "config.json", "no model_args"),
    "config is nested": (write("config.json", "[" * 100_000), "config.json", "not JSON"),
    "layers is a word": (lambda f: configure(f, gpt_layers="many"), "config.json", "model_args.gpt_layers"),
    "arguments is a list": (lambda f: configure(f, model_args=[]), "config.json", "model_args"),
    "too many layers": (lambda f: configure(f, gpt_layers=10**9), "config.json", "model_args.gpt_layers"),
    "heads do not divide": (lambda f: configure(f, gpt_n_heads=7), "config.json", "multiple of gpt_n_heads"),
    "temperature is cold": (lambda f: configure(f, temperature=0.0), "config.json", "temperature"),
    "version 1": (lambda f: configure(f, gpt_use_perceiver_resampler=False), "config.json", "version 1"),
    "dimensions that differ": (lambda f: configure(f, gpt_layers=3), "model.pth", "gpt.gpt.h.2."),
    "other tokens": (lambda f: configure(f, gpt_num_audio_tokens=99), "model.pth", "mel_embedding"),
    "vocabulary is a pointer": (write("vocab.json", POINTER), "vocab.json", "git lfs pull"),
    "vocabulary is cut": (cut("vocab.json"), "vocab.json", "not JSON"),
    "vocabulary is no tokenizer": (write("vocab.json", '{"a": 1}'), "vocab.json", "not a tokenizer"),
    "vocabulary has no start": (no_start, "vocab.json", "no [START]"),
    "vocabulary of another": (other_vocabulary, "vocab.json", "model.pth"),
    "no language": (lambda f: configure(f, languages=["ta"]), "vocab.json", "none of the languages"),
    "weights are cut": (cut("model.pth"), "model.pth", "truncated"),
    "weights are a page": (write("model.pth", HTML), "model.pth", "a web page"),
    "weights of nothing": (saved({}), "model.pth", "no weights"),
    "weights are numbers": (saved({"model": {"a": 1}}), "model.pth", "no weights"),
    "weights are not named": (saved({"model": {1: torch.ones(1)}}), "model.pth", "no weights"),
    "a weight is missing": (pop(WEIGHT), "model.pth", f"lacks {WEIGHT}"),
    "no statistics": (pop("mel_stats"), "model.pth", "lacks mel_stats"),
    "no vocoder": (pop("hifigan_decoder.waveform_decoder.conv_pre.weight"), "model.pth", "no vocoder"),
    "a weight too many": (put("gpt.extra", torch.ones(1)), "model.pth", "gpt.extra"),
    "a weight is small": (put(WEIGHT, torch.ones(64, 191)), "model.pth", "(64, 191) instead of (64, 192)"),
    "a weight is no number": (spoil, "model.pth", "gpt.gpt.h.1.mlp.c_fc.weight"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_refused_with_the_files_name(folder: Path, damage: str) -> None:
    change, name, said = DAMAGE[damage]
    change(folder)
    with pytest.raises(EngineUnavailable) as raised:
        load_checkpoint(folder)
    assert str(folder / name) in raised.value.message
    assert said in raised.value.message
    assert raised.value.message.endswith(".")


def test_a_fingerprint_is_of_the_contents(tiny_xtts: Path, folder: Path) -> None:
    assert fingerprint(folder) == fingerprint(tiny_xtts)
    assert len(fingerprint(folder)) == 12


@pytest.mark.parametrize(
    "change",
    [
        put("mel_stats", torch.ones(80)),
        lambda folder: rewrite(folder, lambda state: state[WEIGHT][0, 0].add_(1e-3)),
        lambda folder: configure(folder, gpt_cond_len=12),
        lambda folder: configure(folder, gpt_n_heads=4),
        lambda folder: (folder / "vocab.json").write_text("{}"),
        lambda folder: random_checkpoint.xtts(folder, seed=1),
    ],
    ids=["statistics", "one weight", "conditioning", "heads", "vocabulary", "training"],
)
def test_a_fingerprint_changes_with_the_model(folder: Path, change: Callable[[Path], object]) -> None:
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) != before


def test_a_fingerprint_does_not_change_with_the_manner_of_speaking(folder: Path) -> None:
    """Voices need not be prepared again for that."""
    before = fingerprint(folder)
    configure(folder, temperature=0.3, top_k=10, languages=["hi"], run_name="another")
    assert fingerprint(folder) == before


def test_a_fingerprint_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"config\.json does not exist"):
        fingerprint(tmp_path)
