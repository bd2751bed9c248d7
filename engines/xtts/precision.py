"""Number formats of the weights and their products."""

from enum import StrEnum

import torch


class Precision(StrEnum):
    """Number format of the large matrices; everything between them is float32."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


DTYPES: dict[Precision, torch.dtype] = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}
"""The torch dtypes of the floating-point precisions."""


def has_onednn(precision: Precision) -> bool:
    """Whether oneDNN supports a precision on this CPU: bf16 needs AVX-512 or later."""
    if not torch.backends.mkldnn.is_available():
        return False
    return precision is not Precision.BF16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - torch has no public function for it
