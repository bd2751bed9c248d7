"""Options of an engine of type ``OPENVOICE_V2``."""

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
        description="The base's voice for all cloned voices; by default the one nearest in pitch.",
    )
    precision: Precision = Field(
        default="auto",
        description="Number format of the decoder. `auto`: bf16 where the hardware multiplies it natively, "
        "else fp32.",
    )
    self_check: bool = Field(
        default=True,
        description="Compare the precision with fp32 on these weights at each load, and fall back where it "
        "differs too much.",
    )
    tau: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="How much noise the encoder adds; by default MyShell's 0.3.",
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="CPU threads; by default one per core, at most eight."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.base == "melo") != (self.base_path is not None):
            raise ValueError("`base: melo` and base_path need each other")
        return self
