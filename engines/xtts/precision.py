"""In which numbers the weights are held and multiplied."""

from enum import StrEnum

import torch


class Precision(StrEnum):
    """Numbers of the large matrices; what lies between them is float32."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


DTYPES: dict[Precision, torch.dtype] = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}
"""Types that a precision is one of torch's floating-point types for."""


def has_onednn(precision: Precision) -> bool:
    """Whether oneDNN multiplies in it on this CPU: bf16 asks for AVX-512, or what came after it."""
    if not torch.backends.mkldnn.is_available():
        return False
    return precision is not Precision.BF16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - torch has no public question
