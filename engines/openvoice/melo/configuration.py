"""What a MeloTTS folder's ``config.json`` says."""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engines.model_files import read_json, unreadable

CONFIG: Final = "config.json"
CONDITIONED: Final = 2
"""The layer of a transformer in front of which the speaker is added; MeloTTS writes it into its code."""

_Width = Annotated[int, Field(ge=1, le=8_192)]
_Kernel = Annotated[int, Field(ge=1, le=64)]
_Layers = Annotated[int, Field(ge=1, le=64)]


class _Section(BaseModel):
    """Immutable; settings of the training are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Data(_Section):
    """``data``: the recordings it was trained on."""

    sampling_rate: int = Field(ge=8_000, le=192_000)
    filter_length: int = Field(ge=16, le=65_536)
    hop_length: int = Field(ge=1, le=65_536)
    n_speakers: int = Field(ge=1, le=1_000_000)
    add_blank: bool = True
    disable_bert: bool = False
    spk2id: dict[str, int] = Field(min_length=1)


class Model(_Section):
    """``model``: the network's dimensions, by the names of MeloTTS's ``SynthesizerTrn``."""

    inter_channels: _Width
    hidden_channels: _Width
    filter_channels: _Width
    n_heads: int = Field(ge=1, le=256)
    n_layers: _Layers
    n_layers_trans_flow: _Layers = 6
    n_flow_layer: _Layers = 4
    kernel_size: _Kernel
    resblock: Literal["1"] = "1"
    resblock_kernel_sizes: list[_Kernel] = Field(min_length=1, max_length=16)
    resblock_dilation_sizes: list[list[_Kernel]] = Field(min_length=1, max_length=16)
    upsample_rates: list[_Kernel] = Field(min_length=1, max_length=16)
    upsample_initial_channel: _Width
    upsample_kernel_sizes: list[_Kernel] = Field(min_length=1, max_length=16)
    gin_channels: _Width = 256
    use_spk_conditioned_encoder: bool = True
    use_transformer_flow: Literal[True] = True
    flow_share_parameter: Literal[False] = False
    use_vc: Literal[False] = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.hidden_channels % self.n_heads:
            raise ValueError("hidden_channels is no multiple of n_heads")
        if self.inter_channels % 2:
            raise ValueError("inter_channels is odd")
        if self.upsample_initial_channel >> len(self.upsample_rates) == 0:
            raise ValueError("upsample_initial_channel is too small for its upsample_rates")
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes):
            raise ValueError("upsample_rates and upsample_kernel_sizes differ in length")
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            raise ValueError("resblock_kernel_sizes and resblock_dilation_sizes differ in length")
        if any(size % 2 == 0 for size in self.resblock_kernel_sizes):
            raise ValueError("resblock_kernel_sizes are not odd")
        pairs = zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True)
        if any(size < rate or (size - rate) % 2 for rate, size in pairs):
            raise ValueError("upsample_kernel_sizes do not go with upsample_rates")
        if self.use_spk_conditioned_encoder and self.n_layers <= CONDITIONED:
            raise ValueError(f"n_layers is not more than {CONDITIONED}")
        if self.n_layers_trans_flow <= CONDITIONED:
            raise ValueError(f"n_layers_trans_flow is not more than {CONDITIONED}")
        return self


class MeloConfig(_Section):
    """A MeloTTS configuration.

    Attributes:
        data: The recordings' side.
        model: The network's side.
        symbols: Phones and punctuation; their places are the ids.
        num_tones: Tones of all languages together; English has four of them.
        num_languages: Languages the embedding has room for.
    """

    data: Data
    model: Model
    symbols: list[str] = Field(min_length=1, max_length=65_536)
    num_tones: int = Field(ge=1, le=65_536)
    num_languages: int = Field(ge=1, le=65_536)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("a symbol is listed twice")
        for name, speaker in self.data.spk2id.items():
            if not 0 <= speaker < self.data.n_speakers:
                raise ValueError(f"speaker {name!r} is number {speaker} of {self.data.n_speakers}")
        if math.prod(self.model.upsample_rates) != self.data.hop_length:
            raise ValueError("hop_length is not the product of upsample_rates")
        return self


def read_config(folder: Path) -> MeloConfig:
    """Read ``folder``'s configuration.

    Raises:
        EngineUnavailable: It is missing or is not MeloTTS's; the message names file and setting.
    """
    path = folder / CONFIG
    try:
        return MeloConfig.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise unreadable(path, f"{where}: {reason}" if where else reason) from error
