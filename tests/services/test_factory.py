"""The BentoML services that the settings become."""

import pickle
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketDenialResponse

from engines.config import EngineConfig
from services.config import LoadedSettings, load_settings
from services.factory import make_services, service_name

SETTINGS = """
engines:
  - {name: My-Engine.1, type: SYNTHETIC}
  - {name: FAR, type: SYNTHETIC, url: "http://127.0.0.1:1"}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSettings:
    path = tmp_path / "configuration.yaml"
    path.write_text(SETTINGS, encoding="utf-8")
    return load_settings(path, environ={})


def test_a_runner_for_each_engine_of_this_host(loaded: LoadedSettings) -> None:
    gateway, runners = make_services(loaded)
    assert set(runners) == {"engine_my_engine_1"}
    assert set(gateway.all_services()) == {"Gateway", "engine_my_engine_1"}


def test_service_names_are_identifiers() -> None:
    assert service_name(EngineConfig(name="XTTS-hi.2")).isidentifier()


def test_nothing_of_bentomls_answers_stands_around_ours(loaded: LoadedSettings) -> None:
    """Neither its time-out, whose timers pile up, nor its metrics and access log."""
    gateway, runners = make_services(loaded)
    for service in (gateway, *runners.values()):
        app = cast("Starlette", service.to_asgi(is_main=service is gateway))
        names = {middleware.cls.__name__ for middleware in app.user_middleware}  # type: ignore[attr-defined]  # classes
        assert not names & {"TimeoutMiddleware", "RunnerTrafficMetricsMiddleware", "AccessLogMiddleware"}


def test_a_runner_has_no_routes_of_bentomls(loaded: LoadedSettings) -> None:
    _, runners = make_services(loaded)
    (runner,) = runners.values()
    client = TestClient(runner.to_asgi(is_main=False))
    for path in ("/", "/livez", "/readyz", "/healthz", "/metrics", "/schema.json", "/runner/engine/"):
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
        with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(path):
            pass
        assert denied.value.status_code == 404


def test_a_runner_unpickles_nothing(loaded: LoadedSettings) -> None:
    """BentoML's own media type for pickles finds no door, behind all of its layers."""

    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return (pytest.fail, ("unpickled",))

    _, runners = make_services(loaded)
    (runner,) = runners.values()
    client = TestClient(runner.to_asgi(is_main=False))
    for path in ("/", "/runner/synthesize", "/runner/engine", "/synthesize", "/metrics"):
        answer = client.post(
            path, content=pickle.dumps(Bomb()), headers={"content-type": "application/vnd.bentoml+pickle"}
        )
        assert answer.status_code in {404, 405, 422}
