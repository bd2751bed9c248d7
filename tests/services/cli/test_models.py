"""``models``, and what `serve` and `init` offer of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from typer.testing import CliRunner

from services.cli.app import app
from services.cli.models_pull import offer
from services.config import load_settings
from services.models.placing import models_of_engines

from live import eventually
from model_sources import REVISION, Hub, described, hub

WEIGHTS = os.urandom(300_000)


@pytest.fixture
def hub_(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.files = {"weights.bin": WEIGHTS}
        yield running


@pytest.fixture(autouse=True)
def mine(elsewhere: Path) -> Path:
    """The manifest of a model of one's own, for tones; gives the folder of models."""
    folder = elsewhere / "data" / "models"
    (folder / "manifests").mkdir(parents=True)
    source = {"type": "hub", "repo": "o/mine", "revision": REVISION, "folders": {".": "."}}
    manifest = {
        "name": "mine",
        "title": "My tones",
        "engine": "SYNTHETIC",
        "default": True,
        "license": "CC0-1.0",
        "files": [described("weights.bin", WEIGHTS)],
        "sources": [source],
    }
    (folder / "manifests" / "mine.yaml").write_text(yaml.safe_dump(manifest))
    (elsewhere / "configuration.yaml").write_text("engines: [{name: T, type: SYNTHETIC}]")
    return folder


def facts(cli: CliRunner, name: str) -> dict[str, object]:
    listed = json.loads(cli.invoke(app, ["models", "list", "--json"]).stdout)
    return next(model for model in listed if model["name"] == name)


@pytest.mark.usefixtures("hub_")
def test_a_model_from_first_to_last(cli: CliRunner, mine: Path) -> None:
    assert facts(cli, "mine")["state"] == "absent"
    pulled = cli.invoke(app, ["models", "pull", "mine"])
    assert pulled.exit_code == 0, pulled.stderr
    assert "100 %" in pulled.stderr
    assert not pulled.stdout
    assert facts(cli, "mine") == {
        "name": "mine",
        "title": "My tones",
        "engine": "SYNTHETIC",
        "license": "CC0-1.0",
        "notice": None,
        "bytes": len(WEIGHTS),
        "state": "present",
        "folder": str(mine / "mine"),
        "lacking": [],
    }
    assert cli.invoke(app, ["models", "path", "mine"]).stdout == f"{mine / 'mine'}\n"
    assert cli.invoke(app, ["models", "path"]).stdout == f"{mine}\n"
    assert cli.invoke(app, ["models", "verify"]).exit_code == 0
    (mine / "mine" / "weights.bin").write_bytes(bytes(len(WEIGHTS)))
    damaged = cli.invoke(app, ["models", "verify", "mine"])
    assert (damaged.exit_code, "--force" in damaged.stderr) == (1, True)
    assert cli.invoke(app, ["models", "pull", "mine", "--force", "--quiet"]).stderr == ""
    assert cli.invoke(app, ["models", "verify", "--json"]).stdout == '{\n  "mine": []\n}\n'
    assert cli.invoke(app, ["models", "remove", "mine"]).exit_code == 0
    assert facts(cli, "mine")["state"] == "absent"


@pytest.mark.usefixtures("hub_")
def test_optional_files_that_are_not_there(cli: CliRunner, mine: Path) -> None:
    """ "All" is not said of a part."""
    manifest = yaml.safe_load((mine / "manifests" / "mine.yaml").read_text())
    manifest["files"].append(described("extra.bin", b"extra", optional=True))
    manifest["notice"] = "Not for money."
    (mine / "manifests" / "mine.yaml").write_text(yaml.safe_dump(manifest))
    command = ["models", "pull", "mine", "--accept-license", "CC0-1.0"]
    assert "Fetched 1 file: " in cli.invoke(app, command).stderr
    again = cli.invoke(app, command)
    assert "The model is present; nothing was fetched: " in again.stderr
    assert "1 optional file is missing" in again.stderr
    assert not (mine / ".partial-mine").exists()
    (mine / "mine" / "weights.bin").write_bytes(b"?")
    damaged = cli.invoke(app, ["models", "verify", "mine"])
    assert 'awaaztwin models pull mine --force --accept-license "CC0-1.0"' in damaged.stderr


@pytest.mark.usefixtures("hub_")
def test_json_of_a_pull(cli: CliRunner) -> None:
    pulled = cli.invoke(app, ["models", "pull", "mine", "--json"])
    assert json.loads(pulled.stdout)["fetched"] == 1
    assert not pulled.stderr


def test_the_models_of_the_package(cli: CliRunner) -> None:
    shown = cli.invoke(app, ["models", "list"])
    assert shown.exit_code == 0
    for name in ("kokoro", "kokoro-fp32", "kokoro-fp16", "xtts-v2", "openvoice-v2", "whisper-base"):
        assert f" {name} " in shown.stdout


def test_a_name_that_is_none(cli: CliRunner) -> None:
    result = cli.invoke(app, ["models", "pull", "kokro"])
    assert result.exit_code == 1
    assert "Did you mean kokoro" in result.stderr


def test_a_licence_is_asked_for_by_its_name(cli: CliRunner) -> None:
    result = cli.invoke(app, ["models", "pull", "xtts-v2"])
    assert result.exit_code == 1
    assert "non-commercial" in result.stderr
    assert '--accept-license "CPML"' in result.stderr


def test_a_manifest_that_is_wrong(cli: CliRunner, mine: Path) -> None:
    wrong = mine / "manifests" / "wrong.yaml"
    wrong.write_text("name: wrong\nfiles: []\n")
    result = cli.invoke(app, ["models", "list"])
    assert result.exit_code == 1
    assert "manifests/wrong.yaml: title: Field required" in result.stderr
    assert "manifests/wrong.yaml" in cli.invoke(app, ["doctor"]).stdout


def test_the_documentations_example(cli: CliRunner, mine: Path) -> None:
    """It takes the place of the package's own, as the page says."""
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    (mine / "manifests" / "theirs.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    (mine.parent.parent / "configuration.yaml").write_text("engines: [{name: K, type: KOKORO}]")
    assert facts(cli, "kokoro-mine")["engine"] == "KOKORO"
    assert [manifest.name for _, manifest in models_of_engines(load_settings().settings)] == ["kokoro-mine"]


def test_the_last_default_wins(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's, then those beside the models, then `models.manifests`; not the first by the alphabet."""
    manifest = yaml.safe_load((mine / "manifests" / "mine.yaml").read_text())
    own = mine.parent / "own"
    own.mkdir()
    (own / "z.yaml").write_text(yaml.safe_dump({**manifest, "name": "zebra"}))
    assert [m.name for _, m in models_of_engines(load_settings().settings)] == ["mine"]
    monkeypatch.setenv("AWAAZTWIN_MODELS__MANIFESTS", str(own))
    assert [m.name for _, m in models_of_engines(load_settings().settings)] == ["zebra"]
    (own / "z.yaml").write_text(yaml.safe_dump({**manifest, "title": "Replaced"}))
    assert [m.title for _, m in models_of_engines(load_settings().settings)] == ["Replaced"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "other", "engine": "synthetic"}, "are both the default of SYNTHETIC"),
        ({"engine": "OTHER"}, "are both called mine"),
    ],
)
def test_manifests_that_contradict_each_other(
    cli: CliRunner, mine: Path, changes: dict[str, str], said: str
) -> None:
    manifest = yaml.safe_load((mine / "manifests" / "mine.yaml").read_text())
    (mine / "manifests" / "other.yaml").write_text(yaml.safe_dump({**manifest, **changes}))
    result = cli.invoke(app, ["models", "list"])
    assert result.exit_code == 1
    assert "manifests/mine.yaml and " in result.stderr
    assert f"manifests/other.yaml {said}" in result.stderr


def test_once_tries_once_a_day(cli: CliRunner, hub_: Hub, mine: Path) -> None:
    """For scripts: one line each time, and no second look at the network the same day."""
    hub_.files = {}
    first = cli.invoke(app, ["models", "pull", "mine", "--once", "--quiet"])
    assert first.exit_code == 0
    assert first.stderr.count("\n") == 1
    assert "`awaaztwin models pull mine` fetches it" in first.stderr
    asked = len(hub_.asked)
    again = cli.invoke(app, ["models", "pull", "mine", "--once"])
    assert (again.exit_code, again.stderr.count("\n")) == (0, 1)
    assert "`awaaztwin models pull mine` fetches it" in again.stderr
    assert len(hub_.asked) == asked
    hub_.files = {"weights.bin": WEIGHTS}
    for age in (-3_600, 90_000):
        at = time.time() - age
        os.utime(mine / ".failed-mine", (at, at))
        shutil.rmtree(mine / "mine", ignore_errors=True)
        assert cli.invoke(app, ["models", "pull", "mine", "--once"]).exit_code == 0
        assert facts(cli, "mine")["state"] == "present"
        assert not (mine / ".failed-mine").exists()
        (mine / ".failed-mine").touch()


def test_once_takes_no_for_an_answer(cli: CliRunner, hub_: Hub, mine: Path) -> None:
    """Given on a terminal; what is missing is told all the same."""
    (mine / ".declined-mine").touch()
    told = cli.invoke(app, ["models", "pull", "mine", "--once"])
    assert "`awaaztwin models pull mine` fetches it" in told.stderr
    assert not hub_.asked
    assert cli.invoke(app, ["models", "pull", "mine"]).exit_code == 0
    assert not (mine / ".declined-mine").exists()


@pytest.mark.parametrize("mark", [".declined-mine", ".failed-mine"])
def test_every_start_says_what_is_missing(mine: Path, capfd: pytest.CaptureFixture[str], mark: str) -> None:
    (mine / mark).touch()
    offer(load_settings().settings)
    assert "`awaaztwin models pull mine` fetches it" in capfd.readouterr().err


@pytest.mark.usefixtures("hub_")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:9"),
        ("HF_TOKEN", "hf_é"),
        ("AWAAZTWIN_SERVER__PORT", "many"),
        ("AWAAZTWIN_MODELS__MANIFESTS", "nowhere"),
    ],
)
def test_once_never_fails(cli: CliRunner, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """`make serve` starts the server after it, which says itself what is wrong with the settings."""
    monkeypatch.setenv(name, value)
    result = cli.invoke(app, ["models", "pull", "mine", "--once", "--quiet"])
    assert (result.exit_code, result.stderr.count("\n")) == (0, 1), result.stderr
    assert "mine" in result.stderr


def test_once_with_what_is_not_installed(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.models_pull.missing", lambda: ["bentoml"])
    result = cli.invoke(app, ["models", "pull", "mine", "--once"])
    assert (result.exit_code, result.stderr.count("\n")) == (0, 1), result.stderr
    assert "bentoml" in result.stderr


def test_nothing_is_fetched_unasked(hub_: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there is a line, and no download."""
    offer(load_settings().settings)
    assert "`awaaztwin models pull mine` fetches it" in capfd.readouterr().err
    assert not hub_.asked


@pytest.mark.usefixtures("hub_")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "fetched"), [("y", True), ("n", False)])
def test_it_is_offered_on_a_terminal(mine: Path, answer: str, fetched: bool) -> None:
    code = "from services.cli.models_pull import offer; from services.config import load_settings as s"
    command = [sys.executable, "-c", f"{code}; offer(s().settings); offer(s().settings)"]
    said = _on_a_terminal(command, f"{answer}\n")
    assert said.count("Fetch it now") == 1
    assert said.count("`awaaztwin models pull mine` fetches it") == (0 if fetched else 2)
    assert "My tones (CC0-1.0)" in said
    assert (mine / "mine" / "weights.bin").exists() == fetched


def _on_a_terminal(command: list[str], typed: str) -> str:
    """What a command says on a terminal of its own, with something typed."""
    import pty  # noqa: PLC0415 - not on Windows

    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        said = bytearray()
        try:
            while piece := os.read(ours, 65_536):
                said += piece
        except OSError:
            pass  # Linux' way to say that the other side is closed
        process.wait(60)
    os.close(ours)
    return said.decode("utf-8", "replace")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("signum", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_pull_that_is_ended_leaves_no_download_behind(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: str
) -> None:
    """A package manager runs in a process of its own, which nothing else would end."""
    manifest = yaml.safe_load((mine / "manifests" / "mine.yaml").read_text())
    package = {"name": "mine", "version": "1.0.0", "size": len(WEIGHTS)}
    manifest["sources"] = [{"type": "npm", "package": package, "folders": {".": "."}}]
    (mine / "manifests" / "mine.yaml").write_text(yaml.safe_dump(manifest))
    npm, seen = tmp_path / "bin" / "npm", tmp_path / "pid"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\necho $$ > {seen}.new && mv {seen}.new {seen}\nexec sleep 600\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    command = [sys.executable, "-c", "from services.cli import main; main()", "models", "pull", "mine"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        eventually(seen.exists)
        process.send_signal(getattr(signal, signum))
        assert process.wait(30) != 0
    eventually(lambda: not psutil.pid_exists(int(seen.read_text())))
