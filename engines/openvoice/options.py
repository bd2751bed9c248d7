"""What can be set for an engine of type ``OPENVOICE_V2``."""

from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from engines.config import StrictModel

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]


class OpenVoiceOptions(StrictModel):
    """``options`` of an engine of type ``OPENVOICE_V2``."""

    base: Literal["espeak", "melo"] = Field(
        default="espeak",
        description="What speaks before the conversion: the embedded engine, or MeloTTS's weights.",
    )
    base_path: Path | None = Field(
        default=None,
        description="Folder with MeloTTS's `config.json` and `checkpoint.pth`, for `base: melo`.",
    )
    base_voice: str | None = Field(
        default=None,
        min_length=1,
        description="The base's voice that speaks for all cloned ones; without it, the one nearest in pitch.",
    )
    precision: Precision = Field(
        default="auto",
        description="Of the decoder. `auto` takes bf16 where it is multiplied natively, else fp32.",
    )
    self_check: bool = Field(
        default=True,
        description="Compare the precision with fp32 on these weights at each load, and take that where it "
        "differs too much.",
    )
    tau: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="How much noise the encoder adds; without it as much as MyShell does, 0.3.",
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="CPU threads; without it one for each core, eight at most."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.base == "melo") != (self.base_path is not None):
            raise ValueError("base_path goes with `base: melo`, and that needs it")
        return self
