"""The conditioning of a voice: the results of coqui-tts' ``Xtts.get_conditioning_latents``.

It has two parts. The transformer encodes the joined recordings in pieces of some seconds; the mean of the
pieces' results is its prompt. The vocoder gets the mean of the recordings' speaker embeddings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soxr  # pyright: ignore[reportMissingTypeStubs] - it ships none
import torch
from torch import Tensor, nn

from engines.contract import Abandoned, ReferenceSample, UnsupportedUtterance, VoiceEmbeddingRef
from engines.coqui import coqui
from engines.recordings.prepared import check_model
from engines.xtts.checkpoint import Checkpoint, ModelSettings, Shape

RATE: Final = 22_050
"""Sample rate of the transformer's input, in hertz, for all checkpoints."""

MIN_RECORDING_SECONDS: Final = 0.33
"""Minimum length of a recording, and of the last piece of the joined recordings, in seconds."""

_SPEAKER_RATE: Final = 16_000
_LOUDEST: Final = 0.75
"""Peak of recordings that are normalised in loudness."""
_FULL_SCALE: Final = 32_768.0
_LATENTS: Final = "gpt_cond_latent"
_SPEAKER: Final = "speaker_embedding"
_LARGEST: Final = 1e4
"""Limit of all values, far beyond any plausible one."""


def _nobody() -> bool:
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """A voice, in float32.

    Attributes:
        latents: The prompt, shape ``(1, 32, width)``.
        speaker: The embedding, shape ``(1, 512, 1)``.
    """

    latents: Tensor
    speaker: Tensor

    def to_tensors(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return ``gpt_cond_latent`` ``(32, width)`` and ``speaker_embedding`` ``(512,)`` by name."""
        return {
            _LATENTS: self.latents[0].cpu().numpy().copy(),
            _SPEAKER: self.speaker[0, :, 0].cpu().numpy().copy(),
        }

    @classmethod
    def from_prepared(cls, prepared: VoiceEmbeddingRef, *, model: str, shape: Shape) -> "Conditioning":
        """Read a prepared voice.

        Raises:
            UnsupportedUtterance: It was prepared for another model, or is damaged.
        """
        check_model(prepared, model)
        return cls.from_tensors(prepared.tensors, shape)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[np.float32]], shape: Shape) -> "Conditioning":
        """Read the result of :meth:`to_tensors`.

        Raises:
            UnsupportedUtterance: An array is missing or invalid.
        """
        for name, size in ((_LATENTS, (shape.latents, shape.width)), (_SPEAKER, (shape.speaker,))):
            tensor = tensors.get(name)
            if tensor is None or tensor.shape != size or not (np.abs(tensor) < _LARGEST).all():
                raise UnsupportedUtterance(
                    f"The prepared voice is damaged: {name!r} is invalid.", param="voice"
                )
        latents, speaker = (_tensor(tensors[name]) for name in (_LATENTS, _SPEAKER))
        return cls(latents[None], speaker[None, :, None])


def condition(
    checkpoint: Checkpoint,
    samples: Sequence[ReferenceSample],
    *,
    abandoned: Callable[[], bool] = _nobody,
) -> Conditioning:
    """Compute a voice from recordings; blocks for seconds. The result is on the CPU.

    Args:
        checkpoint: The model, of which only the encoders are used.
        samples: Recordings of one speaker. The transformer uses the first ``settings.gpt_cond_len`` seconds
            of the joined recordings; the speaker encoder the first ``settings.max_ref_len`` seconds of each.
        abandoned: Whether to stop; polled between pieces of some seconds.

    Raises:
        UnsupportedUtterance: A recording is too short or silent; the message says which.
        Abandoned: ``abandoned`` returned true.
    """
    settings = checkpoint.settings
    if not samples:
        raise UnsupportedUtterance("A voice needs a recording.", param="samples")
    recordings = [_heard(sample, number, settings) for number, sample in enumerate(samples, 1)]
    joined = torch.cat(recordings, dim=-1)[:, : RATE * settings.gpt_cond_len]
    with torch.no_grad():
        speakers = [_speaker(checkpoint, recording, abandoned) for recording in recordings]
        prompts = [_prompt(checkpoint, piece, abandoned) for piece in _pieces(joined, settings)]
    return Conditioning(
        latents=torch.stack(prompts).mean(dim=0).transpose(1, 2).contiguous(),
        speaker=torch.stack(speakers).mean(dim=0),
    )


def _heard(sample: ReferenceSample, number: int, settings: ModelSettings) -> Tensor:
    """Convert a recording to the model's input, shape ``(1, samples)`` at :data:`RATE`."""
    seconds = len(sample.pcm) / sample.sample_rate
    if seconds < MIN_RECORDING_SECONDS:
        raise UnsupportedUtterance(
            f"Recording {number} is too short: {seconds:.2f} s, and {MIN_RECORDING_SECONDS} s are needed.",
            param="samples",
        )
    heard = sample.pcm[: sample.sample_rate * settings.max_ref_len]
    if not heard.any():
        raise UnsupportedUtterance(f"Recording {number} is silent.", param="samples")
    signal = _resampled(heard.astype(np.float32) / np.float32(_FULL_SCALE), sample.sample_rate).clip(-1, 1)
    if settings.sound_norm_refs:
        signal = signal / np.abs(signal).max() * np.float32(_LOUDEST)
    return _tensor(signal[: RATE * settings.max_ref_len])[None]


def _resampled(signal: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.float32]:
    """Resample to :data:`RATE`, better than torchaudio, which for some rates needs gigabytes."""
    return signal if rate == RATE else soxr.resample(signal, rate, RATE, "HQ").astype(np.float32)


def _pieces(joined: Tensor, settings: ModelSettings) -> list[Tensor]:
    """Split the recordings into the transformer's pieces, without a last one that is too short."""
    length = RATE * settings.gpt_cond_chunk_len
    pieces = [joined[:, start : start + length] for start in range(0, joined.shape[-1], length)]
    return [piece for piece in pieces if piece.shape[-1] >= RATE * MIN_RECORDING_SECONDS]


def _speaker(checkpoint: Checkpoint, recording: Tensor, abandoned: Callable[[], bool]) -> Tensor:
    """Compute the speaker embedding, shape ``(1, 512, 1)``."""
    _go_on(abandoned)
    functional: Any = coqui("tts.models.xtts").torchaudio.functional
    encoder: Any = checkpoint.hifi.speaker_encoder
    heard = functional.resample(recording, RATE, _SPEAKER_RATE).to(_device(encoder))
    return encoder(heard, l2_norm=True)[..., None].cpu()


def _prompt(checkpoint: Checkpoint, piece: Tensor, abandoned: Callable[[], bool]) -> Tensor:
    """Compute the transformer's prompt for a piece, shape ``(1, width, 32)``."""
    _go_on(abandoned)
    mel = coqui("tts.models.xtts").wav_to_mel_cloning(
        piece,
        mel_norms=checkpoint.mel_stats,
        n_fft=2048,
        hop_length=256,
        win_length=1024,
        power=2,
        normalized=False,
        sample_rate=RATE,
        f_min=0,
        f_max=8000,
        n_mels=80,
    )
    gpt: Any = checkpoint.gpt
    return gpt.get_style_emb(mel.to(_device(gpt.conditioning_encoder)), None).cpu()


def _tensor(array: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))  # pyright: ignore[reportUnknownMemberType] - no numpy there


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _go_on(abandoned: Callable[[], bool]) -> None:
    if abandoned():
        raise Abandoned("The voice is no longer wanted: its caller disconnected.")
