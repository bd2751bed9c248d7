"""Install the build of torch that this machine needs; the one with CUDA is several gigabytes larger.

Usage: `python scripts/torch_build.py auto|cpu|cuda`, with the Python of the environment to install into.
pip's own settings (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS) say where to look for builds.

- `cpu` installs a build without CUDA, or fails if pip finds none.
- `cuda` installs a build with CUDA, or fails if pip finds none.
- `auto` prefers CUDA on a machine with an NVIDIA driver and the CPU build on any other. If pip does not find
  that build, it prints a warning and installs the other one. An installed torch is kept.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

CONSTRAINTS: Final = Path(__file__).parents[1] / "constraints.txt"
CHOICES: Final = ("auto", "cpu", "cuda")
DRIVER: Final = Path("/proc/driver/nvidia/version")
WHERE: Final = (
    "Set PIP_EXTRA_INDEX_URL to a package index that has that build, or PIP_FIND_LINKS to a folder with its "
    "wheel. PyTorch's installation page lists its indexes."
)


def pinned(constraints: str) -> str | None:
    """The version of torch in the text of a constraints file."""
    found = re.search(r"^torch==(\S+)", constraints, re.MULTILINE)
    return found[1] if found else None


def candidates(choice: str, pin: str | None) -> list[str]:
    """The requirements to try, in order. PyTorch's own indexes name the CPU build `2.13.0+cpu`."""
    plain = f"torch=={pin}" if pin else "torch"
    return [f"{plain}+cpu", plain] if pin and choice == "cpu" else [plain]


def has_cuda(packages: Iterable[tuple[str, str]]) -> bool:
    """Whether the packages (name, version) that pip would install for torch include CUDA."""
    for given, release in packages:
        name = re.sub(r"[-_.]+", "-", given).lower()
        if name == "torch" and re.search(r"\+cu\d", release):
            return True
        # NVML's bindings are small, and the server uses them itself.
        if name.startswith(("nvidia-", "cuda-")) and name != "nvidia-ml-py":
            return True
    return False


def choose(choice: str, plans: Sequence[tuple[str, bool]]) -> str | None:
    """The first of the plans (requirement, with CUDA or without) that is the chosen build."""
    return next((requirement for requirement, cuda in plans if cuda == (choice == "cuda")), None)


def has_driver() -> bool:
    """Whether this machine has an NVIDIA driver."""
    return DRIVER.exists() or shutil.which("nvidia-smi") is not None


def installed(pin: str | None) -> str | None:
    """The version of the installed torch; None if it is missing or differs from the pinned version."""
    try:
        found = version("torch")
    except PackageNotFoundError:
        return None
    return found if pin in (None, found.partition("+")[0]) else None


def _installed_has_cuda() -> bool:
    code = "import torch; print(torch.version.cuda or '')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return bool(done.stdout.strip())


def _pip_install(*arguments: str) -> subprocess.CompletedProcess[str]:
    constrained = ("--constraint", str(CONSTRAINTS)) if CONSTRAINTS.exists() else ()
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *constrained)
    return subprocess.run([*pip, *arguments], check=False, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours


def _plan(requirement: str) -> list[tuple[str, str]] | str:
    """What pip would install (name, version) in an empty environment, or its error message."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = _pip_install("--dry-run", "--ignore-installed", "--report", str(report), requirement)
        if done.returncode:
            return done.stderr
        items: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [(item["metadata"]["name"], item["metadata"]["version"]) for item in items]


def _install(asked: str) -> int:
    pin = pinned(CONSTRAINTS.read_text(encoding="utf-8")) if CONSTRAINTS.exists() else None
    choice = asked if asked != "auto" else "cuda" if has_driver() else "cpu"
    present = installed(pin)
    if present and (asked == "auto" or _installed_has_cuda() == (choice == "cuda")):
        print(f"torch {present} is installed.")
        return 0
    plans: list[tuple[str, bool]] = []
    failure = ""
    for requirement in candidates(choice, pin):
        plan = _plan(requirement)
        if isinstance(plan, str):
            failure = plan
        else:
            plans.append((requirement, has_cuda(plan)))
    if not plans:
        print(failure, file=sys.stderr)
        return 1
    requirement = choose(choice, plans)
    if requirement is None:
        wanted, found = ("with", "without") if choice == "cuda" else ("without", "with")
        message = f"pip finds no build of torch {wanted} CUDA, only one {found} it."
        if asked != "auto":
            print(f"TORCH={choice}: {message} Nothing was installed.\n{WHERE}", file=sys.stderr)
            print("`make test-base` runs the tests that need no torch.", file=sys.stderr)
            return 1
        print(f"Warning: {message}\n{WHERE}")
        requirement = plans[-1][0]
    size = "with CUDA: several GB" if dict(plans)[requirement] else "without CUDA: about 1 GB"
    print(f"Installing {requirement} ({size}).", flush=True)
    if present:
        # The other build of the same version: pip would keep it.
        done = _pip_install("--force-reinstall", "--no-deps", requirement)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return done.returncode
    done = _pip_install(requirement)
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


def main(arguments: Sequence[str]) -> int:
    """Install what was asked for; the exit status."""
    asked = " ".join(arguments)
    if asked not in CHOICES:
        print(f"TORCH must be one of {', '.join(CHOICES)}, not {asked!r}.", file=sys.stderr)
        return 2
    return _install(asked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
