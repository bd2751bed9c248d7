"""Which build of torch `make test` installs: no gigabytes of CUDA where they are not wanted."""

from pathlib import Path
from typing import Any

import pytest

import torch_build

CPU = [("torch", "2.13.0+cpu"), ("sympy", "1.14.0")]
PLAIN = [("torch", "2.13.0"), ("sympy", "1.14.0"), ("nvidia-ml-py", "13.615.71")]
CUDA = [("torch", "2.13.0"), ("nvidia_cublas", "13.1.0"), ("triton", "3.5.0")]
OTHER_CUDA = [("torch", "2.13.0+cu130"), ("sympy", "1.14.0")]
MISSING = "ERROR: No matching distribution found"

Plan = list[tuple[str, str]] | str


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What pip was asked to install, on a machine without a driver where torch is not installed."""
    calls: list[tuple[str, ...]] = []

    class Done:
        returncode = 0
        stderr = ""

    def pip(*arguments: str) -> Any:
        calls.append(arguments)
        return Done()

    monkeypatch.setattr(torch_build, "_pip_install", pip)
    monkeypatch.setattr(torch_build, "has_driver", lambda: False)
    monkeypatch.setattr(torch_build, "installed", lambda _: None)
    monkeypatch.setattr(torch_build, "pinned", lambda _: "2.13.0")
    return calls


def finds(monkeypatch: pytest.MonkeyPatch, **plans: Plan) -> None:
    by_requirement = {"torch==2.13.0+cpu": plans["cpu"], "torch==2.13.0": plans["plain"]}
    monkeypatch.setattr(torch_build, "_plan", by_requirement.__getitem__)


def test_the_pin_is_that_of_the_constraints() -> None:
    text = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8")
    assert torch_build.pinned(text)
    assert torch_build.pinned("torchaudio==2.11.0\ntorch==2.13.0\n") == "2.13.0"
    assert torch_build.pinned("torchaudio==2.11.0\n") is None


@pytest.mark.parametrize(
    ("packages", "cuda"), [(CPU, False), (PLAIN, False), (CUDA, True), (OTHER_CUDA, True)]
)
def test_a_build_is_known_by_its_packages(packages: list[tuple[str, str]], *, cuda: bool) -> None:
    assert torch_build.has_cuda(packages) is cuda


@pytest.mark.parametrize(
    ("choice", "cpu", "plain", "installed"),
    [
        ("cpu", CPU, CUDA, "torch==2.13.0+cpu"),
        ("cpu", MISSING, PLAIN, "torch==2.13.0"),
        ("auto", CPU, CUDA, "torch==2.13.0+cpu"),
        ("auto", MISSING, PLAIN, "torch==2.13.0"),
        ("cuda", CPU, CUDA, "torch==2.13.0"),
    ],
)
def test_the_build_that_is_installed(
    choice: str,
    cpu: Plan,
    plain: Plan,
    installed: str,
    asked: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finds(monkeypatch, cpu=cpu, plain=plain)
    assert torch_build.main([choice]) == 0
    assert asked == [(installed,)]


@pytest.mark.parametrize(("choice", "plain"), [("cpu", CUDA), ("cuda", PLAIN)])
def test_the_other_build_is_refused(
    choice: str,
    plain: Plan,
    asked: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finds(monkeypatch, cpu=MISSING, plain=plain)
    assert torch_build.main([choice]) == 1
    assert asked == []
    said = capsys.readouterr().err
    assert f"TORCH={choice}" in said
    assert "Nothing was installed" in said
    assert "PIP_EXTRA_INDEX_URL" in said


def test_auto_takes_the_other_build_with_a_warning(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finds(monkeypatch, cpu=MISSING, plain=CUDA)
    assert torch_build.main(["auto"]) == 0
    assert asked == [("torch==2.13.0",)]
    assert "Warning: pip finds no build of torch without CUDA" in capsys.readouterr().out


def test_auto_takes_cuda_where_there_is_a_driver(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build, "has_driver", lambda: True)
    finds(monkeypatch, cpu=CPU, plain=CUDA)
    assert torch_build.main(["auto"]) == 0
    assert asked == [("torch==2.13.0",)]


@pytest.mark.parametrize(("choice", "calls"), [("auto", 0), ("cpu", 0), ("cuda", 2)])
def test_an_installed_torch_is_kept_unless_the_other_build_is_asked_for(
    choice: str, calls: int, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build, "installed", lambda _: "2.13.0+cpu")
    monkeypatch.setattr(torch_build, "_installed_has_cuda", lambda: False)
    finds(monkeypatch, cpu=CPU, plain=CUDA)
    assert torch_build.main([choice]) == 0
    assert len(asked) == calls


def test_pip_finds_nothing(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finds(monkeypatch, cpu=MISSING, plain=MISSING)
    assert torch_build.main(["auto"]) == 1
    assert asked == []
    assert MISSING in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["gpu"], ["cpu", "cuda"]])
def test_an_unknown_choice(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert torch_build.main(arguments) == 2
    assert "auto, cpu, cuda" in capsys.readouterr().err
