"""The converter's precision is used where it does what fp32 does, and nowhere else."""

import logging
from pathlib import Path

import pytest
import torch

from engines.openvoice import machine as machines
from engines.openvoice.checkpoint import Checkpoint, load_checkpoint
from engines.openvoice.conversion import Converter
from engines.openvoice.devices import dtype_for
from engines.openvoice.machine import load_machine
from engines.openvoice.options import OpenVoiceOptions
from engines.openvoice.self_check import fidelity

import random_openvoice

native = pytest.mark.skipif(
    dtype_for("auto", torch.device("cpu")) != torch.bfloat16,
    reason="this processor does not multiply bfloat16 itself",
)


def test_fp32_is_what_it_is(converter: Converter) -> None:
    assert fidelity(converter, converter) > 200.0


@native
def test_bf16_is_near(checkpoint: Checkpoint, converter: Converter) -> None:
    assert 25.0 < fidelity(Converter(checkpoint, dtype=torch.bfloat16), converter) < 80.0


def test_other_weights_are_far(tmp_path: Path, converter: Converter) -> None:
    other = Converter(load_checkpoint(random_openvoice.openvoice(tmp_path, seed=1)))
    assert fidelity(other, converter) < 25.0


@native
@pytest.mark.parametrize(
    ("bound", "checked", "exact"), [(0.0, True, False), (1_000.0, True, True), (1_000.0, False, False)]
)
def test_what_is_too_far_from_fp32_is_not_used(
    folder: Path,
    converter: Converter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    bound: float,
    checked: bool,
    exact: bool,
) -> None:
    monkeypatch.setattr(machines, "FIDELITY", bound)
    with caplog.at_level(logging.WARNING):
        machine = load_machine(folder, "cpu", OpenVoiceOptions(precision="bf16", self_check=checked))
    machine.close()
    used: Converter = machine._converter  # pyright: ignore[reportPrivateUsage]
    assert (fidelity(used, converter) > 200.0) is exact
    assert ("too far from fp32" in caplog.text) is exact


@native
def test_what_is_no_number_is_not_used(
    folder: Path, converter: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "fidelity", lambda *_: float("nan"))
    machine = load_machine(folder, "cpu", OpenVoiceOptions(precision="bf16"))
    machine.close()
    monkeypatch.undo()
    assert fidelity(machine._converter, converter) > 200.0  # pyright: ignore[reportPrivateUsage]
