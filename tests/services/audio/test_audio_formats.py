import pytest

from services.audio.formats import FORMATS, SampleRateError, UnknownFormat, find_format

CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "ulaw": "audio/PCMU",
    "alaw": "audio/PCMA",
    "wav_ulaw": "audio/wav",
    "wav_alaw": "audio/wav",
}

ALIASES = {
    "ulaw": ["ulaw", "g711_ulaw", "mulaw", "pcm_mulaw", "ulaw_8000", "audio/PCMU", "ULAW", " g711_mulaw "],
    "alaw": ["alaw", "g711_alaw", "pcm_alaw", "alaw_8000", "audio/PCMA", "A" + "LAW"],
    "wav_ulaw": ["wav_ulaw", "wav_mulaw", "WAV_MULAW", "wav_pcmu"],
    "wav_alaw": ["wav_alaw", "wav_pcma"],
    "mp3": ["MP3", "audio/mpeg"],
    "opus": ["Opus", "audio/ogg", "audio/opus"],
}


def test_content_types_match_the_bytes() -> None:
    assert {name: one.content_type for name, one in FORMATS.items()} == CONTENT_TYPES


@pytest.mark.parametrize(("name", "alias"), [(name, alias) for name in ALIASES for alias in ALIASES[name]])
def test_aliases(name: str, alias: str) -> None:
    assert find_format(alias) is FORMATS[name]


def test_extensions_are_those_of_files() -> None:
    assert {one.extension for one in FORMATS.values()} == {
        ".mp3", ".opus", ".aac", ".flac", ".wav", ".pcm", ".ulaw", ".alaw",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "base", "rate", "bit_rate"),
    [
        ("pcm_16000", "pcm", 16_000, None),
        ("PCM_44100", "pcm", 44_100, None),
        ("wav_8000", "wav", 8_000, None),
        ("mp3_44100_128", "mp3", 44_100, 128_000),
        ("mp3_22050_32", "mp3", 22_050, 32_000),
        ("opus_48000_64", "opus", 48_000, 64_000),
    ],
)
def test_names_that_carry_a_rate(name: str, base: str, rate: int, bit_rate: int | None) -> None:
    found = find_format(name)
    assert (found.name, found.default_rate, found.bit_rate) == (base, rate, bit_rate)
    assert found.content_type == FORMATS[base].content_type


def test_formats_are_read_only() -> None:
    with pytest.raises(TypeError):
        FORMATS["mp3"] = FORMATS["wav"]  # type: ignore[index]  # what must not work


def test_an_unknown_name_is_told_the_nearest_and_all() -> None:
    with pytest.raises(UnknownFormat, match="Did you mean 'flac'") as caught:
        find_format("flak")
    assert all(name in str(caught.value) for name in FORMATS)


@pytest.mark.parametrize("name", ["", "   ", "\x00", "\ud800", "x" * 100_000, "mp3_44100_", "pcm_24001"])
def test_hostile_names(name: str) -> None:
    with pytest.raises(UnknownFormat) as caught:
        find_format(name)
    assert len(str(caught.value).encode("utf-8")) < 500


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("mp3", (8_000, 11_025, 24_000, 44_100, 48_000), (0, -1, 7_999, 8_001, 96_000)),
        ("aac", (8_000, 22_050, 48_000), (23_999, 64_000)),
        ("opus", (8_000, 12_000, 16_000, 24_000, 48_000), (22_050, 44_100, 96_000)),
        ("ulaw", (8_000,), (16_000, 24_000)),
        ("wav_alaw", (8_000,), (16_000,)),
        ("pcm", (8_000, 12_345, 48_000), (7_999, 48_001, 0)),
        ("flac", (8_000, 44_100, 48_000), (96_000,)),
    ],
)
def test_sample_rates(name: str, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    found = find_format(name)
    for rate in good:
        found.check_rate(rate)
    for rate in bad:
        with pytest.raises(SampleRateError, match=f"{name} does not support {rate} Hz"):
            found.check_rate(rate)


def test_a_refused_rate_lists_those_allowed() -> None:
    with pytest.raises(SampleRateError, match="it supports 8000, 12000, 16000, 24000, 48000"):
        FORMATS["opus"].check_rate(44_100)
    with pytest.raises(SampleRateError, match="any from 8000 to 48000"):
        FORMATS["wav"].check_rate(96_000)


def test_every_default_rate_is_allowed() -> None:
    for one in FORMATS.values():
        one.check_rate(one.default_rate)
