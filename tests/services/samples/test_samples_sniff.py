"""Where the audio begins in a file with tags before it."""

import io

import pytest

from services.samples.errors import BadSample
from services.samples.sniff import sniff

TAG = b"ID3\x04\x00\x00\x00\x00\x00\x05empty"
FRAME = b"\xff\xfb\x90\x64" + bytes(413)


@pytest.mark.parametrize("tags", [0, 1, 4])
def test_audio_after_tags(tags: int) -> None:
    assert sniff(io.BytesIO(TAG * tags + FRAME)).start == tags * len(TAG)


def test_tags_without_end() -> None:
    with pytest.raises(BadSample, match="more than 4 ID3 tags"):
        sniff(io.BytesIO(TAG * 5 + FRAME))
