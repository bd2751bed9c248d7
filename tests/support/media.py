"""Media files for tests, by FFmpeg's libraries."""

import io
import struct
from collections.abc import Mapping
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr

Sound = npt.NDArray[np.float32]

DEMUXERS = {"ipod": "m4a", "mp4": "mp4", "adts": "aac", "matroska": "mkv"}


def encode(  # noqa: PLR0913 - as many as there are ways to differ
    sound: Sound,
    container: str,
    codec: str,
    rate: int,
    *,
    source_rate: int = 24_000,
    layout: str = "mono",
    options: Mapping[str, str] | None = None,
    codec_options: Mapping[str, str] | None = None,
    video: str | None = None,
) -> bytes:
    """A sound as a file; with ``video``, a codec, some moving pictures beside it."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=dict(options or {})) as output:
        pictures = _add_video(output, video) if video else None
        stream: Any = output.add_stream(codec, rate=rate, options=dict(codec_options or {}))
        stream.layout = layout
        if pictures is not None:
            _show(output, pictures)
        resampled = soxr.resample(sound, source_rate, rate) if rate != source_rate else sound
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(resampled[np.newaxis], np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = rate
        for part in av.AudioResampler(stream.codec_context.format, layout, rate).resample(frame):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def video_only(container: str, codec: str) -> bytes:
    """Moving pictures without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        _show(output, _add_video(output, codec))
    return file.getvalue()


def pcm16(sound: Sound) -> bytes:
    """Little-endian 16-bit samples."""
    return np.rint(np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes()


def wav(  # noqa: PLR0913 - as above
    data: bytes,
    *,
    rate: int = 24_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    size: int | None = None,
    align: int | None = None,
    extension: bytes = b"",
    before: bytes = b"",
    riff: bytes = b"RIFF",
) -> bytes:
    """A wav whose header says what it is told to."""
    width = channels * bits // 8 if align is None else align
    form = struct.pack("<HHIIHH", tag, channels & 0xFFFF, rate, (rate * width) & 0xFFFFFFFF, width, bits)
    form += extension
    chunks = b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return riff + struct.pack("<I", len(chunks) & 0xFFFFFFFF) + chunks


def _add_video(output: Any, codec: str) -> Any:
    stream = output.add_stream(codec, rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _show(output: Any, stream: Any) -> None:
    for number in range(10):
        picture = np.full((48, 64, 3), number * 20, np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    output.mux(stream.encode(None))
