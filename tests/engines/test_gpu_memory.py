"""What processes take of the GPU's memory. Where there is no GPU, a stand-in has the driver's answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from engines import gpu_memory


class DriverError(Exception):
    """As ``pynvml.NVMLError``."""


@dataclass(frozen=True)
class Running:
    """A process as NVML shows it; bytes are None under Windows' desktop driver."""

    pid: int
    usedGpuMemory: int | None  # noqa: N815 - NVML's name


class Driver:
    """The part of ``pynvml`` that is asked: GPUs with the processes on each; a string is its error."""

    NVMLError = DriverError

    def __init__(self, *gpus: Sequence[Running] | str) -> None:
        self._gpus = gpus

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's names
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> Sequence[Running]:  # noqa: N802
        found = self._gpus[handle]
        if isinstance(found, str):
            raise DriverError(found)
        return found


@pytest.mark.parametrize(
    ("gpus", "bytes_"),
    [
        pytest.param([], 0, id="no GPU"),
        pytest.param([[Running(1, 100), Running(3, 1_000)], [Running(2, 10)]], 110, id="others do not count"),
        pytest.param([[Running(70_001, 100)]], 0, id="a container: ids are the host's"),
        pytest.param([[Running(1, None)]], 0, id="WDDM"),
        pytest.param([[Running(1, 100)], "Not Supported"], 0, id="half an answer is none"),
    ],
)
def test_what_the_driver_counts_for_these_processes(gpus: list[Sequence[Running] | str], bytes_: int) -> None:
    assert gpu_memory.counted_by(Driver(*gpus), {1, 2}) == bytes_


def test_any_library_counts_where_the_driver_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_memory, "driver", lambda: Driver([Running(1, 100)]))
    assert gpu_memory.of_processes({1}) == 100
    assert gpu_memory.of_processes({2}) == 0, "and PyTorch uses no GPU in this process"


def test_the_real_library_answers_with_and_without_a_driver() -> None:
    assert gpu_memory.of_processes({0}) == 0
