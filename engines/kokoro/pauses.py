"""Silence between phrases of one utterance, by the mark that ends a phrase."""

from typing import Final

import numpy as np

from engines.contract import Pcm
from engines.kokoro.speech import SAMPLE_RATE

_SECONDS: Final = {".": 0.3, "!": 0.3, "?": 0.3, "…": 0.35, ";": 0.22, ":": 0.22, "—": 0.2, ",": 0.14}
_CUT: Final = 0.04
"""Where no mark ends the phrase: it was cut because it is long."""
_CLOSING: Final = '”"’)'


def pause_after(symbols: str) -> Pcm:
    """The silence after a phrase.

    Args:
        symbols: Of the phrase.
    """
    mark = symbols.rstrip().rstrip(_CLOSING)[-1:]
    return np.zeros(round(_SECONDS.get(mark, _CUT) * SAMPLE_RATE), np.int16)
