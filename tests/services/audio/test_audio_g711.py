import subprocess

import numpy as np
import pytest

from services.audio import g711

EVERY = np.arange(-32_768, 32_768).astype(np.int16)


@pytest.mark.parametrize(("law", "muxer"), [("ulaw", "mulaw"), ("alaw", "alaw")])
def test_every_sample_becomes_what_ffmpeg_makes_of_it(law: g711.Law, muxer: str) -> None:
    raw = ["-f", "s16le", "-ar", "8000", "-ch_layout", "mono", "-i", "pipe:"]
    done = subprocess.run(
        ["ffmpeg", "-v", "error", *raw, "-f", muxer, "-"],
        input=EVERY.tobytes(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert g711.encode(EVERY, law) == done.stdout


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_values_of_the_recommendation(law: g711.Law) -> None:
    # G.711, tables 1 and 2: full scale and the smallest values, after inversion of the bits.
    codes = {"ulaw": [0x80, 0x00, 0xFF], "alaw": [0xAA, 0x2A, 0xD5]}[law]
    assert list(g711.encode(np.array([32_767, -32_768, 0], np.int16), law)) == codes


def test_strided_samples() -> None:
    assert g711.encode(EVERY[::7], "ulaw") == g711.encode(EVERY[::7].copy(), "ulaw")
    assert g711.encode(EVERY[:0], "alaw") == b""
