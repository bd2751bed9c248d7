"""The common part of the ``config.json`` of MyShell's converter and of MeloTTS, both VITS networks.

Names are theirs; keys for training are ignored.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engines.model_files import read_json, unreadable

Width: TypeAlias = Annotated[int, Field(ge=1, le=8_192)]
Kernel: TypeAlias = Annotated[int, Field(ge=1, le=64)]


class Section(BaseModel):
    """A section of a configuration; immutable, and unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Vits(Section):
    """Dimensions of the latents and of the HiFi-GAN that decodes them."""

    inter_channels: Width
    hidden_channels: Width
    resblock: Literal["1"] = "1"
    resblock_kernel_sizes: list[Kernel] = Field(min_length=1, max_length=16)
    resblock_dilation_sizes: list[list[Kernel]] = Field(min_length=1, max_length=16)
    upsample_rates: list[Kernel] = Field(min_length=1, max_length=16)
    upsample_initial_channel: Width
    upsample_kernel_sizes: list[Kernel] = Field(min_length=1, max_length=16)
    gin_channels: Width = 256

    @model_validator(mode="after")
    def _is_a_hifigan(self) -> Self:
        if self.inter_channels % 2:
            raise ValueError("inter_channels is odd")
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes):
            raise ValueError("upsample_rates and upsample_kernel_sizes differ in length")
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            raise ValueError("resblock_kernel_sizes and resblock_dilation_sizes differ in length")
        if any(len(dilations) != 3 for dilations in self.resblock_dilation_sizes):  # noqa: PLR2004 - a block of type 1
            raise ValueError("resblock_dilation_sizes are not three each")
        if any(size % 2 == 0 for size in self.resblock_kernel_sizes):
            raise ValueError("resblock_kernel_sizes are not odd")
        pairs = zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True)
        if any(size < rate or (size - rate) % 2 for rate, size in pairs):
            raise ValueError("upsample_kernel_sizes do not match upsample_rates")
        if self.upsample_initial_channel >> len(self.upsample_rates) == 0:
            raise ValueError("upsample_initial_channel is too small for its upsample_rates")
        return self


SectionT = TypeVar("SectionT", bound=Section)


def read_section(path: Path, section: type[SectionT]) -> SectionT:
    """Read a configuration file.

    Raises:
        EngineUnavailable: The file is missing or invalid; the message names file and setting.
    """
    try:
        return section.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise unreadable(path, f"{where}: {reason}" if where else reason) from error
