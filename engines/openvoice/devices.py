"""Number formats and threads of OpenVoice and its base voices."""

from typing import Any, Final

import torch

from engines.contract import EngineUnavailable
from engines.hardware import cores
from engines.openvoice.options import Precision

MOST_THREADS: Final = 8
"""Maximum number of CPU threads by default; a sentence does not use more."""
_DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def dtype_for(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the dtype of a setting; for ``auto``, bf16 if the device multiplies it natively, else float32.

    Raises:
        EngineUnavailable: The device does not support the precision.
    """
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bf16(device) else torch.float32
    if precision == "fp16" and device.type != "cuda":
        raise EngineUnavailable(
            f"The option precision is fp16, which needs CUDA; the device is {device.type}."
        )
    return _DTYPES[precision]


def threads_for(threads: int | None) -> int:
    """Return the number of CPU threads of a setting: by default one per core, at most eight."""
    return threads or min(cores(), MOST_THREADS)


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cpu":
        processor: Any = torch.cpu
        asked = getattr(processor, "_is_avx512_bf16_supported", None)  # torch has no public function for it
        return asked is not None and asked()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
