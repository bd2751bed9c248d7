"""Imports run one way, and the three packages' names are ours alone."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "engines", "storage")
MAY_IMPORT = {"services": {"services", "engines", "storage"}, "engines": {"engines"}, "storage": {"storage"}}
"""``storage`` and ``engines`` import neither each other nor ``services``."""

HEAVY = {"bentoml", "fastapi", "av", "soxr", "aiohttp", "torch", "espeakng_loader"}
"""What the base install does not bring."""


def imported(path: Path) -> Iterator[str]:
    """The absolute names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    for path in modules(package):
        ours = {name.partition(".")[0] for name in imported(path)} & set(PACKAGES)
        assert ours <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {ours - MAY_IMPORT[package]}"


@pytest.mark.parametrize("package", ["services/config", "services/cli", "storage"])
def test_what_the_base_install_runs_needs_no_extra(package: str) -> None:
    for path in modules(package):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {
            name.partition(".")[0]
            for node in top
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
        }
        assert not names & HEAVY, f"{path.relative_to(ROOT)} imports {names & HEAVY} when it is imported"


WITH_TORCH = ("weights.py", "xtts", "openvoice")
"""What in ``engines`` may need torch when it is imported."""


def test_engines_are_listed_without_torch() -> None:
    """Neither torch nor coqui-tts is imported by what every engine shares, nor by the files of a model."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules("engines")
        if path.relative_to(ROOT / "engines").parts[0] not in WITH_TORCH
    ]
    names += ["engines.xtts.configuration", "engines.xtts.folder"]
    absent = "import sys; sys.modules.update(dict.fromkeys(['torch', 'torchaudio', 'TTS', 'transformers']))"
    importing = "; ".join(f"import {name.removesuffix('.__init__')}" for name in names)
    done = subprocess.run(
        [sys.executable, "-c", f"{absent}; {importing}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


ENGINES = ("espeak", "kokoro", "openvoice", "xtts")
"""Folders of engines. The others of ``engines`` hold what several of them need."""


def test_no_engine_imports_what_is_inside_another() -> None:
    """Nor does what they share import an engine; the door of an engine is its ``adapter``."""
    for path in modules("engines"):
        folder = path.relative_to(ROOT / "engines").parts[0]
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "engines" and parts[1:2] != [folder] and set(parts[1:2]) & set(ENGINES):
                assert folder in ENGINES, f"{path.relative_to(ROOT)} imports {name}"
                assert parts[2:] == ["adapter"], f"{path.relative_to(ROOT)} imports {name}"


def test_nobody_else_owns_our_names() -> None:
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name == "awaaztwin":
            continue
        top = {
            file.parts[0] for file in distribution.files or () if file.suffix == ".py" and len(file.parts) > 1
        }
        assert not top & set(PACKAGES), f"{name} installs {top & set(PACKAGES)}"


def test_no_folder_is_named_after_nothing() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            assert path.stem not in {"core", "common", "utils", "helpers", "misc"}, path


def test_engine_names_stay_below() -> None:
    """No branch on an engine's name outside ``engines``: nothing there even mentions one."""
    for package in ("services", "storage"):
        for path in modules(package):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Compare):
                    literals = [
                        part.value
                        for part in (node.left, *node.comparators)
                        if isinstance(part, ast.Constant) and isinstance(part.value, str)
                    ]
                    engines = {"ESPEAK", "KOKORO", "SYNTHETIC", "XTTS_HI"}
                    named = {text for text in literals if text.upper() in engines}
                    assert not named, f"{path.relative_to(ROOT)}:{node.lineno} branches on {named}"


def test_a_runner_has_nothing_of_the_gateways(tmp_path: Path) -> None:
    """It starts sooner and takes half the memory without the database, its drivers and the routes."""
    absent = "import sys; sys.modules.update(dict.fromkeys(['sqlalchemy', 'alembic', 'redis', 'boto3']))"
    started = "import services.bento, services.runner.app, services.host.memory"
    settings = tmp_path / "configuration.yaml"
    settings.write_text("engines: [{name: ESPEAK, type: ESPEAK}]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", f"{absent}; {started}; assert 'services.app' not in sys.modules"],
        env={**os.environ, "AWAAZTWIN_CONFIG": str(settings)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
