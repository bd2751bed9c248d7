"""MeloTTS's synthesiser, without the parts for training.

Its attributes have the names of those of ``SynthesizerTrn``, as in checkpoints. It processes one utterance at
a time.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn

from engines.contract import EngineUnavailable, UnsupportedUtterance
from engines.openvoice.melo.attention import Encoder
from engines.openvoice.melo.configuration import MeloConfig
from engines.openvoice.melo.decoder import Decoder
from engines.openvoice.melo.durations import DurationPredictor, StochasticDurationPredictor
from engines.openvoice.melo.flow import Flow
from engines.openvoice.melo.manner import Manner

BERT_WIDE: Final = 1024
"""Number of features of the Chinese BERT; zero for all other languages."""
BERT: Final = 768
"""Number of features of the other languages' BERT, ``ja_bert`` in MeloTTS."""
MAX_UTTERANCE_SECONDS: Final = 60.0
"""Maximum length of an utterance; the memory of the flow's attention is quadratic in it, 0.6 GB for 60 s."""


class TextEncoder(nn.Module):
    """Encodes phones, tones, languages and BERT features to the distribution that the flow starts from."""

    def __init__(self, config: MeloConfig) -> None:
        super().__init__()
        model = config.model
        hidden = model.hidden_channels
        self._scale = math.sqrt(hidden)
        self.emb = nn.Embedding(len(config.symbols), hidden)
        self.tone_emb = nn.Embedding(config.num_tones, hidden)
        self.language_emb = nn.Embedding(config.num_languages, hidden)
        self.bert_proj = nn.Conv1d(BERT_WIDE, hidden, 1)
        self.ja_bert_proj = nn.Conv1d(BERT, hidden, 1)
        self.encoder = Encoder(
            hidden,
            model.filter_channels,
            model.n_heads,
            model.n_layers,
            model.kernel_size,
            speaker=model.gin_channels if model.use_spk_conditioned_encoder else 0,
        )
        self.proj = nn.Conv1d(hidden, 2 * model.inter_channels, 1)

    def forward(
        self, phones: Tensor, tones: Tensor, languages: Tensor, bert: Tensor | None, speaker: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return hidden states ``(1, hidden, phones)``, means and log deviations ``(1, inter, phones)``."""
        x = self.emb(phones) + self.tone_emb(tones) + self.language_emb(languages)
        x = x + self.bert_proj.bias  # since its features are zero
        x = x + (self.ja_bert_proj.bias if bert is None else self.ja_bert_proj(bert[None])[0].T)
        x = self.encoder((x * self._scale).T[None], speaker)
        means, logs = self.proj(x).chunk(2, dim=1)
        return x, means, logs


class Synthesizer(nn.Module):
    """Synthesises a waveform from phones."""

    def __init__(self, config: MeloConfig) -> None:
        super().__init__()
        model = config.model
        self._longest = int(MAX_UTTERANCE_SECONDS * config.data.sampling_rate / config.data.hop_length)
        self.enc_p = TextEncoder(config)
        self.dec = Decoder(model)
        self.flow = Flow(model)
        self.sdp = StochasticDurationPredictor(model.hidden_channels, model.gin_channels)
        self.dp = DurationPredictor(model.hidden_channels, model.gin_channels)
        self.emb_g = nn.Embedding(config.data.n_speakers, model.gin_channels)

    @torch.inference_mode()
    def forward(  # noqa: PLR0913 - what MeloTTS's `infer` takes
        self,
        phones: Tensor,
        tones: Tensor,
        *,
        languages: Tensor,
        speaker: int,
        bert: Tensor | None,
        speed: float,
        manner: Manner,
        noise: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Speak one utterance.

        Args:
            phones: IDs of phones, ``(phones,)``, on the network's device.
            tones: IDs of tones, ``(phones,)``.
            languages: IDs of languages, ``(phones,)``.
            speaker: ID of the speaker.
            bert: Features, ``(768, phones)``; ``None`` for zeros.
            speed: Relative speed; 2 halves the durations.
            manner: Random variation.
            noise: Generator on the CPU, so that a seed gives the same noise on every device.

        Returns:
            Samples from -1 to 1, ``(samples,)``, at the configuration's rate, and the number of frames of
            ``hop_length`` samples of each phone, ``(phones,)``.

        Raises:
            UnsupportedUtterance: The speech would be longer than :data:`MAX_UTTERANCE_SECONDS`.
            EngineUnavailable: The durations are not finite.
        """
        voice = self.emb_g.weight[speaker][None, :, None]
        hidden, means, logs = self.enc_p(phones, tones, languages, bert, voice)
        count = len(phones)
        w_noise = torch.randn(1, 2, count, generator=noise).to(hidden) * manner.noise_scale_w
        sampled, predicted = self.sdp(hidden, voice, w_noise), self.dp(hidden, voice)
        log_durations = sampled * manner.sdp_ratio + predicted * (1 - manner.sdp_ratio)
        frames = self._frames((log_durations.exp() / speed).ceil()[0, 0])
        means, logs = (x.repeat_interleave(frames, dim=2) for x in (means, logs))
        z_noise = torch.randn(means.shape, generator=noise).to(means)
        z = self.flow(means + z_noise * logs.exp() * manner.noise_scale, voice)
        weight = self.dec.conv_pre.weight  # the decoder may have a lower precision
        return self.dec(z.to(weight.dtype), voice.to(weight.dtype)).float(), frames

    def _frames(self, durations: Tensor) -> Tensor:
        total = float(durations.sum())
        if not math.isfinite(total):
            raise EngineUnavailable("The base voice's durations are not numbers: its weights are damaged.")
        if total > self._longest:
            longest = f"{MAX_UTTERANCE_SECONDS:g} s"
            message = f"The text would be spoken for more than {longest}. Shorten it, or speak it faster."
            raise UnsupportedUtterance(message, param="input")
        frames = durations.long()
        if total == 0:
            frames[0] = 1
        return frames
