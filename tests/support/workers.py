"""What processes that run tests in parallel have for themselves, and the servers that they start."""

import os
import random
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""The number of this process among pytest-xdist's workers; 0 without them."""

# Below the ports that the kernel gives to whoever asks for any (from 32,768 on Linux, from 49,152 elsewhere):
# a client's connection takes no port that a server is about to open.
FIRST_PORT = 16_000
PORTS_EACH = 1_000
RANGES = 16

_last = random.randrange(PORTS_EACH)
"""Two runs of the tests on one machine do not begin at the same port."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens; only this worker gives it away, and not soon again."""
    global _last  # noqa: PLW0603 - where the search goes on
    first = FIRST_PORT + PORTS_EACH * (WORKER % RANGES)
    for _ in range(PORTS_EACH):
        _last = (_last + 1) % PORTS_EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", first + _last))
            except OSError:
                continue
            return first + _last
    raise RuntimeError(f"no port is free from {first} to {first + PORTS_EACH - 1}")


@contextmanager
def stopped_unless_ready(stop: Callable[[], object]) -> Generator[None, None, None]:
    """Stop a server unless the block ends well: a test's timeout is raised in it, too, and would leave it."""
    with ExitStack() as stack:
        stack.callback(stop)
        yield
        stack.pop_all()
