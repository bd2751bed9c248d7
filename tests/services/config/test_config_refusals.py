"""What is refused, in which words, and at which place."""

from pathlib import Path

import pytest

from services.config import ConfigError, Problem, load_settings

CANARY = "hunter2-canary"


def refusal(folder: Path, text: str = "", dotenv: str = "", overlay: str = "", **environ: str) -> list[str]:
    files = {"configuration.yaml": text, ".env": dotenv, "configuration.local.yaml": overlay}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=environ, cwd=folder)
    lines = [str(problem) for problem in caught.value.problems]
    assert str(caught.value).splitlines() == lines
    return lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server:\n  prot: 1", "configuration.yaml:2: server.prot: there is no such key; did you mean port?"),
        ("sevrer: {}", "configuration.yaml:1: sevrer: there is no such key; did you mean server?"),
        ("\nport: 1", "configuration.yaml:2: port: there is no such key; did you mean server.port?"),
        ("xyzzy: 1", "configuration.yaml:1: xyzzy: there is no such key"),
        (
            "engines:\n- name: ESPEAK\n  batching:\n    max_bach_size: 1",
            "configuration.yaml:4: engines.ESPEAK.batching.max_bach_size: there is no such key; did you mean",
        ),
        (
            "storage:\n  object_store:\n    buket: x",
            "configuration.yaml:3: storage.object_store.buket: there is no such key; did you mean bucket?",
        ),
        ("server: 5", "configuration.yaml:1: server: should be a mapping of keys to values"),
        ("text: {lexicon: [a]}", "configuration.yaml:1: text.lexicon: should be a mapping of keys to values"),
        (
            "engines: {ESPEAK: {}}",
            "configuration.yaml:1: engines: should be a list with a `- name: …` for each engine",
        ),
        ("engines:\n- warm: true", "configuration.yaml:2: engines: each engine needs a `name`, a text"),
        (
            "engines:\n- name: a-b\n- name: A_B",
            "configuration.yaml:3: engines.A_B: the same name is at configuration.yaml:2; case",
        ),
        ("engines: [{name: 1x}]", "configuration.yaml:1: engines.1x.name: should match pattern"),
        ("server:\n\n  port: 0", "configuration.yaml:3: server.port: should be greater than or equal to 1"),
        ("server: {port: true}", "configuration.yaml:1: server.port: should be a number, not true or false"),
        ("server: {port: 80.5}", "configuration.yaml:1: server.port: should be a valid integer"),
        ("server: {port: null}", "configuration.yaml:1: server.port: should be a valid integer"),
        ("text: {lexicon: {a: 1}}", "configuration.yaml:1: text.lexicon.a: should be text; put it in quotes"),
        (
            "text:\n  lexicon:\n    '': x",
            "configuration.yaml:3: text.lexicon.: should have at least 1 character",
        ),
        ("env: onperm", "env: should be 'local', 'onprem' or 'cloud'; did you mean onprem?"),
        (
            "engines: [{name: ESPEAK, device: gpu}]",
            "engines.ESPEAK.device: should be 'auto', 'cuda', 'mps' or 'cpu'",
        ),
        (
            "engines: [{name: ESPEAK, idle_unload_seconds: 1e999}]",
            "idle_unload_seconds: should be a finite number",
        ),
        (
            "engines: [{name: ESPEAK, options: {x: [1e999]}}]",
            "engines.ESPEAK.options.x: should be a finite number",
        ),
        ("server: {keep_alive_seconds: nan}", "configuration.yaml:1: server.keep_alive_seconds: "),
        (
            "storage: {db_url: mysql://x/y}",
            "storage.db_url: should be an address that starts with one of sqlite://",
        ),
        (
            "storage: {redis_url: http://x}",
            "storage.redis_url: should be an address that starts with one of redis",
        ),
        (
            "storage:\n  object_store:\n    type: s3",
            "configuration.yaml:2: storage.object_store: `type: s3` needs",
        ),
        (
            "storage: {object_store: {access_key: x}}",
            "storage.object_store: `access_key` and `secret_key` are given",
        ),
    ],
)
def test_a_file_is_refused_at_its_line(tmp_path: Path, text: str, expected: str):
    (line,) = refusal(tmp_path, text)
    assert expected in line
    assert line.startswith("configuration.yaml:")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AWAAZTWIN_SERVER_PORT", "1", ": there is no such variable; did you mean AWAAZTWIN_SERVER__PORT?"),
        ("AWAAZTWIN_CONFG", "x", ": there is no such variable; did you mean AWAAZTWIN_CONFIG?"),
        ("AWAAZTWIN_", "x", ": there is no such variable"),
        (
            "AWAAZTWIN_TEXT__LEXICON__A",
            "x",
            ": there is no such variable; did you mean AWAAZTWIN_TEXT__LEXICON?",
        ),
        ("AWAAZTWIN_ENGINES__XT__WRM", "1", "; did you mean AWAAZTWIN_ENGINES__XT__WARM?"),
        ("AWAAZTWIN_ENGINES__ESPEAK__NAME", "x", ": there is no such variable"),
        ("AWAAZTWIN_ENGINES__", "{}", ": there is no such variable"),
        ("AWAAZTWIN_ENGINES____WARM", "1", ": there is no such variable"),
        (
            "AWAAZTWIN_ENGINES__ESPAEK__WARM",
            "1",
            ": engines.ESPAEK: there is no such engine; did you mean",
        ),
        (
            "AWAAZTWIN_ENGINES__ESPEAK",
            '{"name": "X"}',
            ": engines.ESPEAK: the variable's name is the engine's",
        ),
        ("AWAAZTWIN_ENGINES__ESPEAK", "5", ": engines: each engine needs"),
        ("AWAAZTWIN_SERVER", "{port: 1}", ": server: is not valid JSON (at character 2)"),
        ("AWAAZTWIN_SERVER", "5", ": server: should be a mapping"),
        ("AWAAZTWIN_SERVER", '{"port": 1, "port": 2}', ": server: contains the same key twice"),
        ("AWAAZTWIN_SERVER", '{"port": NaN}', ": server: contains NaN or an infinity"),
        ("AWAAZTWIN_SERVER", "[" * 100_000, ": server: is nested too deep"),
        ("AWAAZTWIN_SERVER", "[" * 600 + "]" * 600, ": server: is nested too deep"),
        (
            "AWAAZTWIN_ENGINES__ESPEAK__OPTIONS__A",
            "[" * 600 + "]" * 600,
            ": engines.ESPEAK.options.a: is nested too deep",
        ),
        ("AWAAZTWIN_SERVER", '{"prot": 1}', ": server.prot: there is no such key; did you mean port?"),
        ("AWAAZTWIN_SERVER__PORT", "many", ": server.port: should be a valid integer"),
        ("AWAAZTWIN_SERVER__WORKERS", "", None),
        ("AWAAZTWIN_SERVER__KEEP_ALIVE_SECONDS", "inf", ": server.keep_alive_seconds: should be"),
        (
            "AWAAZTWIN_ENGINES__ESPEAK__IDLE_UNLOAD_SECONDS",
            "inf",
            "idle_unload_seconds: should be a finite number",
        ),
        ("AWAAZTWIN_ENV", "prod", ": env: should be 'local', 'onprem' or 'cloud'"),
    ],
)
def test_a_variable_is_refused_by_its_name(tmp_path: Path, name: str, value: str, expected: str | None):
    if expected is None:
        load_settings(environ={name: value}, cwd=tmp_path)
        return
    (line,) = refusal(tmp_path, **{name: value})
    assert line.startswith(name)
    assert expected in line


@pytest.mark.parametrize(
    ("dotenv", "expected"),
    [
        ("A=1\n\n\nAWAAZTWIN_SRVER__PORT=1", ".env:4: AWAAZTWIN_SRVER__PORT: there is no such variable"),
        ("AWAAZTWIN_SERVER__PORT=x", ".env:1: server.port: should be a valid integer"),
        ("A=1\nwhat is this", ".env:2: should be `NAME=value`"),
        ("AWAAZTWIN_CONFIG=x.yaml", ".env:1: AWAAZTWIN_CONFIG: is read from the real environment only"),
    ],
)
def test_a_dotenv_file_is_refused_at_its_line(tmp_path: Path, dotenv: str, expected: str):
    (line,) = refusal(tmp_path, dotenv=dotenv)
    assert line.startswith(expected)


def test_everything_wrong_is_told_at_once(tmp_path: Path):
    lines = refusal(
        tmp_path,
        "server:\n  prot: 1\n  port: 0\nlimits:\n  max_input_chars: x\n",
        overlay="env: cloud\nengines: [{name: nobody}]\n",
        dotenv="AWAAZTWIN_X=1\n",
        AWAAZTWIN_Y="1",
    )
    places = {line.split(": ")[0] for line in lines}
    assert places == {
        "configuration.yaml:2",
        "configuration.yaml:3",
        "configuration.yaml:5",
        "configuration.local.yaml:1",
        "configuration.local.yaml:2",
        ".env:1",
        "AWAAZTWIN_Y",
    }


def test_an_infinity_is_told_along_with_what_is_wrong_elsewhere(tmp_path: Path):
    unknown, infinite = refusal(tmp_path, "prot: 1\nengines:\n- name: E\n  idle_unload_seconds: 1e999\n")
    assert unknown.startswith("configuration.yaml:1: prot: ")
    assert infinite == "configuration.yaml:4: engines.E.idle_unload_seconds: should be a finite number"


@pytest.mark.parametrize("name", ["configuration.yaml", "configuration.local.yaml", ".env"])
def test_a_file_that_is_not_text_is_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"# fine\nserver: \xff\n")
    with pytest.raises(ConfigError, match=rf"{name}:2: is not UTF-8 text"):
        load_settings(environ={}, cwd=tmp_path)


def test_a_byte_order_mark_is_no_matter(tmp_path: Path):
    (tmp_path / "configuration.yaml").write_bytes(b"\xef\xbb\xbfserver: {port: 1}\n")
    assert load_settings(environ={}, cwd=tmp_path).settings.server.port == 1


@pytest.mark.parametrize(
    "text",
    [
        f"storage: {{redis_url: {CANARY}}}",
        f"storage: {{db_url: 'mysql://u:{CANARY}@h/d'}}",
        f"storage: {{object_store: {{secret_key: {CANARY}}}}}",
        f"engines: [{{name: E, token: [{CANARY}]}}]",
        f"engines: [{{name: E, token: {CANARY}, url: {CANARY}}}]",
        f"engines: [{{name: E, token: {CANARY}, prot: {CANARY}}}]",
        f"storage: {{db_url: {CANARY}: 1}}",
        f"storage: {{db_url: *{CANARY}}}",
        f'storage: {{db_url: "{CANARY}',
        f"{CANARY}",
    ],
)
def test_no_refusal_repeats_a_value(tmp_path: Path, text: str):
    (tmp_path / "configuration.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={}, cwd=tmp_path)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "\nserver:\n  host: 10.0.0.1\n  default_engine: b\nengines:\n- name: a\n- name: c\n  url: http://10.0.0.1\n",
            [
                "configuration.yaml:4: server.default_engine: there is no engine 'b'",
                "configuration.yaml:3: server.host: `auth.mode: local`",
                "configuration.yaml:7: engines.c.token: a runner on another host",
            ],
        ),
        ("engines:\n- name: a\n  enabled: false", ["configuration.yaml:1: engines: at least one engine"]),
        ("limits: {max_input_chars: 900000}", ["configuration.yaml:1: limits.max_body_bytes: a text of"]),
    ],
)
def test_a_broken_rule_is_told_at_its_line_or_its_section(tmp_path: Path, text: str, expected: list[str]):
    lines = refusal(tmp_path, text)
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


def test_a_rule_broken_by_variables_alone_is_told_at_the_variable(tmp_path: Path):
    off = '[{"name": "KOKORO", "enabled": false}, {"name": "ESPEAK", "enabled": false}]'
    (line,) = refusal(tmp_path, AWAAZTWIN_ENGINES=off)
    assert line == "AWAAZTWIN_ENGINES: engines: at least one engine needs to be enabled"
    (line,) = refusal(tmp_path, AWAAZTWIN_SERVER__HOST="example.com")
    assert line.startswith("AWAAZTWIN_SERVER__HOST: server.host: ")


def test_rules_wait_for_what_cannot_be_read(tmp_path: Path):
    (line,) = refusal(tmp_path, "server: {default_engine: x}\nengines: [{nam: x}]")
    assert "each engine needs a `name`" in line


def test_a_problem_is_one_line(tmp_path: Path):
    (line,) = refusal(tmp_path, '"a\\nb": 1')
    assert line == "configuration.yaml:1: a b: there is no such key"
    assert str(Problem("", "server.port", "a\nb")) == "server.port: a b"
