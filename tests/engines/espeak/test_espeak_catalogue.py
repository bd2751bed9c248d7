from pathlib import Path

import pytest

from engines.config import EngineConfig
from engines.contract import UnsupportedUtterance
from engines.espeak.adapter import EspeakEngine
from engines.espeak.catalogue import Catalogue
from engines.espeak.characters import CHARACTERS

OPENAI = [
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "onyx",
    "nova",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return EspeakEngine(EngineConfig(name="e"))._catalogue


def test_openai_names_are_distinct_voices_of_any_language(catalogue: Catalogue):
    voices = {voice.id: voice for voice in catalogue.voices}
    assert set(OPENAI) <= set(voices)
    assert all(voices[name].languages == () for name in OPENAI)
    sounds = {(c.variant, c.pitch, c.pitch_range) for c in CHARACTERS}
    assert len(sounds) == len(OPENAI)


def test_each_language_has_a_voice(catalogue: Catalogue):
    own = {voice.id for voice in catalogue.voices if voice.languages}
    assert len(own) > 120
    indian = {"hi", "ta", "te", "kn", "ml", "mr", "bn", "gu", "pa", "or", "as", "ur", "ne", "si", "sd", "kok"}
    assert own >= indian | {"en-gb", "en-us"}


@pytest.mark.parametrize(
    ("voice", "language", "expected"),
    [
        ("en-us", "hi", "gmw/en-US"),
        ("en-gb", "en", "gmw/en"),
        ("EN", "en", "gmw/en"),
        ("fr", "fr", "roa/fr"),
        ("fr-fr", "fr", "roa/fr"),
        ("hi", "en", "inc/hi"),
        ("hi+f3", "en", "inc/hi+f3"),
        ("hi+annie", "en", "inc/hi+Annie"),
        ("alloy", "en", "gmw/en+f2"),
        ("alloy", "en-IN", "gmw/en+f2"),
        ("alloy", "en-US", "gmw/en-US+f2"),
        ("alloy", "en_US", "gmw/en-US+f2"),
        ("alloy", "hi-Deva-IN", "inc/hi+f2"),
        ("Nova", "ta-IN", "dra/ta+f5"),
        ("nova", "zh", "sit/cmn+f5"),
        ("nova", "chr", "iro/chr+f5"),
    ],
)
def test_casting(catalogue: Catalogue, voice: str, language: str, expected: str):
    assert catalogue.cast(voice, language).voice == expected


@pytest.mark.parametrize(
    ("voice", "language", "param"),
    [
        ("zz", "en", "voice"),
        ("hi+nobody", "hi", "voice"),
        ("hi+", "hi", "voice"),
        ("hi+../../../etc/passwd", "hi", "voice"),
        ("../../x", "hi", "voice"),
        ("", "hi", "voice"),
        ("+f3", "hi", "voice"),
        ("alloy+f3", "hi", "voice"),
        ("alloy", "tlh", "language"),
        ("alloy", "", "language"),
        ("alloy", "fo", "language"),  # its dictionary is missing: it would be silent
    ],
)
def test_what_there_is_not(catalogue: Catalogue, voice: str, language: str, param: str):
    with pytest.raises(UnsupportedUtterance) as refusal:
        catalogue.cast(voice, language)
    assert refusal.value.param == param


def test_without_data_there_are_no_voices(tmp_path: Path):
    assert Catalogue(None).voices == ()
    assert Catalogue(None).languages == ()
    assert Catalogue(tmp_path).voices == ()


def test_priorities_decide_and_odd_files_do_no_harm(tmp_path: Path):
    lang = tmp_path / "lang"
    lang.mkdir()
    (lang / "xx").write_text("name First\nlanguage xx-a 4\nlanguage xx 4\ngender female 40\ndictionary d\n")
    (lang / "xx-B").write_text("name Second\nlanguage xx-b\nlanguage xx 3\ndictionary d\n")
    (lang / "empty").write_text("")
    (lang / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "d_dict").write_bytes(b"")
    variants = tmp_path / "voices" / "!v"
    variants.mkdir(parents=True)
    (variants / "f2").write_text("language variant\n")
    catalogue = Catalogue(tmp_path)
    assert {v.id: (v.aliases, v.gender) for v in catalogue.voices} == {
        "alloy": ((), "neutral"),
        "coral": ((), "female"),
        "xx-a": (("xx",), "female"),
        "xx-b": ((), None),
    }
    assert catalogue.cast("alloy", "xx").voice == "xx-B+f2"
    assert catalogue.languages == ("xx", "xx-a", "xx-b")
