"""How freely a base voice speaks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """The defaults are those of MeloTTS's ``tts_to_file``.

    Attributes:
        sdp_ratio: Share of the sampled durations, the rest is of those predicted; 0 to 1.
        noise_scale: Spread of the voice's own noise.
        noise_scale_w: Spread of the noise behind the sampled durations.
    """

    sdp_ratio: float = 0.2
    noise_scale: float = 0.6
    noise_scale_w: float = 0.8
