"""Rules between settings."""

from typing import Any

import pytest
from pydantic import ValidationError

from engines.config import EngineConfig
from services.config import Settings
from services.config.rules import is_loopback

REMOTE = {"name": "E", "url": "http://192.0.2.1:9000"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"engines": []}, "engines: at least one engine needs to be enabled"),
        ({"engines": [{"name": "E", "enabled": False}]}, "engines: at least one engine needs to be enabled"),
        ({"engines": [{"name": "a.b"}, {"name": "A-B"}]}, "engines.A-B.name: is also the name of 'a.b'"),
        ({"engines": [{"name": "E"}, {"name": "E"}]}, "engines.E.name: is also the name of 'E'"),
        ({"server": {"default_engine": "ESPAEK"}}, "there is no engine 'ESPAEK'; did you mean ESPEAK?"),
        ({"server": {"default_engine": "x"}}, "there is no engine 'x'; the engines are KOKORO, ESPEAK"),
        (
            {"server": {"default_engine": "b"}, "engines": [{"name": "a"}, {"name": "B", "enabled": False}]},
            "server.default_engine: the engine 'b' is not enabled",
        ),
        ({"server": {"host": "0.0.0.0"}}, "server.host: `auth.mode: local` does not authenticate"),  # noqa: S104 - refused
        ({"server": {"host": "example.com"}}, "server.host: `auth.mode: local` does not authenticate"),
        ({"engines": [REMOTE]}, "engines.E.token: a runner on another host needs a `token`"),
        ({"engines": [{"name": "E", "url": "http://["}]}, "engines.E.token: a runner on another host"),
        (
            {"server": {"request_timeout_seconds": 5}, "limits": {"stall_timeout_seconds": 6}},
            "limits.stall_timeout_seconds: is longer than",
        ),
        (
            {"limits": {"max_upload_bytes": 70_000, "max_concurrent_upload_bytes": 69_999}},
            "limits.max_concurrent_upload_bytes: is less than one upload may have",
        ),
        (
            {"limits": {"max_body_bytes": 4096}},
            "limits.max_body_bytes: a text of limits.max_input_chars (4096)",
        ),
        (
            {"limits": {"max_input_chars": 50}, "text": {"first_max_chars": 51}},
            "text.first_max_chars: is more than limits.max_input_chars (50)",
        ),
        (
            {"env": "cloud", "engines": [{**REMOTE, "token": "ChangeMe "}]},
            "engines.E.token: `env: cloud` needs a secret of its own",
        ),
        (
            {"env": "onprem", "storage": {"redis_url": "redis://:password@h"}},
            "storage.redis_url: `env: onprem`",
        ),
        (
            {"env": "onprem", "storage": {"db_url": "postgresql://u:p%6Fstgres@h/d"}},
            "storage.db_url: `env: onprem`",
        ),
        (
            {"env": "cloud", "storage": {"object_store": {"access_key": "minioadmin", "secret_key": ""}}},
            "storage.object_store.secret_key: `env: cloud`",
        ),
        (
            {"server": {"cors_origins": ["*"], "cors_credentials": True}, "auth": {"mode": "required"}},
            "server.cors_origins: `*` lets any page on the web act as its visitor",
        ),
        ({"server": {"cors_origins": ["*"]}}, "server.cors_origins: `auth.mode: local` does not"),
        ({"server": {"workers": 2}, "auth": {"mode": "required"}}, "set storage.redis_url"),
        ({"auth": {"jwt_secret": "short"}}, "auth.jwt_secret"),
        ({"quota": {"default_plan": "por", "plans": {"pro": {}}}}, "no plan 'por'; did you mean pro?"),
    ],
)
def test_a_broken_rule_says_what_to_do(values: dict[str, Any], message: str):
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"server": {"host": "::1"}},
        {"server": {"request_timeout_seconds": 5}, "limits": {"max_input_chars": 50}},
        {"server": {"host": "localhost"}},
        {"engines": [{**REMOTE, "token": "of its own"}]},
        {"engines": [{"name": "E", "url": "http://127.0.0.1:9000"}]},
        {"storage": {"redis_url": "redis://:password@h"}},
        {"env": "cloud", "storage": {"redis_url": "redis://[::1"}},
        {"env": "cloud", "storage": {"db_url": "postgresql+asyncpg://u:of-its-own@h/d"}},
        {"storage": {"object_store": {"type": "s3", "bucket": "voices"}}},
        {"server": {"host": "0.0.0.0", "cors_origins": ["*"]}, "auth": {"mode": "required"}},  # noqa: S104 - asks for keys
        {"server": {"workers": 2}, "auth": {"mode": "required"}, "storage": {"redis_url": "redis://h"}},
        {"env": "cloud", "auth": {"mode": "required", "jwt_secret": "x" * 32}},
    ],
)
def test_what_keeps_the_rules_is_taken(values: dict[str, Any]):
    Settings.model_validate(values)


def test_the_default_engine_is_spelt_as_the_engines_are():
    settings = Settings.model_validate(
        {"server": {"default_engine": "second"}, "engines": [{"name": "First"}, {"name": "SECOND"}]}
    )
    assert settings.default_engine_name == "SECOND"
    without = Settings(engines=[EngineConfig(name="off", enabled=False), EngineConfig(name="on")])
    assert without.default_engine_name == "on"


def test_a_settings_error_repeats_no_value():
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"env": "cloud", "engines": [{**REMOTE, "token": "minioadmin"}]})
    assert "minioadmin" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),  # noqa: S104 - only looked at
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_loopback_addresses_are_known(host: str, loopback: bool):
    assert is_loopback(host) is loopback
