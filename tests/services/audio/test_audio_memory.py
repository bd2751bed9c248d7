import gc

import numpy as np
import psutil
import pytest

from services.audio.formats import FORMATS
from services.audio.pipeline import AudioPipeline


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_thousand_responses_leave_nothing_behind() -> None:
    process = psutil.Process()
    noise = np.random.default_rng(1).integers(-8_000, 8_000, 6_000).astype(np.int16)
    names = [name for name in FORMATS if FORMATS[name].compressed]

    def speak(count: int) -> None:
        for turn in range(count):
            pipeline = AudioPipeline(
                FORMATS[names[turn % len(names)]],
                22_050,
                tempo=1.5 if turn % 3 == 0 else 1.0,
                buffered=turn % 5 == 0,
            )
            pipeline.feed(noise)
            if turn % 2:  # every other one is aborted
                pipeline.finish()
            pipeline.close()

    speak(300)
    gc.collect()
    before = process.memory_info().rss
    speak(2_000)
    gc.collect()
    grown = process.memory_info().rss - before
    # One leaked context of 2,000 would be 30 KB or more each.
    assert grown < 12 * 1024 * 1024
