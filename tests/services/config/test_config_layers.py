"""Where settings come from, and which layer wins."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from services.config import (
    ConfigError,
    LoadedSettings,
    Settings,
    get_config,
    get_engine_configs,
    load_settings,
)
from services.config.layer import fit, stack
from services.config.node import Node
from services.config.problems import Problem


def load(folder: Path, files: Mapping[str, str] | None = None, **environ: str) -> LoadedSettings:
    for name, text in (files or {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    return load_settings(environ=environ, cwd=folder)


def test_without_anything_the_defaults_hold(tmp_path: Path):
    loaded = load(tmp_path)
    assert loaded.settings == Settings()
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.files == ()
    assert [engine.name for engine in loaded.settings.enabled_engines] == ["KOKORO", "ESPEAK"]
    assert loaded.settings.default_engine_name == "KOKORO"


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "server:\nengines:\ntext:\n  lexicon:\n"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str):
    assert load(tmp_path, {"configuration.yaml": text}).settings == Settings()


def test_later_layers_win_key_by_key_and_each_value_has_its_source(tmp_path: Path):
    files = {
        "configuration.yaml": "env: onprem\nserver:\n  port: 1001\n  workers: 2\n  log_level: error\n"
        "  keep_alive_seconds: 1\n",
        "configuration.onprem.yaml": "server:\n  port: 1002\n  workers: 3\n  log_level: debug\n",
        "configuration.local.yaml": "server: {port: 6}\n",
        ".env": "# secrets\n\nOTHER=1\nAWAAZTWIN_SERVER__PORT=1003\nexport AWAAZTWIN_SERVER__WORKERS='4'\n",
    }
    loaded = load(tmp_path, files, AWAAZTWIN_SERVER__PORT="1004", HOME="/", AWAAZTWIN_TEXT__NORMALIZE="")
    server = loaded.settings.server
    assert (server.port, server.workers, server.log_level, server.keep_alive_seconds) == (
        1004,
        4,
        "debug",
        1.0,
    )
    assert loaded.sources["env"] == "configuration.yaml:1"
    assert loaded.sources["server.port"] == "AWAAZTWIN_SERVER__PORT"
    assert loaded.sources["server.workers"] == ".env:5"
    assert loaded.sources["server.log_level"] == "configuration.onprem.yaml:4"
    assert loaded.sources["server.keep_alive_seconds"] == "configuration.yaml:6"
    assert loaded.sources["text.normalize"] == "default"
    assert [file.name for file in loaded.files] == ["configuration.yaml", ".env", "configuration.onprem.yaml"]


@pytest.mark.parametrize(
    ("files", "environ", "profile"),
    [
        ({}, {"AWAAZTWIN_ENV": "cloud"}, "cloud"),
        ({".env": "AWAAZTWIN_ENV=onprem"}, {}, "onprem"),
        ({".env": "AWAAZTWIN_ENV=onprem"}, {"AWAAZTWIN_ENV": "cloud"}, "cloud"),
        ({"configuration.yaml": "env: cloud", ".env": "AWAAZTWIN_ENV=onprem"}, {}, "onprem"),
        ({"configuration.yaml": "env: cloud"}, {}, "cloud"),
        ({}, {}, "local"),
    ],
)
def test_the_profile_chooses_the_overlay(
    tmp_path: Path, files: dict[str, str], environ: dict[str, str], profile: str
):
    overlays = {
        f"configuration.{env}.yaml": f"server: {{port: {port}}}"
        for env, port in (("local", 1), ("onprem", 2), ("cloud", 3))
    }
    loaded = load(tmp_path, {**files, **overlays}, **environ)
    assert loaded.settings.env == profile
    assert loaded.settings.server.port == {"local": 1, "onprem": 2, "cloud": 3}[profile]


def test_a_named_file_has_overlays_and_dotenv_beside_it(tmp_path: Path):
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    (elsewhere / "voice.yaml").write_text("server: {port: 5, workers: 2}")
    (elsewhere / "voice.local.yaml").write_text("server: {port: 6}")
    (elsewhere / ".env").write_text("AWAAZTWIN_LIMITS__MAX_INPUT_CHARS=500\n")
    files = {"configuration.yaml": "server: {port: 9}", ".env": "AWAAZTWIN_SERVER__PORT=10"}
    for name in ("etc/voice.yaml", str(elsewhere / "voice.yaml")):
        settings = load(tmp_path, files, AWAAZTWIN_CONFIG=name).settings
        assert (settings.server.port, settings.server.workers) == (6, 2)
        assert settings.limits.max_input_chars == 500
    explicit = load_settings(elsewhere / "voice.yaml", environ={"AWAAZTWIN_CONFIG": "nowhere"}, cwd=tmp_path)
    assert explicit.settings.server.port == 6
    assert load(tmp_path, files, AWAAZTWIN_CONFIG="").settings.server.port == 10


def test_a_named_file_has_to_exist(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path, AWAAZTWIN_CONFIG="nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path, environ={}, cwd=tmp_path)


def test_overlays_and_variables_change_engines_by_name(tmp_path: Path):
    files = {
        "configuration.yaml": (
            "engines:\n- name: Espeak\n  options: {a: 1, b: {c: 2}}\n- name: xtts-hi\n  type: XTTS\n"
        ),
        "configuration.local.yaml": "engines:\n- name: XTTS_HI\n  warm: true\n- name: new\n  type: ESPEAK\n",
    }
    environ = {
        "AWAAZTWIN_ENGINES__ESPEAK__OPTIONS__B__C": "3",
        "AWAAZTWIN_ENGINES__ESPEAK__OPTIONS__WORD": "plain text",
        "AWAAZTWIN_ENGINES__XTTS_HI": '{"enabled": false, "max_concurrent_jobs": 1}',
        "AWAAZTWIN_ENGINES__XTTS_HI__MAX_CONCURRENT_JOBS": "7",
        "AWAAZTWIN_ENGINES": '[{"name": "NEW", "idle_unload_seconds": 0}]',
        "AWAAZTWIN_ENGINES__FROM__HERE__TYPE": "ESPEAK",
        "AWAAZTWIN_ENGINES__FROM__HERE__BATCHING__MAX_WAIT_MS": "0",
    }
    loaded = load(tmp_path, files, **environ)
    espeak, xtts, new, added = loaded.settings.engines
    assert [engine.name for engine in loaded.settings.engines] == ["Espeak", "xtts-hi", "new", "FROM__HERE"]
    assert espeak.options == {"a": 1, "b": {"c": 3}, "word": "plain text"}
    assert (xtts.type, xtts.warm, xtts.enabled, xtts.max_concurrent_jobs) == ("XTTS", True, False, 7)
    assert new.idle_unload_seconds == 0
    assert added.batching.max_wait_ms == 0
    assert [engine.name for engine in loaded.settings.enabled_engines] == ["Espeak", "new", "FROM__HERE"]
    assert loaded.sources["engines.xtts-hi.name"] == "configuration.yaml:4"
    assert loaded.sources["engines.xtts-hi.warm"] == "configuration.local.yaml:3"
    assert loaded.sources["engines.xtts-hi.device"] == "default"
    assert loaded.sources["engines.new.idle_unload_seconds"] == "AWAAZTWIN_ENGINES"
    assert loaded.sources["engines.Espeak.options.b.c"] == "AWAAZTWIN_ENGINES__ESPEAK__OPTIONS__B__C"
    assert loaded.sources["engines.Espeak.options.a"] == "configuration.yaml:3"


def test_an_overlay_alone_changes_the_default_engine_and_a_file_replaces_it(tmp_path: Path):
    overlay = {"configuration.local.yaml": "engines: [{name: espeak, warm: true}]"}
    engines = load(tmp_path, overlay).settings.engines
    assert [(engine.name, engine.warm) for engine in engines] == [("KOKORO", False), ("ESPEAK", True)]
    listed = {"configuration.yaml": "engines: [{name: mine}]", "configuration.local.yaml": ""}
    assert [engine.name for engine in load(tmp_path, listed).settings.engines] == ["mine"]


def test_null_unsets_what_may_be_null(tmp_path: Path):
    files = {"configuration.yaml": "text: {default_language: no}\nserver: {public_url: 'http://127.0.0.1'}\n"}
    assert load(tmp_path, files).settings.text.default_language == "no"
    loaded = load(
        tmp_path, files, AWAAZTWIN_TEXT__DEFAULT_LANGUAGE="null", AWAAZTWIN_SERVER__PUBLIC_URL="null"
    )
    assert loaded.settings.text.default_language is None
    assert loaded.settings.server.public_url is None


def test_mappings_are_merged(tmp_path: Path):
    files = {"configuration.yaml": "text:\n  lexicon:\n    GST: जी एस टी\n    1: एक\n"}
    lexicon = json.dumps({"GST": "कर", "no": "नहीं"})
    loaded = load(tmp_path, files, AWAAZTWIN_TEXT__LEXICON=lexicon)
    assert loaded.settings.text.lexicon == {"GST": "कर", "1": "एक", "no": "नहीं"}
    assert loaded.sources["text.lexicon.1"] == "configuration.yaml:4"
    assert loaded.sources["text.lexicon.GST"] == "AWAAZTWIN_TEXT__LEXICON"


def test_a_plan_is_a_section_that_a_variable_may_name(tmp_path: Path):
    files = {"configuration.yaml": "quota: {default_plan: pro, plans: {pro: {voices: 1, weight: 2}}}"}
    loaded = load(tmp_path, files, AWAAZTWIN_QUOTA__PLANS__PRO='{"voices": 3}')
    assert (loaded.settings.quota.plans["pro"].voices, loaded.settings.quota.plans["pro"].weight) == (3, 2)
    assert loaded.sources["quota.plans.pro.voices"] == "AWAAZTWIN_QUOTA__PLANS__PRO"


@pytest.mark.parametrize(
    "given",
    [
        {"AWAAZTWIN_MODELS": "/srv/weights"},
        {"AWAAZTWIN_MODELS__FOLDER": "/srv/weights"},
        {"AWAAZTWIN_MODELS": '{"folder": "/srv/weights"}'},
    ],
)
def test_the_folder_of_models_has_a_short_variable(tmp_path: Path, given: Mapping[str, str]):
    (name,) = given
    loaded = load(tmp_path, {"configuration.yaml": "models: {folder: elsewhere}"}, **given)
    assert loaded.settings.models.folder == Path("/srv/weights")
    assert loaded.sources["models.folder"] == name


def test_the_client_side_variables_are_left_alone(tmp_path: Path):
    loaded = load(tmp_path, AWAAZTWIN_BASE_URL="http://127.0.0.1:8000/v1", AWAAZTWIN_API_KEY="x")
    assert loaded.settings == Settings()


def test_get_config_reads_once_until_its_cache_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    get_config.cache_clear()
    try:
        first = get_config()
        monkeypatch.setenv("AWAAZTWIN_ENGINES__OTHER__TYPE", "ESPEAK")
        monkeypatch.setenv("AWAAZTWIN_ENGINES__ESPEAK__ENABLED", "off")
        monkeypatch.setenv("AWAAZTWIN_ENGINES__KOKORO__ENABLED", "off")
        assert get_config() is first
        get_config.cache_clear()
        assert [engine.name for engine in get_engine_configs()] == ["OTHER"]
    finally:
        get_config.cache_clear()


PORTS = st.none() | st.integers(1, 65_535)


@given(base=PORTS, overlay=PORTS, dotenv=PORTS, section=PORTS, variable=PORTS)
def test_the_strongest_layer_that_gives_a_value_wins(
    tmp_path_factory: pytest.TempPathFactory,
    base: int | None,
    overlay: int | None,
    dotenv: int | None,
    section: int | None,
    variable: int | None,
):
    folder = tmp_path_factory.mktemp("layers")
    named = [
        ("configuration.yaml", base, "server:\n  port: {}\n", ":2"),
        ("configuration.local.yaml", overlay, "server: {{port: {}}}\n", ":1"),
        (".env", dotenv, "AWAAZTWIN_SERVER__PORT={}\n", ":1"),
    ]
    expected: tuple[int, str] = (8000, "default")
    for name, port, text, line in named:
        if port is not None:
            (folder / name).write_text(text.format(port))
            expected = (port, name + line)
    environ: dict[str, str] = {}
    if section is not None:
        environ["AWAAZTWIN_SERVER"] = json.dumps({"port": section})
        expected = (section, "AWAAZTWIN_SERVER")
    if variable is not None:
        environ["AWAAZTWIN_SERVER__PORT"] = str(variable)
        expected = (variable, "AWAAZTWIN_SERVER__PORT")
    loaded = load_settings(environ=environ, cwd=folder)
    assert (loaded.settings.server.port, loaded.sources["server.port"]) == expected


NAMES = st.sampled_from(["ESPEAK", "xtts-hi", "XTTS_hi", "a.b", "A_B", "other"])
ENGINES = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "type": st.just("ESPEAK")},
        optional={"warm": st.booleans(), "max_concurrent_jobs": st.integers(1, 9)},
    ),
    max_size=4,
    unique_by=lambda engine: str(engine["name"]).lower().replace("-", "_").replace(".", "_"),
)


@given(below=ENGINES, above=ENGINES)
def test_stacked_engines_keep_their_order_and_take_the_upper_values(
    below: list[dict[str, JsonValue]], above: list[dict[str, JsonValue]]
):
    def key(engine: Mapping[str, JsonValue]) -> str:
        return str(engine["name"]).lower().replace("-", "_").replace(".", "_")

    problems: list[Problem] = []
    lower = fit(Node.of({"engines": [*below]}, "below"), problems)
    upper = fit(Node.of({"engines": [*above]}, "above"), problems)
    stacked = stack(lower, upper, problems).find(("engines",))[0].plain()
    assert problems == []
    expected = {key(engine): dict(engine) for engine in below}
    for engine in above:
        known = expected.get(key(engine))
        expected[key(engine)] = {
            **engine,
            **({} if known is None else {**known, **engine, "name": known["name"]}),
        }
    assert isinstance(stacked, dict)
    assert stacked == expected
    assert list(stacked) == list(expected)
