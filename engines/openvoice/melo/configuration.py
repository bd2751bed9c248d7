"""``config.json`` of a MeloTTS folder."""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from engines.openvoice.vits import Kernel, Section, Vits, Width, read_section

CONFIG: Final = "config.json"
CONDITIONED: Final = 2
"""The layer of a transformer in front of which the speaker is added; MeloTTS writes it into its code."""

_Layers = Annotated[int, Field(ge=1, le=64)]


class Data(Section):
    """``data``: the recordings it was trained on."""

    sampling_rate: int = Field(ge=8_000, le=192_000)
    filter_length: int = Field(ge=16, le=65_536)
    hop_length: int = Field(ge=1, le=65_536)
    n_speakers: int = Field(ge=1, le=1_000_000)
    add_blank: bool = True
    disable_bert: bool = False
    spk2id: dict[str, int] = Field(min_length=1)


class Model(Vits):
    """``model``: the network's dimensions, by the names of MeloTTS's ``SynthesizerTrn``."""

    filter_channels: Width
    n_heads: int = Field(ge=1, le=256)
    n_layers: _Layers
    n_layers_trans_flow: _Layers = 6
    n_flow_layer: _Layers = 4
    kernel_size: Kernel
    use_spk_conditioned_encoder: bool = True
    use_transformer_flow: Literal[True] = True
    flow_share_parameter: Literal[False] = False
    use_vc: Literal[False] = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.hidden_channels % self.n_heads:
            raise ValueError("hidden_channels is not a multiple of n_heads")
        if self.use_spk_conditioned_encoder and self.n_layers <= CONDITIONED:
            raise ValueError(f"n_layers is not more than {CONDITIONED}")
        if self.n_layers_trans_flow <= CONDITIONED:
            raise ValueError(f"n_layers_trans_flow is not more than {CONDITIONED}")
        return self


class MeloConfig(Section):
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
    return read_section(folder / CONFIG, MeloConfig)
