"""Pauses after pieces of text, by their closing punctuation, for engines that render none themselves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from engines.text.passage import Passage

_SECONDS: Final = {
    **dict.fromkeys(".!?।॥。！？‽", 0.3),
    "…": 0.35,
    **dict.fromkeys(";:；：", 0.22),
    **dict.fromkeys("—–", 0.2),
    **dict.fromkeys(",،、，", 0.14),
}
"""Seconds at a rate of 1."""
_CUT: Final = 0.04
"""For a piece without closing punctuation, which was cut for its length."""
_CLOSING: Final = "\"'”’»)]"


def pause_after(text: str) -> float:
    """Seconds of silence between a piece of text and what follows it.

    Args:
        text: Its end decides, closing quotes and brackets aside.
    """
    return _SECONDS.get(text.rstrip().rstrip(_CLOSING)[-1:], _CUT)


def paced(passages: Sequence[Passage], speed: float) -> tuple[Passage, ...]:
    """Passages with pauses for their punctuation added; none after the last.

    Args:
        passages: In order.
        speed: Of the whole speech, which shortens its pauses too.
    """
    last = len(passages) - 1
    return tuple(
        passage
        if index == last
        else replace(
            passage,
            pause_after=passage.pause_after + pause_after(passage.text) / (speed * passage.rate),
        )
        for index, passage in enumerate(passages)
    )
