"""Secrets stay secret wherever settings are shown."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from services.cli.config import table_of
from services.config import LoadedSettings, load_settings
from services.config.mask import MASK, mask_url

from logs import of_this_thread

CANARY = "hunter2-canary"
SECRETS = f"""
env: onprem
storage:
  db_url: postgresql+asyncpg://me:{CANARY}/x@127.0.0.1/voice
  redis_url: redis://:{CANARY}@127.0.0.1:6379/0
  object_store: {{type: s3, bucket: voices, access_key: {CANARY}, secret_key: {CANARY}}}
server:
  public_url: https://{CANARY}@127.0.0.1/
engines:
  - name: E
    url: http://u:{CANARY}@127.0.0.1:1
    token: {CANARY}
    options:
      api_key: {CANARY}
      nested: [{{access_token: {CANARY}, page: 'http://127.0.0.1/?a=1&sig_key={CANARY}#x'}}]
      max_tokens: 400
      style: "[bold]warm[/bold]"
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSettings:
    (tmp_path / "configuration.yaml").write_text(SECRETS)
    return load_settings(environ={}, cwd=tmp_path)


def test_masked_settings_hold_no_secret_and_are_json(loaded: LoadedSettings):
    plain: dict[str, Any] = loaded.masked()
    text = json.dumps(plain, allow_nan=False)
    assert CANARY not in text
    assert CANARY not in repr(loaded.settings.storage)
    storage, (engine,) = plain["storage"], plain["engines"]
    assert storage["db_url"] == f"postgresql+asyncpg://me:{MASK}@127.0.0.1/voice"
    assert storage["redis_url"] == f"redis://:{MASK}@127.0.0.1:6379/0"
    assert storage["object_store"]["secret_key"] == MASK
    assert engine["options"]["max_tokens"] == 400
    assert engine["options"]["nested"] == [
        {"access_token": MASK, "page": f"http://127.0.0.1/?a=1&sig_key={MASK}#x"}
    ]
    assert engine["model_path"] is None


def test_the_table_shows_every_key_its_value_and_its_source(loaded: LoadedSettings):
    out = io.StringIO()
    Console(file=out, width=200).print(table_of(loaded))
    text = out.getvalue()
    assert CANARY not in text
    assert "[bold]warm[/bold]" in text
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in text.splitlines() if "│" in line]
    assert {row[0]: row[2] for row in rows} == dict(loaded.sources)
    assert ["engines.E.token", MASK, "configuration.yaml:12"] in rows
    assert ["server.port", "8000", "default"] in rows


def test_the_json_form_has_settings_and_sources(loaded: LoadedSettings):
    shown = json.loads(json.dumps(loaded.shown()))
    assert shown == {"settings": loaded.masked(), "sources": dict(loaded.sources)}


def test_reading_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / ".env").write_text(f"AWAAZTWIN_STORAGE__REDIS_URL=redis://:{CANARY}@127.0.0.1\n")
    with caplog.at_level(logging.DEBUG):
        load_settings(environ={}, cwd=tmp_path)
    # A database that another test closed may still have a word to say, in a thread of its own.
    assert of_this_thread(caplog) == []
    assert CANARY not in caplog.text


@given(
    scheme=st.sampled_from(["postgresql", "redis", "https", "mysql+driver"]),
    user=st.text(alphabet="abc.@", max_size=5),
    before=st.text(max_size=8),
    after=st.text(max_size=8),
)
def test_no_part_of_a_password_in_a_url_is_shown(scheme: str, user: str, before: str, after: str):
    shown = mask_url(f"{scheme}://{user}:{before}{CANARY}{after}@127.0.0.1:5432/name")
    assert CANARY not in shown
    assert shown.endswith("@127.0.0.1:5432/name")


@given(st.text(max_size=30))
def test_text_without_an_address_is_left_alone(text: str):
    assert mask_url(text.replace("://", "")) == text.replace("://", "")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/v1", "sqlite+aiosqlite:///data/a.db", "postgresql://me@127.0.0.1:5432/x?ssl=on"],
)
def test_addresses_without_secrets_are_left_alone(url: str):
    assert mask_url(url) == url
