"""The check of the GPU for engines with models."""

import shutil
import subprocess
from importlib.util import find_spec
from typing import Final

from services.cli.checkup.finding import CheckResult, ok, skipped, warning
from services.cli.checkup.probe import ProbeError, probe

TORCH_TIMEOUT_SECONDS: Final = 90.0
"""Timeout of importing PyTorch in seconds; the first import reads hundreds of megabytes."""

DRIVER_TIMEOUT_SECONDS: Final = 15.0


def gpu() -> CheckResult:
    """Check the GPU that PyTorch would use. The embedded engine does not need one."""
    subject = "GPU"
    cards = _cards()
    if find_spec("torch") is None:
        message = f"{cards or 'none'}; PyTorch is not installed, and the embedded engine needs neither"
        return ok(subject, message) if cards else skipped(subject, message)
    try:
        found = probe("services.cli.checkup.gpu_probe", timeout=TORCH_TIMEOUT_SECONDS)
    except ProbeError as error:
        return warning(subject, f"PyTorch cannot be imported: {error}", "Reinstall torch for this machine.")
    torch = f"PyTorch {found['version']}"
    if found["cuda"]:
        return ok(subject, f"{torch} with CUDA: {', '.join(found['cuda'])}")
    if cards:
        remedy = "Install a build of torch with CUDA that this driver runs."
        return warning(subject, f"{torch} cannot use {cards}", remedy)
    return ok(subject, f"{torch} {'with MPS' if found['mps'] else 'on the CPU'}")


def _cards() -> str:
    """The names of NVIDIA's cards, empty without any."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - found on the PATH
            [command, "--query-gpu=name", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DRIVER_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    names = done.stdout.decode("utf-8", "replace").split("\n") if done.returncode == 0 else []
    return ", ".join(name.strip() for name in names if name.strip())
