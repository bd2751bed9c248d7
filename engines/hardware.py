"""Devices and CPU cores for engines."""

import os
from typing import TYPE_CHECKING

from engines.config import Device
from engines.contract import EngineUnavailable

if TYPE_CHECKING:
    import torch


def choose_device(wanted: Device) -> "torch.device":
    """Return the device for a setting; ``auto`` is CUDA, else MPS, else the CPU.

    Raises:
        EngineUnavailable: The device is not available.
    """
    import torch  # noqa: PLC0415 - only engines that have it ask

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, is_there in there.items() if is_there))
    if not there[wanted]:
        raise EngineUnavailable(
            f"There is no {wanted} device that torch {torch.__version__} can use. "
            "Set the engine's device to auto.",
            retry_after=60.0,
        )
    return torch.device(wanted)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    # Windows and macOS lack it.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
