"""Which parts of which utterances are decoded at once.

Each utterance is cut into a short piece, so that it is heard early, and long ones, which waste less: a piece
is decoded with its context. First all first pieces are decoded, then all second ones, and so on.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

FIRST: Final = 96
"""Frames of the first window: a second of sound, and its context."""
MOST: Final = 512
"""Frames of a later window, 6 seconds. A frame takes 160 KB while it is decoded in float32."""

Item = TypeVar("Item")


def cuts(frames: int, context: int, *, first: int = FIRST, most: int = MOST) -> list[tuple[int, int]]:
    """Where an utterance of that many frames is cut: first frame of each piece, and the one after its last.

    All windows but the last one are of two lengths. An utterance that is hardly longer than the first window
    is left whole.

    Args:
        frames: How long it is.
        context: Frames to either side of a piece, where there are any, that it is decoded with.
        first: Frames of the first window, more than its context.
        most: Frames of later windows, at most; more than twice the context.
    """
    if frames <= first + context:
        return [(0, frames)]
    borders = [0, *range(first - context, frames - context, most - 2 * context), frames]
    return list(itertools.pairwise(borders))


def rounds(utterances: Sequence[Sequence[Item]]) -> Iterator[list[Item]]:
    """The first pieces of all utterances, the second ones of those that have one, and so on."""
    for pieces in itertools.zip_longest(*utterances):
        yield [piece for piece in pieces if piece is not None]


def groups(items: Sequence[Item], length: Callable[[Item], int], budget: int) -> Iterator[list[Item]]:
    """Items that are computed together: of similar length, and no more than ``budget`` when filled up.

    One that exceeds the budget alone is a group of its own.
    """
    group: list[Item] = []
    for item in sorted(items, key=length):
        if group and length(item) * (len(group) + 1) > budget:
            yield group
            group = []
        group.append(item)
    if group:
        yield group
