"""Division of utterances into pieces that are decoded at once.

Each utterance has a short first piece, so that its audio starts early, and long ones, which waste less work
on context. First all first pieces are decoded, then all second ones, and so on.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

FIRST: Final = 96
"""Number of frames in the first window: a second of audio, and its context."""
MOST: Final = 512
"""Number of frames in a later window: 6 seconds. In float32, a frame takes 160 KB while it is decoded."""

Item = TypeVar("Item")


def cuts(frames: int, context: int, *, first: int = FIRST, most: int = MOST) -> list[tuple[int, int]]:
    """Divide an utterance into pieces; return the start (inclusive) and stop (exclusive) frame of each.

    All windows but the last one have one of two lengths. An utterance that is hardly longer than the first
    window is not divided.

    Args:
        frames: Number of frames of the utterance.
        context: Number of frames on either side that a piece is decoded with, as far as they exist.
        first: Number of frames in the first window; more than its context.
        most: Maximum number of frames in later windows; more than twice the context.
    """
    if frames <= first + context:
        return [(0, frames)]
    borders = [0, *range(first - context, frames - context, most - 2 * context), frames]
    return list(itertools.pairwise(borders))


def rounds(utterances: Sequence[Sequence[Item]]) -> Iterator[list[Item]]:
    """Yield the first pieces of all utterances, then the second ones, and so on."""
    for pieces in itertools.zip_longest(*utterances):
        yield [piece for piece in pieces if piece is not None]


def groups(items: Sequence[Item], length: Callable[[Item], int], budget: int) -> Iterator[list[Item]]:
    """Group items of similar length, so that the padded length of a group is at most ``budget``.

    An item that exceeds the budget forms its own group.
    """
    group: list[Item] = []
    for item in sorted(items, key=length):
        if group and length(item) * (len(group) + 1) > budget:
            yield group
            group = []
        group.append(item)
    if group:
        yield group
