"""``config.json`` of an XTTS checkpoint: the model's dimensions and generation defaults.

Names and defaults are those of coqui-tts 0.28 (``TTS.tts.configs.xtts_config``); the rest is ignored.
"""

import json
from pathlib import Path
from typing import Annotated, Final, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engines.contract import EngineUnavailable
from engines.model_files import read_json, unreadable

NAME: Final = "config.json"

_LANGUAGES: Final = (
    "en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "zh-cn", "hu", "ko", "ja", "hi",
)  # fmt: skip

Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]
Token: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds: TypeAlias = Annotated[int, Field(ge=1, le=3600)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class Arguments(_Read):
    """``model_args``: dimensions of the model."""

    tokenizer_file: str | None = ""
    gpt_max_audio_tokens: Count = 605
    gpt_max_text_tokens: Count = 402
    gpt_max_prompt_tokens: Count = 70
    gpt_layers: Annotated[int, Field(ge=1, le=1_000)] = 30
    gpt_n_model_channels: Annotated[int, Field(ge=32, le=65_536)] = 1024
    gpt_n_heads: Annotated[int, Field(ge=1, le=1_024)] = 16
    gpt_num_audio_tokens: Count = 8194
    gpt_start_audio_token: Token = 8192
    gpt_stop_audio_token: Token = 8193
    gpt_code_stride_len: Count = 1024
    gpt_use_perceiver_resampler: bool = False
    input_sample_rate: Count = 22050
    output_sample_rate: Count = 24000
    output_hop_length: Count = 256
    decoder_input_dim: Count = 1024
    d_vector_dim: Count = 512
    cond_d_vector_in_each_upsampling_layer: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.gpt_n_model_channels % self.gpt_n_heads:
            raise ValueError("gpt_n_model_channels must be a multiple of gpt_n_heads")
        if max(self.gpt_start_audio_token, self.gpt_stop_audio_token) >= self.gpt_num_audio_tokens:
            raise ValueError(
                "gpt_start_audio_token and gpt_stop_audio_token must be below gpt_num_audio_tokens"
            )
        if self.decoder_input_dim != self.gpt_n_model_channels:
            raise ValueError("decoder_input_dim must be equal to gpt_n_model_channels")
        if not self.gpt_use_perceiver_resampler:
            raise ValueError(
                "gpt_use_perceiver_resampler is false: this is XTTS version 1, and version 2 is needed"
            )
        return self


class ModelSettings(_Read):
    """Generation and conditioning defaults of the model.

    Attributes:
        temperature: Temperature of sampling.
        length_penalty: Exponent of the length in beam search.
        repetition_penalty: Divisor of the logits of tokens already generated.
        top_k: Number of most likely tokens to sample from.
        top_p: Total probability of the tokens to sample from.
        gpt_cond_len: Seconds of the joined recordings that the decoder uses.
        gpt_cond_chunk_len: Seconds of each piece of them.
        max_ref_len: Seconds of each recording that are used.
        sound_norm_refs: Whether recordings are normalised to the same peak.
    """

    temperature: Annotated[float, Field(gt=0, le=10)] = 0.85
    length_penalty: float = 1.0
    repetition_penalty: Annotated[float, Field(gt=0, le=1_000)] = 2.0
    top_k: Annotated[int, Field(ge=0)] = 50
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.85
    gpt_cond_len: Seconds = 12
    gpt_cond_chunk_len: Seconds = 4
    max_ref_len: Seconds = 10
    sound_norm_refs: bool = False


class Configuration(ModelSettings):
    """The relevant parts of ``config.json``.

    Attributes:
        model_args: Dimensions of the model.
        languages: Tags of the languages that it was trained with, as in its vocabulary.
    """

    model_args: Arguments
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = _LANGUAGES

    @property
    def settings(self) -> ModelSettings:
        """The generation defaults."""
        return ModelSettings.model_validate(self.model_dump(include=set(ModelSettings.model_fields)))

    def of_voices(self) -> str:
        """Return the settings that a voice's conditioning depends on, as canonical JSON."""
        left_out = {"languages", "temperature", "length_penalty", "repetition_penalty", "top_k", "top_p"}
        return json.dumps(self.model_dump(mode="json", exclude=left_out), sort_keys=True)


def read_configuration(folder: Path) -> Configuration:
    """Read ``config.json`` in ``folder``.

    Raises:
        EngineUnavailable: The file is missing, is not JSON, or does not describe an XTTS-v2 model; the
            message names it.
    """
    path = folder / NAME
    contents = read_json(path)
    if "model_args" not in contents:
        raise unreadable(path, "it has no model_args, so it is not the configuration of an XTTS model")
    try:
        return Configuration.model_validate(contents)
    except ValidationError as error:
        raise _complaint(path, error) from error


def _complaint(path: Path, error: ValidationError) -> EngineUnavailable:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    return unreadable(path, f"{place}: {what[:1].lower()}{what[1:]}")
