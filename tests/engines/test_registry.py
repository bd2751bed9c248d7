"""The registry."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from engines import registry
from engines.config import EngineConfig
from engines.registry import UnknownEngineType, engine_types, get_engine_adapter
from engines.synthetic import SyntheticEngine


class Speechless(SyntheticEngine):
    """Has neither ``stream`` nor ``synthesize``."""

    stream = None  # pyright: ignore[reportAssignmentType] - takes away what the other has


class NotAnEngine:
    """Lacks nearly everything."""

    def __init__(self, config: EngineConfig) -> None:
        self.name = config.name


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    value: str = request.param
    point = EntryPoint(name="PLUGGED", value=value, group=registry.GROUP)

    def entry_points(*, group: str) -> EntryPoints:
        return EntryPoints([point]).select(group=group)

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return point.name


def test_a_built_in_is_made_without_regard_to_case() -> None:
    engine = get_engine_adapter("synthetic", EngineConfig(name="s", type="synthetic"))
    assert isinstance(engine, SyntheticEngine)
    assert engine.name == "s"


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(UnknownEngineType, match="Did you mean ESPEAK"):
        get_engine_adapter("ESPEK", EngineConfig(name="e"))


@pytest.mark.parametrize("plug_in", ["engines.synthetic:SyntheticEngine"], indirect=True)
def test_an_entry_point_is_an_engine_type(plug_in: str) -> None:
    assert plug_in in engine_types()
    assert isinstance(get_engine_adapter("plugged", EngineConfig(name="p")), SyntheticEngine)


@pytest.mark.parametrize("plug_in", [f"{__name__}:NotAnEngine"], indirect=True)
def test_a_plug_in_must_meet_the_contract(plug_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _self: NotAnEngine)
    with pytest.raises(UnknownEngineType, match="batch_key"):
        get_engine_adapter(plug_in, EngineConfig(name="p"))


@pytest.mark.parametrize("plug_in", [f"{__name__}:Speechless"], indirect=True)
def test_a_plug_in_must_speak(plug_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _self: Speechless)
    with pytest.raises(UnknownEngineType, match="stream nor synthesize"):
        get_engine_adapter(plug_in, EngineConfig(name="p"))
