"""Choice of the precision for a device."""

from typing import Any, Final

import torch

from engines.contract import EngineUnavailable
from engines.xtts.linear import pack_linear
from engines.xtts.precision import Precision, has_onednn

FALLBACKS: Final = {
    Precision.INT8: (Precision.INT8, Precision.BF16, Precision.FP32),
    Precision.BF16: (Precision.BF16, Precision.FP32),
    Precision.FP16: (Precision.FP16, Precision.FP32),
    Precision.FP32: (Precision.FP32,),
}
"""Fallbacks, in order, if a precision differs too much from fp32."""


def decoder_precision(wanted: str, device: torch.device) -> Precision:
    """Choose the precision of the decoder.

    Raises:
        EngineUnavailable: The device does not support the requested precision.
    """
    if wanted == "auto":
        if device.type == "cpu":
            return Precision.INT8 if _has_int8() else _cpu_floats()
        return _accelerator_floats(device)
    precision = Precision(wanted)
    if device.type != "cpu" and precision is Precision.INT8:
        raise EngineUnavailable("int8 is for the CPU; choose bf16, fp16 or fp32.", retry_after=60.0)
    if device.type == "cpu" and precision is Precision.FP16:
        raise EngineUnavailable("fp16 is for GPUs; choose int8, bf16 or fp32.", retry_after=60.0)
    return precision


def vocoder_precision(wanted: str, device: torch.device) -> Precision:
    """Choose the precision of the vocoder; the vocoder itself rejects unsupported ones."""
    if wanted != "auto":
        return Precision(wanted)
    return _cpu_floats() if device.type == "cpu" else _accelerator_floats(device)


def _cpu_floats() -> Precision:
    """Choose bf16 if the CPU multiplies it natively, since otherwise float32 is faster."""
    flags: Any = torch.cpu
    native = any(
        getattr(flags, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return Precision.BF16 if native and has_onednn(Precision.BF16) else Precision.FP32


def _accelerator_floats(device: torch.device) -> Precision:
    if device.type == "cuda":
        return Precision.BF16 if torch.cuda.is_bf16_supported() else Precision.FP16
    return Precision.FP32


def _has_int8() -> bool:
    """Whether oneDNN's int8 products work on this machine; where they do not, they raise an exception."""
    flags: Any = torch.cpu
    if not getattr(flags, "_is_vnni_supported", bool)():
        return False
    try:
        pack_linear(torch.eye(8), torch.zeros(8), Precision.INT8, torch.device("cpu"))(torch.ones(1, 8))
    except RuntimeError:
        return False
    return True
