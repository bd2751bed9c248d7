"""``options`` of an engine of type ``XTTS_HI``."""

from typing import Literal

from pydantic import Field

from engines.config import StrictModel

PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16", "int8"]


class XttsOptions(StrictModel):
    """Options of XTTS: how it runs, and defaults of requests."""

    precision: PrecisionChoice = Field(
        default="auto",
        description="Number format of the decoder's matrices. `auto`: int8 on a CPU that is fast at it, "
        "bf16 or fp16 on a GPU; any format is compared with fp32 at each load.",
    )
    vocoder_precision: PrecisionChoice = Field(
        default="auto",
        description="Number format of the vocoder. `auto`: bf16 where the CPU has it, else fp32.",
    )
    self_check: bool = Field(
        default=True,
        description="Compare the precision with fp32 on these weights at each load, and fall back where it "
        "differs too much.",
    )
    slots: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Sentences decoded at once; 8 on a CPU, 32 on a GPU by default.",
    )
    renderers: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Threads of the vocoder; by default the CPU's cores, 1 on a GPU.",
    )
    cpu_fallback: bool = Field(default=True, description="Run on the CPU if the GPU lacks the memory.")
    check: bool = Field(
        default=True,
        description="Look for runaway, loops, early stops, silence and clipping, and retry such a "
        "sentence while none of it has been heard.",
    )
    temperature: float | None = Field(default=None, gt=0, le=10, description="By default from config.json.")
    top_k: int | None = Field(default=None, ge=0, description="As above.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="As above.")
    repetition_penalty: float | None = Field(default=None, ge=1, le=100, description="As above.")
    greedy: bool = Field(default=False, description="Always choose the most likely token.")
    min_tokens: int = Field(
        default=0,
        ge=0,
        description="Minimum number of audio tokens in a sentence, for benchmarks; a second has 21.5.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of audio tokens in a sentence; by default the model's.",
    )
    voice_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=0,
        description="Memory for voices in the decoder's own form, 8 MB each; others are computed again.",
    )
