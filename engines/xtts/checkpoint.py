"""An XTTS-v2 checkpoint in memory.

coqui-tts' own modules hold the weights. They are created on the meta device and get the tensors of the file:
without initialisation or a second copy, and without ``Xtts`` itself, which creates its transformer twice.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from engines.coqui import coqui
from engines.model_files import read_json, unreadable
from engines.xtts.configuration import Arguments, Configuration, ModelSettings, read_configuration
from engines.xtts.folder import fingerprint, vocabulary_file, weights_file
from engines.xtts.state import SHOWN, State, read_state

__all__ = ["Checkpoint", "ModelSettings", "Shape", "fingerprint", "load_checkpoint"]

logger = logging.getLogger(__name__)

LATENTS: Final = 32
"""Number of latent vectors of a voice; hard-coded in coqui-tts' ``GPT``."""

_MAPPED: Final = "gpt.h."
"""Prefix of the transformer's blocks: most of the weights, which a decoder converts into its own format."""

_VOCODER: Final = "hifigan_decoder.waveform_decoder."
_SPEAKER: Final = "hifigan_decoder.speaker_encoder."
_STAGES: Final = (1, 2, 3, 4)
"""Stages of the speaker encoder."""
_SPEAKER_AUDIO: Final = {
    "fft_size": 512,
    "win_length": 400,
    "hop_length": 160,
    "sample_rate": 16_000,
    "preemphasis": 0.97,
    "num_mels": 64,
}
"""The speaker encoder's input, as in coqui-tts' ``HifiDecoder``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Dimensions of the model.

    Attributes:
        layers: Number of transformer blocks.
        width: Channels of the transformer, and of the latents that are the vocoder's input.
        heads: Attention heads per block.
        text_tokens: Size of the text vocabulary.
        audio_tokens: Size of the audio vocabulary, including start and stop.
        start_text: Token before a text.
        stop_text: Token after a text.
        start_audio: Token before speech.
        stop_audio: Token after speech.
        max_text: Maximum number of text tokens, without start and stop.
        max_audio: Maximum number of audio tokens.
        max_prompt: Maximum number of prompt vectors.
        latents: Number of a voice's latent vectors, the input of the transformer.
        speaker: Dimensions of a voice's embedding, the input of the vocoder.
        code_stride: Samples at ``input_rate`` per audio token.
        input_rate: Sample rate of the transformer's training data, in hertz.
        output_rate: Sample rate of the vocoder's output, in hertz.
        hop: Samples at ``output_rate`` per frame of the vocoder.
    """

    layers: int
    width: int
    heads: int
    text_tokens: int
    audio_tokens: int
    start_text: int
    stop_text: int
    start_audio: int
    stop_audio: int
    max_text: int
    max_audio: int
    max_prompt: int
    latents: int
    speaker: int
    code_stride: int
    input_rate: int
    output_rate: int
    hop: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A model in memory: float32, on the CPU, for inference.

    Attributes:
        shape: Dimensions of the model.
        languages: Supported languages, as tags of its vocabulary (``zh-cn``).
        gpt: ``TTS.tts.layers.xtts.gpt.GPT``. The matrices of ``gpt.gpt.h`` may be memory-mapped: copy them,
            or keep the file.
        hifi: ``TTS.tts.layers.xtts.hifigan_decoder.HifiDecoder``: vocoder, with weight norm, and speaker
            encoder.
        mel_stats: Divisors of the mel bands, shape ``(80,)``.
        tokenizer: ``TTS.tts.layers.xtts.tokenizer.VoiceBpeTokenizer``.
        settings: Generation defaults of the model.
    """

    shape: Shape
    languages: tuple[str, ...]
    gpt: nn.Module
    hifi: nn.Module
    mel_stats: Tensor
    tokenizer: Any
    settings: ModelSettings


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load the checkpoint in ``folder``; takes seconds, and writes nothing there.

    Raises:
        EngineUnavailable: A file is missing or damaged, or belongs to another model; the message names it.
    """
    configuration = read_configuration(folder)
    vocabulary = vocabulary_file(folder, configuration)
    tokenizer = _tokenizer(vocabulary)
    shape = _shape(configuration.model_args, tokenizer, vocabulary)
    path = weights_file(folder)
    state = read_state(path)
    _check_vocabulary(state, shape, path, vocabulary)
    gpt = _gpt(shape, configuration.model_args)
    hifi = _hifi(shape, configuration.model_args, state, path)
    _check(state, {"gpt.": gpt, "hifigan_decoder.": hifi}, path)
    _fill(gpt, state, "gpt.")
    _fill(hifi, state, "hifigan_decoder.")
    return Checkpoint(
        shape=shape,
        languages=_languages(configuration, tokenizer, vocabulary),
        gpt=gpt,
        hifi=hifi,
        mel_stats=state["mel_stats"].to(torch.float32, copy=True),
        tokenizer=tokenizer,
        settings=configuration.settings,
    )


def _tokenizer(path: Path) -> Any:  # noqa: ANN401 - an untyped library's object
    """Create Coqui's tokenizer with the vocabulary in ``path``."""
    read_json(path)  # for its error messages
    tokenizers: Any = coqui("tts.layers.xtts.tokenizer")
    try:
        return tokenizers.VoiceBpeTokenizer(vocab_file=path)
    except Exception as error:  # the library raises plain Exception
        raise unreadable(path, f"it is not a tokenizer ({error})") from error


def _shape(arguments: Arguments, tokenizer: Any, vocabulary: Path) -> Shape:  # noqa: ANN401 - as above
    start, stop = (tokenizer.tokenizer.token_to_id(token) for token in ("[START]", "[STOP]"))
    if start is None or stop is None:
        raise unreadable(
            vocabulary, "it has no [START] and [STOP], so it is not the vocabulary of an XTTS model"
        )
    return Shape(
        layers=arguments.gpt_layers,
        width=arguments.gpt_n_model_channels,
        heads=arguments.gpt_n_heads,
        text_tokens=tokenizer.get_number_tokens(),
        audio_tokens=arguments.gpt_num_audio_tokens,
        start_text=start,
        stop_text=stop,
        start_audio=arguments.gpt_start_audio_token,
        stop_audio=arguments.gpt_stop_audio_token,
        max_text=arguments.gpt_max_text_tokens - 1,
        max_audio=arguments.gpt_max_audio_tokens - 3,  # GPT.max_gen_mel_tokens
        max_prompt=arguments.gpt_max_prompt_tokens,
        latents=LATENTS,
        speaker=arguments.d_vector_dim,
        code_stride=arguments.gpt_code_stride_len,
        input_rate=arguments.input_sample_rate,
        output_rate=arguments.output_sample_rate,
        hop=arguments.output_hop_length,
    )


def _languages(configuration: Configuration, tokenizer: Any, vocabulary: Path) -> tuple[str, ...]:  # noqa: ANN401 - as above
    """Return the configuration's languages that the vocabulary has a tag for."""
    known = tokenizer.tokenizer.get_vocab()
    spoken = tuple(language for language in configuration.languages if f"[{language}]" in known)
    if not spoken:
        raise unreadable(
            vocabulary, f"it has none of the languages of config.json ({configuration.languages[0]}, …)"
        )
    if spoken != configuration.languages:
        left_out = ", ".join(sorted(set(configuration.languages) - set(spoken)))
        logger.warning("%s has no tag for %s, so it is not offered", vocabulary, left_out)
    return spoken


def _gpt(shape: Shape, arguments: Arguments) -> Any:  # noqa: ANN401 - as above
    """Create Coqui's transformer on the meta device."""
    layers: Any = coqui("tts.layers.xtts.gpt")
    logging.getLogger("transformers.configuration_utils").addFilter(_matters)
    with torch.device("meta"):
        return layers.GPT(
            layers=shape.layers,
            model_dim=shape.width,
            heads=shape.heads,
            start_text_token=shape.start_text,
            stop_text_token=shape.stop_text,
            start_audio_token=shape.start_audio,
            stop_audio_token=shape.stop_audio,
            max_text_tokens=arguments.gpt_max_text_tokens,
            max_mel_tokens=arguments.gpt_max_audio_tokens,
            max_prompt_tokens=shape.max_prompt,
            number_text_tokens=shape.text_tokens,
            num_audio_tokens=shape.audio_tokens,
            use_perceiver_resampler=True,
            code_stride_len=shape.code_stride,
        )


def _matters(record: logging.LogRecord) -> bool:
    """Drop transformers' warning about GPT-2's special tokens, which coqui-tts sets but does not use."""
    return "token_id must be" not in record.getMessage()


def _hifi(shape: Shape, arguments: Arguments, state: State, path: Path) -> Any:  # noqa: ANN401 - as above
    """Create Coqui's vocoder and speaker encoder on the meta device, with the weights' numbers of channels.

    The configuration does not have these; XTTS-v2 has 512 in the vocoder.
    """
    try:
        channels = state[f"{_VOCODER}conv_pre.weight"].shape[0]
        filters = [state[f"{_SPEAKER}layer{stage}.0.conv1.weight"].shape[0] for stage in _STAGES]
    except (KeyError, IndexError) as error:
        raise unreadable(path, f"it has no vocoder or no speaker encoder ({error} is missing)") from error
    blocks = [
        len({name.split(".")[3] for name in state if name.startswith(f"{_SPEAKER}layer{stage}.")})
        for stage in _STAGES
    ]
    decoders: Any = coqui("tts.layers.xtts.hifigan_decoder")
    encoders: Any = coqui("encoder.models.resnet")
    with torch.device("meta"):
        # Not by its own constructor, which does not accept the speaker encoder's dimensions.
        hifi: Any = decoders.HifiDecoder.__new__(decoders.HifiDecoder)
        nn.Module.__init__(hifi)
        hifi.waveform_decoder = decoders.HifiganGenerator(
            shape.width, 1, "1",
            [[1, 3, 5]] * 3, [3, 7, 11], [16, 16, 4, 4], channels, [8, 8, 2, 2],
            inference_padding=0,
            cond_channels=shape.speaker,
            conv_pre_weight_norm=False,
            conv_post_weight_norm=False,
            conv_post_bias=False,
            cond_in_each_up_layer=arguments.cond_d_vector_in_each_upsampling_layer,
        )  # fmt: skip
        hifi.speaker_encoder = encoders.ResNetSpeakerEncoder(
            input_dim=_SPEAKER_AUDIO["num_mels"],
            proj_dim=shape.speaker,
            layers=blocks,
            num_filters=filters,
            log_input=True,
            audio_config=_SPEAKER_AUDIO,
        )
    # Outside the meta device, since its filters are computed.
    hifi.speaker_encoder.torch_spec = hifi.speaker_encoder.get_torch_mel_spectrogram_class(_SPEAKER_AUDIO)
    hifi.speaker_encoder.use_torch_spec = True
    hifi.input_sample_rate = shape.input_rate
    hifi.output_sample_rate = shape.output_rate
    hifi.output_hop_length = shape.hop
    hifi.ar_mel_length_compression = shape.code_stride
    hifi.speaker_encoder_audio_config = _SPEAKER_AUDIO
    return hifi


def _check_vocabulary(state: State, shape: Shape, path: Path, vocabulary: Path) -> None:
    """Check that weights and vocabulary belong to one model; they are often mixed up."""
    embedding = state.get("gpt.text_embedding.weight")
    if embedding is not None and embedding.shape[0] != shape.text_tokens:
        raise unreadable(
            vocabulary,
            f"it has {shape.text_tokens} tokens but {path} has {embedding.shape[0]}: two models' files",
        )


def _check(state: State, modules: dict[str, nn.Module], path: Path) -> None:
    """Check that exactly the expected weights are present, with their shapes."""
    wanted = {"mel_stats": torch.Size([80])}
    for prefix, module in modules.items():
        wanted |= {f"{prefix}{name}": tensor.shape for name, tensor in module.state_dict().items()}
    problems = {
        "lacks": [name for name in wanted if name not in state],
        "has beside its weights": [name for name in state if name not in wanted],
        "has dimensions that differ from config.json:": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(size)}"
            for name, size in wanted.items()
            if name in state and state[name].shape != size
        ],
    }
    for problem, names in problems.items():
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            raise unreadable(path, f"it {problem} {', '.join(names[:SHOWN])}{more}")


def _fill(module: nn.Module, state: State, prefix: str) -> None:
    """Load a module's weights, for inference.

    All but the transformer's blocks are copied, so that only these still depend on the file.
    """
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    ready = {name: _ready(tensor, copy=not name.startswith(_MAPPED)) for name, tensor in own.items()}
    module.load_state_dict(ready, assign=True)
    module.requires_grad_(requires_grad=False).eval()


def _ready(tensor: Tensor, *, copy: bool) -> Tensor:
    dtype = torch.float32 if tensor.dtype.is_floating_point else tensor.dtype
    return tensor.detach().to(dtype, copy=copy).contiguous()
