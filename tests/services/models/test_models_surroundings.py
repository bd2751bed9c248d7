"""Pulling where the environment is wrong: a source that cannot be asked is a reason, never a crash."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from services.models.errors import ModelError
from services.models.folder import ModelFolder
from services.models.manifest import Manifest
from services.models.meter import Quiet
from services.models.pull import pull

from model_sources import REVISION, Hub, described, make_wheel

WHOLE, VOICE = os.urandom(400_000), os.urandom(5_000)


def by_pip_and_hub(links: Path, damaged: int | None = None) -> Manifest:
    """The weights from a wheel, which may be damaged and packed in a way; an optional voice from the hub."""
    wheel = make_wheel(links, "m-part", {"m_part/model.onnx": WHOLE})
    if damaged is not None:
        with zipfile.ZipFile(wheel) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(wheel, "w", damaged) as archive:
            for name, contents in members.items():
                archive.writestr(name, contents)
            at = archive.getinfo("m_part/model.onnx").header_offset + 200
        raw = bytearray(wheel.read_bytes())
        raw[at : at + 2_000] = bytes(2_000)
        wheel.write_bytes(raw)
    package = {"name": "m-part", "version": "1.0.0", "size": wheel.stat().st_size}
    files = [described("model.onnx", WHOLE), described("voices/a.bin", VOICE, optional=True)]
    sources = [
        {"type": "pip", "packages": [package], "folders": {".": "m_part"}},
        {"type": "hub", "repo": "o/m", "revision": REVISION, "folders": {".": ".", "voices": "v"}},
    ]
    return Manifest.model_validate(
        {"name": "m", "title": "M", "license": "MIT", "files": files, "sources": sources}
    )


@pytest.mark.usefixtures("hub_")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "ALL_PROXY"),
        ("ALL_PROXY", "socks://127.0.0.1:9", "ALL_PROXY"),
        ("SSL_CERT_FILE", "/nope.pem", "SSL_CERT_FILE"),
        ("HF_TOKEN", "hf_é", "HF_TOKEN is not a valid token"),
        ("HF_ENDPOINT", "hf-mirror.com", "HF_ENDPOINT is 'hf-mirror.com'; it must start with https://"),
        ("HF_ENDPOINT", "http://[::1", "cannot be used"),
    ],
)
def test_what_the_environment_says_wrongly(
    links: Path, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """The hub has only a voice that the model works without."""
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "")
    done = pull(by_pip_and_hub(links), folder, Quiet())
    assert (done.folder / "model.onnx").read_bytes() == WHOLE
    assert [file.path for file in done.lacking] == ["voices/a.bin"]
    assert said in done.reasons[0]
    assert "cannot be written" not in done.reasons[0]


def test_a_token_is_not_told(
    links: Path, hub_: Hub, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_.files = {"v/a.bin": VOICE}
    monkeypatch.setenv("HF_TOKEN", "hf_se\x0bcret")
    done = pull(by_pip_and_hub(links), folder, Quiet())
    assert "HF_TOKEN" in done.reasons[0]
    assert "cret" not in done.reasons[0]


def test_a_hub_that_redirects_in_a_loop(links: Path, hub_: Hub, folder: ModelFolder) -> None:
    hub_.files, hub_.loops = {"v/a.bin": VOICE}, True
    done = pull(by_pip_and_hub(links), folder, Quiet())
    assert "it redirects in a loop" in done.reasons[0]


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_member_that_is_packed_wrongly(links: Path, hub_: Hub, folder: ModelFolder, packing: int) -> None:
    """Each way of packing has an exception of its own."""
    hub_.files = {"model.onnx": WHOLE, "v/a.bin": VOICE}
    done = pull(by_pip_and_hub(links, packing), folder, Quiet())
    assert (done.fetched, done.lacking) == (2, ())
    assert "damaged" in done.reasons[0]


def test_an_error_of_a_write_names_the_file(folder: ModelFolder, hub_: Hub, links: Path) -> None:
    """It is not the source's: no other one is asked."""
    model = by_pip_and_hub(links)
    folder.staging(model).mkdir(parents=True)
    (folder.staging(model) / "files").write_bytes(b"in the way")
    with pytest.raises(ModelError, match=r"\.partial-m/files cannot be written"):
        pull(model, folder, Quiet())
    assert not hub_.asked


def only(*sources: dict[str, Any]) -> Manifest:
    files = [described("model.onnx", WHOLE), described("voices/a.bin", VOICE, optional=True)]
    return Manifest.model_validate(
        {"name": "m", "title": "M", "license": "MIT", "files": files, "sources": list(sources)}
    )


HUB = {"type": "hub", "repo": "o/m", "revision": REVISION, "folders": {".": ".", "voices": "v"}}
PIP = {
    "type": "pip",
    "packages": [{"name": "m", "version": "1.0.0", "size": 9}],
    "folders": {".": "m", "voices": "m"},
}


def hint(model: Manifest, folder: ModelFolder) -> str:
    with pytest.raises(ModelError) as failed:
        pull(model, folder, Quiet())
    return failed.value.hint or ""


def test_what_helps_where_pip_is_not_installed(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an environment that uv made."""
    monkeypatch.setattr("services.models.sources.pip.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = hint(only(PIP), folder)
    assert "`uv pip install pip`" in said
    assert "Try again" not in said
    assert f"Or put the files into {folder.root / 'm'} yourself." in said


def test_what_helps_where_another_try_does_not(hub_: Hub, folder: ModelFolder) -> None:
    assert hint(only(), folder) == f"Put the files into {folder.root / 'm'} yourself."
    assert hint(only(HUB), folder) == f"Put the files into {folder.root / 'm'} yourself."
    hub_.status = 403
    assert "Set HF_TOKEN" in hint(only(HUB), folder)
    assert "Try again" not in hint(only(HUB), folder)


def test_what_helps_where_another_try_does(folder: ModelFolder) -> None:
    assert hint(only(HUB), folder).startswith("Try again later with `awaaztwin models pull m`: it resumes")


def test_force_without_a_source(hub_: Hub, folder: ModelFolder) -> None:
    """What is there is not called missing."""
    hub_.files = {"model.onnx": WHOLE}
    pull(only(HUB), folder, Quiet())
    hub_.status = 503
    with pytest.raises(
        ModelError, match=r"m cannot be fetched again \(.*503\); the present files are unchanged"
    ):
        pull(only(HUB), folder, Quiet(), force=True)
    assert (folder.root / "m" / "model.onnx").read_bytes() == WHOLE


def test_nothing_is_left_of_a_pull_that_brought_nothing(hub_: Hub, folder: ModelFolder) -> None:
    hub_.files = {"model.onnx": WHOLE}
    model = only(HUB)
    pull(model, folder, Quiet())
    assert pull(model, folder, Quiet()).fetched == 0
    assert not folder.staging(model).exists()
