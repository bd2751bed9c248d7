"""The conversion of a tone colour: speech is encoded, its tone colour is replaced, and the result is decoded.

It computes the same as coqui-tts' ``OpenVoice.inference``, for many rows together.
Method: Qin et al., "OpenVoice" (2023), https://arxiv.org/abs/2312.01479.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from engines.coqui import coqui
from engines.openvoice.base import ToneColour
from engines.openvoice.checkpoint import Checkpoint
from engines.openvoice.convolution import Convolution, Ends, batched, constants, parted
from engines.openvoice.decoder import Decoder
from engines.openvoice.row import Row, Samples
from engines.openvoice.wavenet import WaveNet

LEAST: Final = 4
"""Minimum number of frames that are encoded; fewer are padded with silence."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Latent:
    """Speech with its new tone colour, before it is decoded.

    Attributes:
        frames: Latent frames, shape ``(channels, frames)``.
        colour: The new tone colour, shape ``(colours,)``.
        samples: Number of samples of the decoded speech.
    """

    frames: Tensor
    colour: Tensor
    samples: int

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.frames.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Part of a latent that is decoded at once.

    Attributes:
        latent: The latent.
        start: First frame, inclusive.
        stop: Last frame, exclusive.
    """

    latent: Latent
    start: int
    stop: int


class Converter:
    """One checkpoint, ready to convert. Calls may run concurrently.

    Args:
        checkpoint: The loaded checkpoint. Its network can be freed afterwards.
        dtype: Dtype of the decoder, which is nine tenths of the work. On the CPU, the rest is float32.
        device: Device that it runs on; by default the CPU.
        tau: Amount of noise that the encoder adds; by default MyShell's 0.3.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
        tau: float | None = None,
    ) -> None:
        network: Any = checkpoint.network
        device = device or torch.device("cpu")
        self._device = device
        self._dtype = torch.float32 if device.type == "cpu" else dtype
        self._tau: float = network.tau if tau is None else tau
        self._data = checkpoint.configuration.data
        self._spectrogram: Any = coqui("utils.audio.torch_transforms").wav_to_spec
        self._reference: Any = network.ref_enc.to(device)
        self._channels: int = network.inter_channels
        self._colours: int = network.gin_channels
        neutral = torch.zeros(self._colours) if network.zero_g else None
        self._neutral = neutral
        encoder: Any = network.enc_q
        self._pre, self._proj = self._convolution(encoder.pre), self._convolution(encoder.proj)
        self._encoder = WaveNet(encoder.enc, self._dtype, device)
        couplings = [flow for flow in network.flow.flows if hasattr(flow, "enc")]
        self._flow = [_Coupling(coupling, self._dtype, device) for coupling in couplings]
        self._decoder = Decoder(network.dec, neutral, dtype, device)

    @property
    def colours(self) -> int:
        """Dimensions of a tone colour."""
        return self._colours

    @property
    def context(self) -> int:
        """Number of frames on either side that a piece is decoded with."""
        return self._decoder.context

    @property
    def samples_per_frame(self) -> int:
        """Number of samples per frame."""
        return self._decoder.samples_per_frame

    @torch.inference_mode()
    def embed(self, samples: Samples) -> ToneColour:
        """Compute the tone colour of speech, shape ``(colours,)``."""
        colour: Tensor = self._reference(self._spectrum(samples).T[None])
        return colour[0].cpu().numpy().astype(np.float32)

    @torch.inference_mode()
    def latents(self, rows: Sequence[Row]) -> list[Latent]:
        """Encode rows together with their new tone colours; each result is the same as alone."""
        if not rows:
            return []
        spectra = [self._spectrum(self._whole_frames(row.samples)) for row in rows]
        lengths = [spectrum.shape[1] for spectrum in spectra]
        x, ends = batched(spectra, self._dtype, self._device)
        sources = self._batched_colours([row.source for row in rows])
        targets = self._batched_colours([row.target for row in rows])
        z = self._encode(x, sources, ends, self._noise(rows, lengths))
        for coupling in self._flow:
            z = coupling(z, sources, ends, reverse=False).flip(1)
        for coupling in reversed(self._flow):
            z = coupling(z.flip(1), targets, ends, reverse=True)
        return [
            Latent(
                frames=frames[:, 0, :length].float(), colour=target[:, 0, 0].float(), samples=len(row.samples)
            )
            for frames, target, length, row in zip(z, targets, lengths, rows, strict=True)
        ]

    @torch.inference_mode()
    def decode(self, pieces: Sequence[Piece]) -> list[Samples]:
        """Decode pieces together; joined, they equal the latent decoded as a whole."""
        if not pieces:
            return []
        windows: list[Tensor] = []
        skips: list[int] = []
        for piece in pieces:
            first = max(0, piece.start - self.context)
            windows.append(piece.latent.frames[:, first : piece.stop + self.context])
            skips.append(piece.start - first)
        waves = self._decoder(windows, [piece.latent.colour for piece in pieces])
        per_frame = self.samples_per_frame
        return [
            wave[skip * per_frame :][
                : min(piece.stop * per_frame, piece.latent.samples) - piece.start * per_frame
            ]
            .cpu()
            .numpy()
            for wave, skip, piece in zip(waves, skips, pieces, strict=True)
        ]

    def convert(self, rows: Sequence[Row]) -> list[Samples]:
        """Convert rows together, preserving their lengths; memory grows with the lengths."""
        latents = self.latents(rows)
        return self.decode([Piece(latent, 0, len(latent)) for latent in latents])

    def _encode(self, x: Tensor, sources: Tensor, ends: Ends, noise: Tensor) -> Tensor:
        colour = sources if self._neutral is None else torch.zeros_like(sources)
        hidden = self._encoder(ends.cut(self._pre(x)), colour, ends)
        mean, log_scale = parted(self._proj(hidden), self._channels)
        return ends.cut(mean + noise * self._tau * log_scale.exp())

    def _whole_frames(self, samples: Samples) -> Samples:
        """Pad speech with silence to a whole number of frames."""
        hop = self._data.hop_length
        frames = max(LEAST, -(-len(samples) // hop))
        return np.pad(samples, (0, frames * hop - len(samples)))

    def _spectrum(self, samples: Samples) -> Tensor:
        """Compute the magnitude spectrogram of speech, shape ``(bins, frames)``."""
        data = self._data
        sizes = (data.filter_length, data.hop_length, data.win_length)
        signal = torch.as_tensor(samples, dtype=torch.float32, device=self._device)
        spectrum: Tensor = self._spectrogram(signal[None, None], *sizes, center=False)
        return spectrum[0]

    def _noise(self, rows: Sequence[Row], lengths: Sequence[int]) -> Tensor:
        """Draw noise on the CPU, with each row's own seed, so that device and batch do not matter."""
        drawn = [
            torch.randn(self._channels, length, generator=torch.Generator().manual_seed(row.seed))
            for row, length in zip(rows, lengths, strict=True)
        ]
        return batched(drawn, self._dtype, self._device)[0]

    def _batched_colours(self, colours: Sequence[ToneColour]) -> Tensor:
        rows = [torch.as_tensor(np.ascontiguousarray(colour, np.float32)) for colour in colours]
        return constants(rows, self._dtype, self._device)

    def _convolution(self, layer: Any) -> Convolution:  # noqa: ANN401 - coqui-tts has no types
        return Convolution(layer, self._dtype, self._device)


class _Coupling:
    """One step of the flow, which shifts half of the channels by a function of the other half."""

    def __init__(self, layer: Any, dtype: torch.dtype, device: torch.device) -> None:  # noqa: ANN401 - as above
        self._half: int = layer.half_channels
        self._pre, self._post = Convolution(layer.pre, dtype, device), Convolution(layer.post, dtype, device)
        self._enc = WaveNet(layer.enc, dtype, device)

    def __call__(self, z: Tensor, colour: Tensor, ends: Ends, *, reverse: bool) -> Tensor:
        kept, moved = parted(z, self._half)
        shift = ends.cut(self._post(self._enc(ends.cut(self._pre(kept)), colour, ends)))
        return torch.cat([kept, moved - shift if reverse else moved + shift], dim=1)
