"""The fidelity of audio computed in fewer bits than float32."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

FIDELITY: Final = 25.0
"""Signal-to-noise ratio in dB, at least, for a precision to be used; µ-law on the telephone has 35 or so."""


def decibels(signal: "Tensor", found: "Tensor") -> float:
    """The signal-to-noise ratio of ``found`` against the reference ``signal``; both ``(samples,)``.

    A constant offset is inaudible, and does not count as signal.
    """
    signal, found = signal.double().cpu(), found.double().cpu()
    noise = (found - signal).square().sum().clamp_min(1e-30)
    return float(10.0 * ((signal - signal.mean()).square().sum() / noise).log10())
