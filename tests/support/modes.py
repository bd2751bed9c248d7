"""Children that heed files' modes even where the tests run as root."""

import ctypes
import os
import sys
from collections.abc import Callable

import pytest

PR_CAPBSET_DROP = 24
OVERRIDES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what makes root ignore modes."""


def heed_modes() -> Callable[[], None] | None:
    """For ``preexec_fn``: takes from root, for good, what makes it ignore modes."""
    if os.name != "posix":
        pytest.skip("files have no modes here")
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        pytest.skip("root ignores modes here")
    libc = ctypes.CDLL(None)

    def drop() -> None:
        for capability in OVERRIDES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    return drop
