"""GPU memory of processes, as the driver counts it (NVML), else as PyTorch does.

NVML counts what any library took, and the CUDA context. It cannot tell in a container with process ids of its
own (NVML has the host's ids there, or counts 0), nor with Windows' desktop driver model (WDDM).
"""

import logging
import sys
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import cache
from importlib import import_module
from typing import Any

logger = logging.getLogger(__name__)


def of_processes(pids: AbstractSet[int]) -> int:
    """Bytes that this process and others have on all GPUs together; 0 where neither can tell."""
    nvml = driver()
    counted = 0 if nvml is None else counted_by(nvml, pids)
    return counted or _reserved()


def counted_by(nvml: Any, pids: AbstractSet[int]) -> int:  # noqa: ANN401 - it ships no types
    """Bytes that the driver counts for processes; 0 where it cannot tell.

    Args:
        nvml: ``pynvml``, initialised.
        pids: Their ids.
    """
    total = 0
    try:
        for index in range(nvml.nvmlDeviceGetCount()):
            gpu = nvml.nvmlDeviceGetHandleByIndex(index)
            running: Iterable[Any] = nvml.nvmlDeviceGetComputeRunningProcesses(gpu)
            # None under WDDM.
            total += sum(process.usedGpuMemory or 0 for process in running if process.pid in pids)
    except nvml.NVMLError as error:
        logger.debug("the NVIDIA driver does not say what processes take: %s", error)
        return 0
    return total


@cache
def driver() -> Any | None:  # noqa: ANN401 - as above
    """``pynvml``, initialised; ``None`` where it is not installed or there is no NVIDIA driver."""
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:  # the server's; the contract is there without it
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        logger.debug("no NVIDIA driver: %s", error)
        return None
    return nvml


def release() -> None:
    """Give back to the GPU what PyTorch keeps for later."""
    if (cuda := _cuda()) is not None:
        cuda.empty_cache()


def _reserved() -> int:
    cuda = _cuda()
    # What PyTorch reserved is what others cannot have, in use or not.
    return 0 if cuda is None else sum(cuda.memory_reserved(index) for index in range(cuda.device_count()))


def _cuda() -> Any | None:  # noqa: ANN401 - torch's module, which nobody here imports
    """``torch.cuda``, if an engine has imported PyTorch and uses a GPU."""
    torch: Any = sys.modules.get("torch")
    cuda: Any = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None
