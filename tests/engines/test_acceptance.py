"""Licences that the operator accepts before an engine is loaded."""

import pytest

from engines.acceptance import RESTRICTIVE, accepted, refusal
from engines.config import EngineConfig
from engines.contract import EngineAdapter, LicenseNotAccepted
from engines.lease import EngineState, ModelLease
from engines.registry import get_engine_adapter


def make(license_: str, notice: str = "") -> EngineAdapter:
    options = {"license": license_, "license_notice": notice}
    return get_engine_adapter("SYNTHETIC", EngineConfig(name="E", type="SYNTHETIC", options=dict(options)))


@pytest.mark.parametrize("license_", RESTRICTIVE)
def test_a_known_licence_needs_to_be_accepted_whatever_the_engine_says(license_: str) -> None:
    engine = make(license_)
    assert accepted(engine, None) is False
    assert accepted(engine, "MIT") is False
    assert accepted(engine, f" {license_.lower()} ") is True
    why = refusal(engine, "MIT")
    assert why is not None
    assert f"`accept_license: {license_}`" in why
    assert RESTRICTIVE[license_] in why
    assert "`accept_license: MIT` is another one" in why
    assert refusal(engine, license_) is None


def test_an_engine_may_have_a_notice_of_its_own() -> None:
    engine = make("House-1.0", "For use in the house only.")
    assert accepted(engine, None) is False
    assert "For use in the house only." in (refusal(engine, None) or "")
    assert accepted(engine, "House-1.0") is True


def test_other_licences_need_nothing() -> None:
    assert accepted(make("Apache-2.0"), None) is None
    assert accepted(make("Apache-2.0"), "CPML") is None
    espeak = get_engine_adapter("ESPEAK", EngineConfig(name="ESPEAK"))
    assert refusal(espeak, None) is None


async def test_the_lease_loads_nothing_before() -> None:
    engine = make("CPML")
    lease = ModelLease(engine, idle_seconds=0)
    assert (lease.state, lease.accepted) == (EngineState.FAILED, False)
    for _ in range(3):
        with pytest.raises(LicenseNotAccepted, match="accept_license: CPML"):
            await lease.hold().__aenter__()
    assert (lease.figures.loads, lease.figures.failures, lease.holders) == (0, 0, 0)
    await lease.close()
    lease = ModelLease(engine, idle_seconds=0, accept_license="cpml")
    async with lease.hold():
        assert (lease.state, lease.accepted) == (EngineState.WARM, True)
    await lease.close()
