"""Settings of a base voice's random variation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """Random variation of speech. The defaults are those of MeloTTS's ``tts_to_file``.

    Attributes:
        sdp_ratio: Weight of the sampled durations relative to the predicted ones, 0 to 1.
        noise_scale: Standard deviation of the latents' noise, as a factor.
        noise_scale_w: Standard deviation of the noise for sampled durations.
    """

    sdp_ratio: float = 0.2
    noise_scale: float = 0.6
    noise_scale_w: float = 0.8
