"""Names of voices, and what is behind them."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from engines.contract import EngineUnavailable, UnsupportedUtterance
from engines.kokoro.catalogue import CHARACTERS, IDS, PACKAGED_IDS, Catalogue, Character
from engines.kokoro.pronunciation import LANGUAGES
from engines.kokoro.styles import PACKAGED, Styles

OPENAI_NAMES = "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar"
OPENAI = set(OPENAI_NAMES.split())


def test_openai_s_names_are_there_and_the_model_s_own() -> None:
    names = {voice.id for voice in Catalogue().voices}
    assert names >= OPENAI | {"hi", "en", "af_bella", "hf_alpha", "hm_psi", "bf_emma", "ff_siwis"}
    assert len(IDS) == len(set(IDS)) == 54


@pytest.mark.parametrize("character", CHARACTERS, ids=lambda character: character.id)
def test_a_name_is_a_voice_of_the_same_gender_in_each_language(character: Character) -> None:
    for language, mix in character.voices.items():
        letters = {part[1] for part in mix.split("+")}
        # The model's only French voice is a woman's.
        assert letters == {"f" if language == "fr" else character.gender[0]}
        Catalogue().cast(character.id, language)


def test_a_name_speaks_each_language_with_a_voice_of_its_own() -> None:
    catalogue = Catalogue()
    assert catalogue.cast("alloy", "en").mix == (("af_heart", 1.0),)
    assert catalogue.cast("ALLOY", "hi").mix == (("hf_alpha", 1.0),)
    assert catalogue.cast("hi", "hi") == catalogue.cast("alloy", "hi")


@pytest.mark.parametrize(
    ("voice", "language", "spoken"),
    [("bf_emma", "en", "en-GB"), ("af_heart", "en", "en-US"), ("af_heart", "en-IN", "en-IN"),
     ("bm_george", "hi", "hi"), ("hf_alpha", "en", "en"), ("fable", "en", "en-GB")],
)  # fmt: skip
def test_english_is_spoken_with_the_accent_of_the_voice_unless_the_text_says(
    voice: str, language: str, spoken: str
) -> None:
    assert Catalogue().cast(voice, language).language == spoken


def test_voices_are_mixed_by_weight() -> None:
    assert Catalogue().cast("af_heart(2)+am_onyx(1)", "en").mix == (("af_heart", 2 / 3), ("am_onyx", 1 / 3))
    assert Catalogue().cast("af_heart + af_heart(3)", "en").mix == (("af_heart", 1.0),)


def test_the_operator_names_mixes() -> None:
    catalogue = Catalogue({"Asha": "hf_alpha(1)+hf_beta(1)"})
    assert catalogue.cast("asha", "hi").mix == (("hf_alpha", 0.5), ("hf_beta", 0.5))
    assert next(voice for voice in catalogue.voices if voice.id == "Asha").languages[0] == "hi"


@pytest.mark.parametrize(
    "voice",
    ["", "nobody", "af_heart(", "af_heart(-1)", "af_heart(0)", "af_heart+", "+".join(IDS[:9]), "../x"],
)
def test_what_is_no_voice_is_refused(voice: str) -> None:
    with pytest.raises(UnsupportedUtterance) as refused:
        Catalogue().cast(voice, "en")
    assert refused.value.param == "voice"


def test_the_voices_behind_openai_s_names_come_with_the_package(tmp_path: Path) -> None:
    styles = Styles(tmp_path)
    for character in CHARACTERS:
        for language in character.voices:
            mix = Catalogue().cast(character.id, language).mix
            assert np.isfinite(styles.style(mix, 100)).all()


def test_a_style_is_that_of_the_phrase_s_length(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    rows = np.repeat(np.arange(510, dtype="<f4"), 256)
    rows.tofile(tmp_path / "voices" / "am_onyx.bin")
    styles = Styles(tmp_path)
    for symbols, row in ((1, 0), (100, 99), (510, 509), (600, 509)):
        assert (styles.style((("am_onyx", 1.0),), symbols) == row).all()


def test_mixes_are_linear(tmp_path: Path) -> None:
    styles = Styles(tmp_path)
    one, other = (styles.style(((voice, 1.0),), 50) for voice in ("af_heart", "af_bella"))
    both = styles.style((("af_heart", 0.25), ("af_bella", 0.75)), 50)
    np.testing.assert_allclose(both, 0.25 * one + 0.75 * other, rtol=1e-5, atol=1e-6)


def test_a_voice_that_was_not_fetched_says_how(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedUtterance, match="awaaztwin models pull kokoro"):
        Styles(tmp_path).style((("am_onyx", 1.0),), 10)


def test_a_damaged_voice_is_named(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "am_onyx.bin").write_bytes(b"1234" * 100)
    with pytest.raises(EngineUnavailable, match=r"am_onyx\.bin"):
        Styles(tmp_path).style((("am_onyx", 1.0),), 10)


def test_the_voices_of_the_package_are_those_behind_the_names() -> None:
    assert set(load_file(PACKAGED)) == PACKAGED_IDS


def test_no_language_is_offered_that_is_not_spoken() -> None:
    (asha,) = (voice for voice in Catalogue({"asha": "jf_alpha"}).voices if voice.id == "asha")
    assert asha.languages == LANGUAGES
