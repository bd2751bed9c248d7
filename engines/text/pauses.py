"""Pauses after passages by their closing punctuation, for engines that do not render them."""

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
"""Seconds of silence after a punctuation mark, at a rate of 1."""
_CUT: Final = 0.04
"""Seconds of silence after a passage without closing punctuation, which was cut for its length."""
_CLOSING: Final = "\"'”’»)]"


def pause_after(text: str) -> float:
    """Return the seconds of silence after a text.

    Args:
        text: The text; its last character determines the pause, except closing quotes and brackets.
    """
    return _SECONDS.get(text.rstrip().rstrip(_CLOSING)[-1:], _CUT)


def paced(passages: Sequence[Passage], speed: float) -> tuple[Passage, ...]:
    """Add pauses for punctuation to passages, except the last one.

    Args:
        passages: The passages, in order.
        speed: Relative speed of the speech, which shortens the pauses as well.
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
