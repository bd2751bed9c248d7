# Torch's stubs are partly unknown, and torch may not be installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
"""The speaker encoder of resemblyzer (Apache-2.0; generalised end-to-end loss), using only its weights.

The package itself imports an old webrtcvad that newer installations cannot load, and librosa for one
spectrogram; neither is needed here. The embeddings are those of ``VoiceEncoder.embed_utterance``, except
that an incomplete last part is ignored.
"""

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import soxr  # pyright: ignore[reportMissingTypeStubs] - it ships none

_RATE: Final = 16_000
_WINDOW, _HOP, _MELS = 400, 160, 40
_PARTIAL: Final = 160
"""Number of frames (1.6 s) in each part that the network embeds."""
_STEP: Final = 77
"""Number of frames from one part's start to the next: 1.3 parts per second."""
_UNITS, _LAYERS = 256, 3
_LOUD: Final = 10 ** (-30 / 20)
"""RMS to which quieter speech is raised."""

_Floats = npt.NDArray[np.float32]


class ResemblyzerModel:
    """The encoder; torch and the weights are loaded on first use."""

    def __init__(self) -> None:
        self._network: Any = None
        self._bank = _mel_bank()
        self._hann = np.hanning(_WINDOW + 1)[:_WINDOW].astype(np.float32)

    @property
    def name(self) -> str:
        """Package and version."""
        return f"resemblyzer {importlib.metadata.version('resemblyzer')}"

    def embed(self, pcm: _Floats, sample_rate: int) -> _Floats:
        """Embed speech; see :meth:`services.samples.speaker.SpeakerModel.embed`."""
        import torch  # noqa: PLC0415 - in an extra, and slow to import

        sound = cast("_Floats", soxr.resample(pcm, sample_rate, _RATE))
        sound = sound * max(1.0, _LOUD / max(float(np.sqrt(np.mean(sound**2))), 1e-9))
        mel = self._mel(sound.astype(np.float32))
        starts = range(0, max(1, len(mel) - _PARTIAL + 1), _STEP)
        mel = np.pad(mel, ((0, max(0, _PARTIAL - len(mel))), (0, 0)))
        parts = np.stack([mel[start : start + _PARTIAL] for start in starts])
        recurrent, linear = self._load()
        with torch.no_grad():
            hidden = recurrent(torch.from_numpy(parts))[1][0][-1]
            raw = torch.relu(linear(hidden))
            mean = (raw / raw.norm(dim=1, keepdim=True)).mean(0)
            return cast("_Floats", (mean / mean.norm()).numpy())

    def _load(self) -> Any:  # noqa: ANN401 - torch's, which need not be installed
        if self._network is None:
            import torch  # noqa: PLC0415 - as above

            torch.set_num_threads(1)
            spec = importlib.util.find_spec("resemblyzer")
            assert spec is not None and spec.origin is not None  # noqa: S101, PT018 - see ``find_speaker_model``
            path = Path(spec.origin).with_name("pretrained.pt")
            weights = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
            recurrent = torch.nn.LSTM(_MELS, _UNITS, _LAYERS, batch_first=True)
            linear = torch.nn.Linear(_UNITS, _UNITS)
            for part, prefix in ((recurrent, "lstm."), (linear, "linear.")):
                part.load_state_dict(
                    {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
                )
            self._network = (recurrent, linear)
        return self._network

    def _mel(self, sound: _Floats) -> _Floats:
        padded = np.pad(sound, _WINDOW // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
        return ((np.abs(np.fft.rfft(frames * self._hann)) ** 2) @ self._bank).astype(np.float32)


def _mel_bank() -> npt.NDArray[np.float64]:
    """Build Slaney's mel filters: linear up to 1 kHz and logarithmic above, all of the same area."""
    linear, border, step = 200 / 3, 1_000.0, np.log(6.4) / 27
    top = border / linear + np.log(_RATE / 2 / border) / step
    mels = np.linspace(0, top, _MELS + 2)
    above = border * np.exp(step * (mels - border / linear))
    corners = np.where(mels < border / linear, mels * linear, above)
    lines = np.fft.rfftfreq(_WINDOW, 1 / _RATE)[:, np.newaxis]
    up = (lines - corners[:-2]) / (corners[1:-1] - corners[:-2])
    down = (corners[2:] - lines) / (corners[2:] - corners[1:-1])
    return np.maximum(0, np.minimum(up, down)) * (2 / (corners[2:] - corners[:-2]))
