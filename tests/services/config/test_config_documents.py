"""The example file and the page about it say what the settings are."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from config_docs import reference

from services.config import Settings, load_settings
from services.config.keys import ANY, ENGINE, walk

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "configuration.yaml"
SCRIPT = ROOT / "scripts" / "config_docs.py"
PAGE = ROOT / "docs" / "configuration.md"
KEYS = [path for path, _ in walk()]


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_the_example_has_the_key(path: tuple[str, ...]):
    node = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    for name in path:
        if name == ANY:
            (node,) = node.values()
        else:
            node = node[0] if name == ENGINE else node[name]


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_the_key_is_described(path: tuple[str, ...]):
    key = dict(walk())[path]
    assert key.description.endswith(".")
    assert "\n" not in key.description


def test_the_example_is_the_defaults(tmp_path: Path):
    (tmp_path / "configuration.yaml").write_bytes(EXAMPLE.read_bytes())
    loaded = load_settings(environ={}, cwd=tmp_path)
    assert loaded.settings == Settings()
    left = {key for key, source in loaded.sources.items() if source == "default"}
    assert all(key.startswith("engines.ESPEAK.") for key in left), "every key is shown at one engine"


def test_every_value_of_the_example_stands_on_a_line_of_its_own():
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    given = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "- #"))]
    sections = [path for path in KEYS if path[-2:-1] == (ANY,)]
    second_engine = 2
    assert len(given) == len(KEYS) + len({path[:-1] for path in sections}) + second_engine


def test_the_page_is_up_to_date():
    subprocess.run([sys.executable, SCRIPT, "--check"], check=True, cwd=ROOT, timeout=60)


def test_a_stale_page_is_found_and_made_anew(tmp_path: Path):
    page = tmp_path / "page.md"
    text = PAGE.read_text(encoding="utf-8")
    page.write_text(text.replace("`server.port`", "`server.prot`"), encoding="utf-8")
    command = [sys.executable, SCRIPT, page]
    stale = subprocess.run([*command, "--check"], check=False, cwd=ROOT, timeout=60, capture_output=True)
    assert stale.returncode == 1
    assert b"is stale" in stale.stderr
    subprocess.run(command, check=True, cwd=ROOT, timeout=60)
    tables = text.index("<!-- keys: begin")
    assert page.read_text(encoding="utf-8")[tables:] == text[tables:]


def test_every_value_has_a_row():
    rows = reference()
    for path, key in walk():
        assert key.below or f"| `{'.'.join(path)}` |" in rows
