"""What ffprobe and ffmpeg say of audio."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Probe:
    """A file's first stream, and how long it is when it is decoded to the end."""

    codec: str
    sample_rate: int
    channels: int
    container: str
    duration: float


def ffprobe(path: Path, *options: str) -> Probe:
    """Probe and decode a file; whatever either complains of fails the test."""
    probed = _run("ffprobe", *options, "-show_streams", "-show_format", "-of", "json", str(path))
    told = json.loads(probed)
    (stream,) = told["streams"]
    rate = int(stream["sample_rate"])
    decoded = _run("ffmpeg", *options, "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", str(rate), "-")
    return Probe(
        stream["codec_name"],
        rate,
        int(stream["channels"]),
        told["format"]["format_name"],
        len(decoded) / 2 / rate,
    )


def _run(command: str, *arguments: str) -> bytes:
    done = subprocess.run([command, "-v", "error", *arguments], capture_output=True, check=True, timeout=60)
    assert not done.stderr, done.stderr.decode()
    return done.stdout
