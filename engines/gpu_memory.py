"""GPU memory of processes, as counted by the driver (NVML), or else by PyTorch.

NVML counts the memory of all libraries, and the CUDA context. It does not work in a container with its own
PID namespace (NVML uses the host's PIDs, or reports 0), nor with Windows' desktop driver model (WDDM).
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
    """Return the memory of processes on all GPUs in bytes; 0 if unknown.

    If NVML reports nothing, this is PyTorch's count for this process alone.
    """
    nvml = driver()
    counted = 0 if nvml is None else counted_by(nvml, pids)
    return counted or _reserved()


def counted_by(nvml: Any, pids: AbstractSet[int]) -> int:  # noqa: ANN401 - it ships no types
    """Return the GPU memory of processes in bytes, as counted by the driver; 0 if unknown.

    Args:
        nvml: The module ``pynvml``, initialised.
        pids: Process IDs.
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
    """Return ``pynvml``, initialised; ``None`` if it or an NVIDIA driver is not installed."""
    try:
        nvml: Any = import_module("pynvml")
    except ImportError:  # a dependency of the server, not of the engines
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        logger.debug("no NVIDIA driver: %s", error)
        return None
    return nvml


def release() -> None:
    """Free the GPU memory that PyTorch caches."""
    if (cuda := _cuda()) is not None:
        cuda.empty_cache()


def _reserved() -> int:
    cuda = _cuda()
    # Reserved memory is not available to others, whether it is in use or not.
    return 0 if cuda is None else sum(cuda.memory_reserved(index) for index in range(cuda.device_count()))


def _cuda() -> Any | None:  # noqa: ANN401 - torch's module, which nobody here imports
    """Return ``torch.cuda`` if an engine has imported PyTorch and uses a GPU."""
    torch: Any = sys.modules.get("torch")
    cuda: Any = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None
