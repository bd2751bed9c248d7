import io
import struct
import threading
from collections.abc import Sequence
from dataclasses import replace

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import decode, run, voice

from engines.contract import Pcm
from services.audio.encoders import AudioTooLong
from services.audio.formats import FORMATS, AudioFormat, SampleRateError
from services.audio.pipeline import AudioPipeline

SECONDS = 1.3
ODD = (441, 1, 7_777, 320, 97)
LOSSY = {"mp3", "opus", "aac"}
CUT = settings(deadline=None, max_examples=8)


def matched(got: Pcm, wanted: Pcm, longest_lag: int) -> tuple[int, float]:
    """How many samples ``got`` is late, and its correlation with ``wanted`` then."""
    size = 1 << (got.size + wanted.size).bit_length()
    spectrum = np.fft.rfft(got.astype(float), size) * np.conj(np.fft.rfft(wanted.astype(float), size))
    lag = int(np.fft.irfft(spectrum, size)[: longest_lag + 1].argmax())
    part = got[lag : lag + wanted.size].astype(float)
    return lag, float(np.corrcoef(part, wanted[: part.size])[0, 1])


def in_process(data: bytes) -> npt.NDArray[np.generic]:
    with av.open(io.BytesIO(data), "r") as container:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])


@pytest.mark.parametrize("source", [16_000, 22_050, 24_000, 44_100])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_from_every_rate(name: str, source: int) -> None:
    audio_format = FORMATS[name]
    rate = audio_format.default_rate
    pipeline = AudioPipeline(audio_format, source)
    data = run(pipeline, voice(source, SECONDS), ODD)
    got = decode(data, audio_format, rate)
    padding = 0.13 if name in LOSSY else 0.0
    assert -0.001 <= got.size / rate - SECONDS <= padding + 0.001
    lag, correlation = matched(got, voice(rate, SECONDS), round(0.1 * rate))
    assert correlation > 0.99
    assert (got.size - lag) / rate > SECONDS - 0.001, "the end is cut"


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        (name, rate)
        for name, audio_format in FORMATS.items()
        for rate in audio_format.sample_rates or (8_000, 12_345, 24_000, 48_000)
    ],
)
def test_every_sample_rate(name: str, rate: int) -> None:
    data = run(AudioPipeline(FORMATS[name], 22_050, rate), voice(22_050, 0.5), (2_000,))
    got = decode(data, FORMATS[name], rate)
    assert 0.5 - 0.001 <= got.size / rate <= 0.5 + 0.4
    assert matched(got, voice(rate, 0.5), round(0.3 * rate))[1] > 0.95


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in {"pcm", "ulaw", "alaw"}])
@CUT
@given(sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 200))
def test_the_cut_of_the_pieces_does_not_matter(name: str, sizes: Sequence[int]) -> None:
    signal = voice(22_050, 0.6)
    whole = in_process(run(AudioPipeline(FORMATS[name], 22_050), signal, (signal.size,)))
    pieces = in_process(run(AudioPipeline(FORMATS[name], 22_050), signal, sizes))
    np.testing.assert_array_equal(pieces, whole)


@pytest.mark.parametrize("name", ["pcm", "flac", "wav"])
def test_a_sine_in_pieces_has_no_click(name: str) -> None:
    source, rate = 22_050, 24_000
    sine = np.rint(9_000 * np.sin(2 * np.pi * 440 * np.arange(source) / source)).astype(np.int16)
    got = decode(run(AudioPipeline(FORMATS[name], source), sine, (611, 3)), FORMATS[name], rate)
    steepest = 9_000 * 2 * np.pi * 440 / rate
    # The resampler rings where the whole begins and ends, as any must.
    inside = got[100:-100].astype(np.int32)
    assert np.abs(np.diff(inside)).max() <= steepest * 1.01 + 2


@pytest.mark.parametrize("tempo", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("pause", [0.0, 0.12])
def test_borders_of_utterances_have_no_click(pause: float, tempo: float) -> None:
    rate = 24_000
    # A cosine of a length that is no multiple of its period: it starts at its peak and ends anywhere.
    tone = np.rint(9_000 * np.cos(2 * np.pi * 440 * np.arange(rate // 2 + 17) / rate)).astype(np.int16)
    pipeline = AudioPipeline(FORMATS["pcm"], rate, None, tempo)
    data = b""
    for _ in range(3):
        data += pipeline.feed(tone) + pipeline.end_utterance() + pipeline.silence(pause)
    data += pipeline.finish()
    got = np.frombuffer(data, np.int16).astype(np.int32)
    assert got.size == 3 * (round(tone.size / tempo) + round(pause * rate))
    steepest = 9_000 * 2 * np.pi * 440 / rate
    assert np.abs(np.diff(got, prepend=0, append=0)).max() <= steepest * 1.35


@pytest.mark.parametrize("tempo", [0.25, 0.7, 1.0, 1.6, 4.0])
def test_a_pause_stands_between_its_utterances(tempo: float) -> None:
    source, rate = 22_050, 24_000
    signal = voice(source, 1.0)
    pipeline = AudioPipeline(FORMATS["pcm"], source, None, tempo)
    data = pipeline.silence(0.2) + pipeline.feed(signal) + pipeline.silence(0.5)
    data += pipeline.feed(signal) + pipeline.finish()
    got = np.abs(np.frombuffer(data, np.int16).astype(np.int32))
    spoken = 1.0 / tempo
    assert got.size / rate == pytest.approx(0.7 + 2 * spoken, abs=0.001)

    def loudest(start: float, end: float) -> int:
        return int(got[round(start * rate) : round(end * rate)].max())

    assert loudest(0, 0.195) <= 1
    assert loudest(0.2 + spoken + 0.005, 0.2 + spoken + 0.495) <= 1
    assert loudest(0.2, 0.2 + spoken) > 5_000
    assert loudest(0.2 + spoken - 0.1, 0.2 + spoken) > 500
    assert loudest(0.7 + spoken, 0.7 + 2 * spoken) > 5_000


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav", "pcm", "ulaw", "alaw"])
def test_first_bytes_come_early(name: str) -> None:
    source = 24_000
    signal = voice(source, 1.0)
    pipeline = AudioPipeline(FORMATS[name], source)
    header = 200  # more than the headers of any
    fed = got = 0
    while got <= header:
        got += len(pipeline.feed(signal[fed : fed + 480]))
        fed += 480
    pipeline.close()
    assert fed / source <= 0.16


def test_streamed_mp3_is_constant_and_each_frame_stands_alone() -> None:
    data = run(AudioPipeline(FORMATS["mp3"], 24_000), voice(24_000, 2.0), (480,))
    at, frames = 0, 0
    while at < len(data):
        # MPEG-2 layer III, 24 kHz: 11 sync bits, version 10, layer 01; bit rate index 10 is 96 kbit/s.
        assert data[at : at + 2] in {b"\xff\xf3", b"\xff\xf2"}
        assert data[at + 2] >> 4 == 10
        assert (data[at + 2] >> 2) & 3 == 1
        assert data[at + 4] == 0, "main_data_begin points into an earlier frame"
        assert b"Xing" not in data[at : at + 60]
        assert b"Info" not in data[at : at + 60]
        at += 72 * 96_000 // 24_000 + ((data[at + 2] >> 1) & 1)
        frames += 1
    assert at == len(data)
    assert 2.0 <= frames * 576 / 24_000 <= 2.1


def test_ogg_ends_with_its_mark() -> None:
    data = run(AudioPipeline(FORMATS["opus"], 24_000), voice(24_000, 0.5), (480,))
    first, last = data.index(b"OggS"), data.rindex(b"OggS")
    assert data[first + 5] & 0x02
    assert data[last + 5] & 0x04
    # The granule position counts 48 kHz samples and the codec's delay, which the header tells.
    (skip,) = struct.unpack_from("<H", data, data.index(b"OpusHead") + 10)
    (granule,) = struct.unpack_from("<q", data, last + 6)
    assert granule - skip == pytest.approx(24_000, abs=2)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("buffered", [False, True])
def test_buffered_files_come_whole(name: str, buffered: bool) -> None:
    audio_format = FORMATS[name]
    pipeline = AudioPipeline(audio_format, 24_000, buffered=buffered)
    early = pipeline.feed(voice(24_000, 1.0)) + pipeline.silence(0.5)
    assert bool(early) != (buffered or audio_format.exact)
    data = early + pipeline.finish()
    rate = audio_format.default_rate
    assert decode(data, audio_format, rate).size / rate == pytest.approx(1.5, abs=0.1)
    if not early and audio_format.wav:
        assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    if buffered and name == "flac":
        (fields,) = struct.unpack_from(">Q", data, 18)
        assert fields & (1 << 36) - 1 == 1.5 * 24_000, "STREAMINFO tells the number of samples"
    if buffered and name == "mp3":
        # Its own count of the delay makes the file start exactly, and end within a frame.
        got = decode(data, audio_format, rate)
        assert matched(got[:24_000], voice(24_000, 1.0), 2_000)[0] <= 1
        assert 0 <= got.size - 1.5 * 24_000 < 576


@pytest.mark.parametrize("name", FORMATS)
def test_a_response_without_a_sample_is_valid(name: str) -> None:
    data = AudioPipeline(FORMATS[name], 22_050).finish()
    rate = FORMATS[name].default_rate
    if data or FORMATS[name].wav:
        assert decode(data, FORMATS[name], rate).size / rate < 0.15


@pytest.mark.parametrize("name", FORMATS)
def test_an_aborted_response(name: str) -> None:
    for fed in (0, 1, 10_000):
        pipeline = AudioPipeline(FORMATS[name], 22_050, None, 1.5)
        pipeline.feed(voice(22_050, 1.0)[:fed])
        pipeline.close()
        pipeline.close()
        with pytest.raises(RuntimeError, match="finished or closed"):
            pipeline.feed(voice(22_050, 0.1))
        for refused in (pipeline.end_utterance, pipeline.finish):
            with pytest.raises(RuntimeError, match="finished or closed"):
                refused()


def test_close_stops_the_thread_that_feeds_and_waits_for_it() -> None:
    signal = np.zeros(22_050 * 1_000, np.int16)
    for _ in range(3):
        pipeline = AudioPipeline(FORMATS["mp3"], 22_050)
        feeding = threading.Event()
        stopped: list[bool] = []

        def feed(
            pipeline: AudioPipeline = pipeline,
            feeding: threading.Event = feeding,
            stopped: list[bool] = stopped,
        ) -> None:
            pipeline.feed(signal[:22_050])
            feeding.set()
            with pytest.raises(RuntimeError, match="closed"):
                pipeline.feed(signal)
            stopped.append(True)

        thread = threading.Thread(target=feed)
        thread.start()
        assert feeding.wait(10)
        pipeline.close()
        thread.join(30)
        assert stopped == [True]


@pytest.mark.parametrize(
    "audio_format", [FORMATS["wav_ulaw"], FORMATS["wav"], FORMATS["mp3"], FORMATS["flac"]]
)
def test_what_is_kept_is_bounded(audio_format: AudioFormat) -> None:
    pipeline = AudioPipeline(audio_format, 24_000, buffered=True, max_buffered=20_000)
    with pytest.raises(AudioTooLong, match="20000 bytes"):
        for _ in range(60):
            pipeline.feed(voice(24_000, 0.5))
    pipeline.close()


def test_refusals() -> None:
    with pytest.raises(SampleRateError):
        AudioPipeline(FORMATS["opus"], 24_000, 44_100)
    with pytest.raises(SampleRateError):
        AudioPipeline(FORMATS["pcm"], 24_000, 0)
    with pytest.raises(ValueError, match="tempo"):
        AudioPipeline(FORMATS["pcm"], 24_000, None, 5.0)
    with pytest.raises(ValueError, match="rate"):
        AudioPipeline(FORMATS["pcm"], 0)
    pipeline = AudioPipeline(FORMATS["pcm"], 24_000)
    for seconds in (-0.1, float("nan"), float("inf"), 601.0):
        with pytest.raises(ValueError, match="pause"):
            pipeline.silence(seconds)


def test_a_bit_rate_of_the_format_wins() -> None:
    sizes = []
    for bit_rate in (32_000, 128_000):
        pipeline = AudioPipeline(replace(FORMATS["mp3"], bit_rate=bit_rate), 24_000, 44_100)
        sizes.append(len(pipeline.feed(voice(24_000, 2.0)) + pipeline.finish()))
    assert sizes[1] == pytest.approx(4 * sizes[0], rel=0.05)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for name, audio_format in FORMATS.items():
        pipeline = AudioPipeline(audio_format, 22_050, None, 1.3)
        pipeline.feed(voice(22_050, 0.4))
        if name != "aac":
            pipeline.finish()
        pipeline.close()
    assert capfd.readouterr() == ("", "")
