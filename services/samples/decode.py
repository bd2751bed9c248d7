# PyAV's stubs leave the types of streams and frames partly unknown.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
"""Decoding of untrusted audio with FFmpeg's libraries, packet by packet. Runs only in the child process."""

from collections.abc import Generator
from typing import BinaryIO, Final, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import EOFError as FileEnded
from av.error import FFmpegError
from av.logging import set_level
from av.stream import Disposition

from services.samples.errors import BadSample
from services.samples.limits import SampleLimits
from services.samples.scratch import Samples
from services.samples.sniff import ACCEPTED, Container
from services.samples.whole import truncated

CODECS: Final = frozenset(
    {"mp3", "mp3float", "flac", "aac", "opus", "vorbis", "alac", "pcm_u8", "pcm_s8", "pcm_mulaw", "pcm_alaw"}
    | {f"pcm_{kind}{bits}{order}" for kind in "sf" for bits in (16, 24, 32, 64) for order in ("le", "be")}
)
RATES: Final = (4_000, 192_000)
"""Lowest and highest accepted sample rate, in hertz."""
MAX_CHANNELS: Final = 8

_OPTIONS: Final = {
    "protocol_whitelist": "",
    # Keeps FFmpeg from opening any other decoder while it probes the streams.
    "codec_whitelist": ",".join(sorted(CODECS)),
    "probesize": "1000000",
    "analyzeduration": "2000000",
    "max_streams": "16",
}
_ERRORS: Final = 50
"""Maximum number of undecodable packets. An mp3 recorded from radio has a few."""
_STRAY: Final = 0.1
"""Maximum share of samples with a different rate or channel count; broken mp3 frames look like that."""
_MISSING: Final = 0.05
"""Share of the declared length (or 0.5 s, if that is more) that may be missing from a complete file."""
_LOUDEST: Final = 8.0
"""Highest valid level of a floating-point sample, relative to full scale."""
_SCALES: Final = {"u8": 128.0, "s16": 32_768.0, "s32": 2_147_483_648.0, "flt": 1.0, "dbl": 1.0}
"""Full scale of FFmpeg's sample formats; the names of planar formats have the suffix ``p``."""


class Audio:
    """An audio file opened for decoding.

    Args:
        file: The file, opened for binary reading.
        kind: Its container.

    Raises:
        BadSample: The file has no audio stream that is accepted.
    """

    def __init__(self, file: BinaryIO, kind: Container) -> None:
        set_level(None)
        file.seek(kind.start)
        start = file.read(1_024)
        # An mp3 declares its length in its first frame (Xing, Info or VBRI header), or not at all.
        self._counted = kind.container != "aac" and (
            kind.container != "mp3" or any(mark in start for mark in (b"Xing", b"Info", b"VBRI"))
        )
        file.seek(0)
        try:
            container = av.open(file, format=kind.demuxer, options=_OPTIONS, metadata_errors="ignore")
        except (FFmpegError, ValueError) as error:
            _give_up_if_full(error)
            raise BadSample(
                "damaged", f"This starts like {kind.container}, but cannot be read as such."
            ) from None
        self._kind = kind
        self._container = cast("InputContainer", container)
        self._stream = self._choose()
        context = self._stream.codec_context
        context.thread_count = 1
        self.codec = context.codec.canonical_name
        self.sample_rate = context.sample_rate
        self.channels = context.channels
        self.samples = 0
        """Samples decoded so far, per channel."""
        self._check_shape(self.sample_rate, self.channels)
        self._errors = 0
        self._stray = 0
        self._nonsense = 0
        self._ended_badly = False

    def blocks(self, limits: SampleLimits) -> Generator[Samples, None, None]:
        """Yield the audio, mixed down to one channel, at :attr:`sample_rate`.

        Raises:
            BadSample: The audio is damaged, cut off, or longer than allowed.
        """
        first = True
        for frame in self._frames():
            if first:
                # Trust the decoder over the header: HE-AAC has twice the rate that its header declares.
                self.sample_rate, self.channels, first = frame.sample_rate, frame.layout.nb_channels, False
                self._check_shape(self.sample_rate, self.channels)
            if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.channels):
                self._stray += frame.samples
                if self._stray > max(self.sample_rate, _STRAY * self.samples):
                    raise self._changed(frame)
                continue
            self.samples += frame.samples
            if self.samples > limits.max_seconds * self.sample_rate:
                raise BadSample(
                    "too_long", f"The recording is longer than {limits.max_seconds:g} s; send part of it."
                )
            yield self._mix(frame)
            if self._nonsense > self.samples // 100 + 100:
                raise BadSample("damaged", "The samples are not valid audio: they are not finite numbers.")
        self._check_end()

    def close(self) -> None:
        """Close the file and free the decoder."""
        self._container.close()

    def _choose(self) -> AudioStream:
        for video in self._container.streams.video:
            if not video.disposition & Disposition.attached_pic:
                name = video.codec_context.name if video.codec_context else "unknown codec"  # pyright: ignore[reportUnnecessaryComparison] - absent for an unknown codec
                raise BadSample(
                    "video",
                    f"This is a video ({name} in {self._kind.container}); "
                    "upload its sound track as an audio file.",
                )
        if not self._container.streams.audio:
            raise BadSample("not_audio", f"There is no sound in this {self._kind.container} file.")
        stream = self._container.streams.audio[0]
        context = stream.codec_context
        name = context.name if context else "unknown"  # pyright: ignore[reportUnnecessaryComparison] - as above
        if name not in CODECS:
            raise BadSample(
                "unsupported_codec",
                f"The sound in this {self._kind.container} file is encoded as {name}, which is not accepted. "
                f"{ACCEPTED}",
            )
        return stream

    def _frames(self) -> Generator[AudioFrame, None, None]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except FileEnded:
                return
            except (FFmpegError, ValueError) as error:
                _give_up_if_full(error)
                self._errors += 1
                self._ended_badly = True
                if self._errors > _ERRORS:
                    raise BadSample(
                        "too_many_errors", f"The file is damaged: {self._errors} packets cannot be decoded."
                    ) from None
                continue
            if frames:
                self._ended_badly = False
            yield from frames

    def _mix(self, frame: AudioFrame) -> Samples:
        name = frame.format.name
        scale = _SCALES.get(name.removesuffix("p"))
        if scale is None:
            raise BadSample("unsupported_codec", f"The sample format {name} is not accepted.")
        array = cast("npt.NDArray[np.generic]", frame.to_ndarray())
        # Planar or interleaved channels.
        shaped = array if frame.format.is_planar else array.reshape(-1, self.channels).T
        if shaped.dtype == np.float64:
            shaped = np.clip(cast("npt.NDArray[np.float64]", shaped), -1e30, 1e30)
        samples = shaped.astype(np.float32)
        if name.startswith("u8"):
            samples -= np.float32(128)
        mixed = (
            samples.mean(0, dtype=np.float32) / np.float32(scale) if self.channels > 1 else samples[0] / scale
        )
        wrong = ~(np.abs(mixed) <= _LOUDEST)  # also true for NaN
        count = int(np.count_nonzero(wrong))
        if count:
            self._nonsense += count
            mixed[wrong] = 0
        return mixed.astype(np.float32, copy=False)

    def _check_shape(self, rate: int, channels: int) -> None:
        if rate and not RATES[0] <= rate <= RATES[1]:
            raise BadSample(
                "unsupported_rate",
                f"The sample rate is {rate} Hz; it must be from {RATES[0]} to {RATES[1]} Hz.",
            )
        if channels > MAX_CHANNELS:
            raise BadSample(
                "too_many_channels", f"There are {channels} channels; {MAX_CHANNELS} at most can be mixed."
            )

    def _changed(self, frame: AudioFrame) -> BadSample:
        return BadSample(
            "changing_format",
            f"The recording changes from {self.sample_rate} Hz and {self.channels} channels to "
            f"{frame.sample_rate} Hz and {frame.layout.nb_channels}; send its parts one by one.",
        )

    def _check_end(self) -> None:
        declared = self._declared()
        found = self.samples / self.sample_rate if self.sample_rate else 0.0
        if declared - found > max(0.5, _MISSING * declared):
            raise truncated(f"it declares {declared:.1f} s, and {found:.1f} s can be decoded")
        if not self.samples:
            if self._errors:
                raise BadSample("damaged", "Nothing in the file can be decoded.")
            raise BadSample("empty", "There are no samples in the file.")
        if self._ended_badly and self._errors == 1:
            if self._kind.container in ("aac", "mp3"):
                raise truncated("its last packet is incomplete")
            raise BadSample(
                "damaged",
                "The end of the file cannot be decoded. If it was joined from several, send them one by one.",
            )

    def _declared(self) -> float:
        """Return the length that the file declares, in seconds; 0 if FFmpeg only estimates it."""
        if not self._counted:
            return 0.0
        stream = self._stream
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else 0.0


def _give_up_if_full(error: Exception) -> None:
    """Reraise a ``MemoryError``, which is not the packet's fault: the child exits."""
    if isinstance(error, MemoryError):
        raise error
