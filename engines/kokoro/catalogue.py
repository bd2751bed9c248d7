"""Kokoro's voices, with OpenAI's names for them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from engines.contract import UnsupportedUtterance, Voice
from engines.kokoro.pronunciation import LANGUAGES

_IDS: Final = (
    "af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky "
    "am_adam am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa "
    "bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis "
    "ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola "
    "jf_alpha jf_gongitsune jf_nezumi jf_tebukuro jm_kumo pf_dora pm_alex pm_santa "
    "zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang"
)
IDS: Final = tuple(_IDS.split())
"""The voices of Kokoro-82M 1.0. The first letter is the language, the second the gender."""

_LANGUAGES: Final = {
    "a": "en-US",
    "b": "en-GB",
    "e": "es",
    "f": "fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-BR",
    "z": "zh",
}
_GENDERS: Final = {"f": "female", "m": "male"}
_PART: Final = re.compile(r"(?P<id>[a-z0-9_-]+)(?:\((?P<weight>\d{1,3}(?:\.\d{1,3})?)\))?")
_MOST_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Character:
    """A name with a voice in each language.

    Attributes:
        id: The name in requests.
        gender: Gender of its voices.
        voices: Voice or mix by primary language subtag.
    """

    id: str
    gender: str
    voices: Mapping[str, str]


def _character(name: str, gender: str, english: str, hindi: str) -> Character:
    female = gender == "female"
    others = {
        "es": "ef_dora" if female else "em_alex",
        # The model has only one French voice, a female one.
        "fr": "ff_siwis",
        "it": "if_sara" if female else "im_nicola",
        "pt": "pf_dora" if female else "pm_alex",
    }
    return Character(name, gender, {"en": english, "hi": hindi, **others})


CHARACTERS: Final = (
    _character("alloy", "female", "af_heart", "hf_alpha"),
    _character("ash", "male", "am_michael", "hm_omega"),
    _character("ballad", "male", "bm_george", "hm_psi"),
    _character("coral", "female", "af_bella", "hf_beta"),
    _character("echo", "male", "am_puck", "hm_omega(2)+hm_psi(1)"),
    _character("fable", "male", "bm_fable", "hm_psi(2)+hm_omega(1)"),
    _character("onyx", "male", "am_fenrir", "hm_omega"),
    _character("nova", "female", "af_nova", "hf_beta(2)+hf_alpha(1)"),
    _character("sage", "female", "af_kore", "hf_alpha(2)+hf_beta(1)"),
    _character("shimmer", "female", "af_sarah", "hf_beta"),
    _character("verse", "male", "am_michael(1)+am_puck(1)", "hm_omega(1)+hm_psi(1)"),
    _character("marin", "female", "bf_emma", "hf_alpha(1)+hf_beta(1)"),
    _character("cedar", "male", "am_fenrir(1)+am_michael(1)", "hm_psi"),
)
"""OpenAI's names.

Their English voices are the ones with the most training (the author's grades C and better), so some names are
mixes of two of them.
"""

PACKAGED_IDS: Final = frozenset(
    part.partition("(")[0] for each in CHARACTERS for mix in each.voices.values() for part in mix.split("+")
)
"""The voices behind OpenAI's names, which are in the package."""

_LANGUAGE_VOICES: Final = {"en": "alloy", "hi": "alloy"}
"""Names that are only a language, as in the engine ESPEAK."""


@dataclass(frozen=True, slots=True)
class VoiceMix:
    """A voice or mix, and its accent.

    Attributes:
        mix: Voice IDs with their weights, which sum to 1.
        language: BCP-47 tag of the pronunciation.
    """

    mix: tuple[tuple[str, float], ...]
    language: str


@dataclass(frozen=True)
class Catalogue:
    """The voices, and names for mixes of them.

    Args:
        mixes: The operator's names for mixes; see :func:`checked_mixes`.
    """

    mixes: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def voices(self) -> tuple[Voice, ...]:
        """OpenAI's names, then those of languages, the operator's mixes, and the model's own voices."""
        characters = [Voice(id=each.id, name=each.id.capitalize(), gender=each.gender) for each in CHARACTERS]
        languages = [
            Voice(
                id=tag, name={"en": "English", "hi": "Hindi"}[tag], languages=_spoken_by(tag), gender="female"
            )
            for tag in _LANGUAGE_VOICES
        ]
        mixed = [
            Voice(id=name, name=name, languages=_spoken_by(_own_language(_parsed(mix, name))))
            for name, mix in self.mixes.items()
        ]
        own = [
            Voice(
                id=each,
                name=each.partition("_")[2].capitalize(),
                languages=_spoken_by(_LANGUAGES[each[0]]),
                gender=_GENDERS[each[1]],
            )
            for each in IDS
            # The others need a pronunciation that is not available.
            if _LANGUAGES[each[0]] in LANGUAGES
        ]
        return (*characters, *languages, *mixed, *own)

    def cast(self, voice: str, language: str) -> VoiceMix:
        """Find the voice of a request.

        Args:
            voice: A name, a voice ID, or a mix such as ``af_heart(2)+am_onyx(1)``; case-insensitive.
            language: BCP-47 tag of the text.

        Raises:
            UnsupportedUtterance: There is no such voice.
        """
        wanted = voice.lower()
        named = {name.lower(): mix for name, mix in self.mixes.items()}
        if wanted in named:
            mix = _parsed(named[wanted], voice)
        else:
            characters = {each.id: each for each in CHARACTERS}
            character = characters.get(_LANGUAGE_VOICES.get(wanted, wanted))
            if character is not None:
                subtag = language.partition("-")[0].lower()
                wanted = character.voices.get(subtag, character.voices["en"])
            mix = _parsed(wanted, voice)
        return VoiceMix(mix, _accent(language, _own_language(mix)))


def _parsed(mix: str, name: str) -> tuple[tuple[str, float], ...]:
    weights: dict[str, float] = {}
    parts = mix.lower().replace(" ", "").split("+")
    for part in parts:
        match = _PART.fullmatch(part)
        if match is None or match["id"] not in IDS or len(parts) > _MOST_PARTS:
            message = (
                f"There is no voice '{name[:100]}'. A mix is up to {_MOST_PARTS} voices with weights, "
                "such as af_heart(2)+am_onyx(1)."
            )
            raise UnsupportedUtterance(message, param="voice")
        weight = 1.0 if match["weight"] is None else float(match["weight"])
        weights[match["id"]] = weights.get(match["id"], 0.0) + weight
    whole = sum(weights.values())
    if whole <= 0:
        raise UnsupportedUtterance(f"The weights of '{name[:100]}' sum to zero.", param="voice")
    return tuple((each, weight / whole) for each, weight in weights.items() if weight > 0)


def checked_mixes(mixes: Mapping[str, str]) -> Mapping[str, str]:
    """Validate names for mixes.

    Raises:
        ValueError: A mix is invalid, or has the name of another voice.
    """
    taken = {*IDS, *(each.id for each in CHARACTERS), *_LANGUAGE_VOICES}
    for name, mix in mixes.items():
        if name.lower() in taken:
            raise ValueError(f"'{name}' is the name of another voice (names are compared without case)")
        taken.add(name.lower())
        try:
            _parsed(mix, mix)
        except UnsupportedUtterance as error:
            raise ValueError(f"the mix of '{name}': {error.message}") from error
    return mixes


def voice_file(folder: Path, voice: str) -> Path:
    """Return the path, in the model's folder, of a voice that is not in the package."""
    return folder / "voices" / f"{voice}.bin"


def _own_language(mix: tuple[tuple[str, float], ...]) -> str:
    """Return the language of the part with the largest weight."""
    return _LANGUAGES[max(mix, key=lambda part: part[1])[0][0]]


def _accent(language: str, own: str) -> str:
    """Return the accent: for English without a region the voice's own, else the language of the text."""
    return own if language.lower() == "en" and own.startswith("en-") else language


def _spoken_by(own: str) -> tuple[str, ...]:
    """Return all languages, a voice's own first; it speaks the others with an accent."""
    return tuple(dict.fromkeys(language for language in (own, *LANGUAGES) if language in LANGUAGES))
