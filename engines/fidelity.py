"""Fidelity of audio that is computed in lower precision than float32."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

FIDELITY: Final = 25.0
"""Minimum signal-to-noise ratio in dB for using a precision; µ-law telephony has about 35 dB."""


def decibels(signal: "Tensor", found: "Tensor") -> float:
    """Return the signal-to-noise ratio in dB of ``found`` against ``signal``; both have shape ``(samples,)``.

    A constant offset is inaudible, and does not count as signal.
    """
    signal, found = signal.double().cpu(), found.double().cpu()
    noise = (found - signal).square().sum().clamp_min(1e-30)
    return float(10.0 * ((signal - signal.mean()).square().sum() / noise).log10())
