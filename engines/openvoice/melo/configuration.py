"""``config.json`` of a MeloTTS folder."""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from engines.openvoice.vits import Kernel, Section, Vits, Width, read_section

CONFIG: Final = "config.json"
CONDITIONED: Final = 2
"""Index of the transformer layer before which the speaker is added; hard-coded in MeloTTS."""

_Layers = Annotated[int, Field(ge=1, le=64)]


class Data(Section):
    """``data``: the format of the training recordings, and the speakers."""

    sampling_rate: int = Field(ge=8_000, le=192_000)
    filter_length: int = Field(ge=16, le=65_536)
    hop_length: int = Field(ge=1, le=65_536)
    n_speakers: int = Field(ge=1, le=1_000_000)
    add_blank: bool = True
    disable_bert: bool = False
    spk2id: dict[str, int] = Field(min_length=1)


class Model(Vits):
    """``model``: the network's dimensions, with the names of MeloTTS's ``SynthesizerTrn``."""

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
        data: Format of the recordings, and the speakers.
        model: Dimensions of the network.
        symbols: Phones and punctuation; their indices are their IDs.
        num_tones: Number of tones of all languages together; English has four of them.
        num_languages: Size of the languages' embedding.
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
    """Read the configuration in ``folder``.

    Raises:
        EngineUnavailable: The file is missing or not MeloTTS's; the message names file and setting.
    """
    return read_section(folder / CONFIG, MeloConfig)
