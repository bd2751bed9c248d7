"""Comparison of a precision with fp32, on the loaded weights.

The decoder decodes two short sentences in the precision; coqui-tts' own transformer then processes the same
tokens in fp32, in one pass. The logits at every token are compared: how often the most likely token is the
same, and how much the distributions differ (Kullback-Leibler divergence, in nats). The decoded latents are
then rendered in the vocoder's precision and in fp32.
"""

import logging
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from engines.xtts.checkpoint import Checkpoint
from engines.xtts.decoder import Decoder
from engines.xtts.generation import Generation, Row
from engines.xtts.latents import LatentStream, LatentWindow
from engines.xtts.sampling import Sampling
from engines.xtts.vocoder import Vocoder, fidelity

logger = logging.getLogger(__name__)

TOKENS: Final = 24
"""Number of audio tokens per sentence (1.1 s): 48 comparisons in two sentences, in some seconds."""

AGREEMENT: Final = 0.8
"""Minimum share of tokens at which the most likely token is the same."""

DIVERGENCE: Final = 0.1
"""Maximum mean divergence, in nats; sampling at a temperature of 0.75 hides more than that."""

_TEXTS: Final = (("hello, how are you today?", "en"), ("नमस्ते, आप कैसे हैं?", "hi"))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How close a precision is to fp32.

    Attributes:
        same: Share of tokens at which the most likely token is the same.
        divergence: Mean Kullback-Leibler divergence of the precision from fp32, in nats.
        latents: Mean error of the latents, relative to their norm.
    """

    same: float
    divergence: float
    latents: float

    @property
    def close(self) -> bool:
        """Whether the precision is within :data:`AGREEMENT` and :data:`DIVERGENCE`."""
        return self.same >= AGREEMENT and self.divergence <= DIVERGENCE


@torch.inference_mode()
def compare(checkpoint: Checkpoint, decoder: Decoder) -> tuple[Agreement, list[Tensor]]:
    """Compare ``decoder`` with fp32; return the agreement and each sentence's latents ``(tokens, width)``."""
    generation = Generation(decoder, len(_TEXTS))
    voice = _voice(checkpoint)
    rows: list[Row] = []
    decoded: list[list[Tensor]] = []
    for text in _texts(checkpoint):
        latents: list[Tensor] = []
        sampling = Sampling(greedy=True, min_tokens=TOKENS, max_tokens=TOKENS)
        row = Row(text, decoder.prefix(voice), sampling, latents.append)
        generation.join(row)
        rows.append(row)
        decoded.append(latents)
    while generation.rows:
        generation.step()
    found = [torch.stack(latents).float().cpu() for latents in decoded]
    agreement = _agreement(checkpoint, rows, voice, found)
    logger.info(
        "%s agrees with fp32 on %.0f %% of tokens, diverges by %.4f nats, latents by %.2f %%",
        decoder.precision,
        100 * agreement.same,
        agreement.divergence,
        100 * agreement.latents,
    )
    return agreement, found


def heard(checkpoint: Checkpoint, latents: list[Tensor], vocoder: Vocoder, exact: Vocoder) -> float:
    """Compute the signal-to-noise ratio of ``vocoder`` in dB, with the signal rendered by ``exact``."""
    speaker = torch.nn.functional.normalize(torch.ones(checkpoint.shape.speaker, 1), dim=0)
    windows: list[LatentWindow] = []
    for sentence in latents:
        stream = LatentStream(speaker, config=exact.shape)
        stream.append(sentence)
        stream.finish()
        while (window := stream.next_window()) is not None:
            windows.append(window)
    ratio = fidelity(vocoder, exact, windows)
    logger.info(
        "the vocoder in %s has a signal-to-noise ratio of %.1f dB against fp32", vocoder.precision, ratio
    )
    return ratio


def _agreement(checkpoint: Checkpoint, rows: list[Row], voice: Tensor, latents: list[Tensor]) -> Agreement:
    gpt: Any = checkpoint.gpt
    same = total = 0
    divergence = error = 0.0
    for row, own in zip(rows, latents, strict=True):
        exact = _exact(checkpoint, row, voice)
        expected, found = (gpt.mel_head(each).log_softmax(-1) for each in (exact, own))
        same += int((expected.argmax(-1) == found.argmax(-1)).sum())
        divergence += float((expected.exp() * (expected - found)).sum())
        error += float((_size(own - exact) / _size(exact)).sum())
        total += len(own)
    return Agreement(same / total, divergence / total, error / total)


def _size(rows: Tensor) -> Tensor:
    return rows.square().sum(-1).sqrt()


def _exact(checkpoint: Checkpoint, row: Row, voice: Tensor) -> Tensor:
    """Compute the latents of a row's tokens in fp32, ``(tokens, width)``."""
    gpt: Any = checkpoint.gpt
    shape = checkpoint.shape
    text = torch.tensor([[shape.start_text, *row.text, shape.stop_text]])
    audio = torch.tensor([[shape.start_audio, *row.tokens[:-1]]])
    embedded = torch.cat(
        [
            voice[None],
            gpt.text_embedding(text) + gpt.text_pos_embedding(text),
            gpt.mel_embedding(audio) + gpt.mel_pos_embedding(audio),
        ],
        dim=1,
    )
    hidden: Tensor = gpt.gpt(inputs_embeds=embedded, return_dict=True).last_hidden_state
    return gpt.final_norm(hidden[0, -audio.shape[1] :])


def _voice(checkpoint: Checkpoint) -> Tensor:
    """Compute a voice, ``(positions, width)``, from a buzz with the spectrum of a vowel."""
    gpt: Any = checkpoint.gpt
    mel = torch.zeros(1, 80, 120)
    mel[:, ::4] = 2.0
    mel += torch.linspace(1.0, -3.0, 80)[:, None]
    prompt: Tensor = gpt.get_style_emb(mel, None)
    return prompt[0].T


def _texts(checkpoint: Checkpoint) -> list[list[int]]:
    """Return the tokens of the sentences, in languages that the model supports."""
    spoken = [(text, tag) for text, tag in _TEXTS if tag in checkpoint.languages] or [_TEXTS[0]]
    first = checkpoint.languages[0]
    tags = [(text, tag if tag in checkpoint.languages else first) for text, tag in spoken]
    return [list(checkpoint.tokenizer.encode(text, lang=tag)) for text, tag in tags]
