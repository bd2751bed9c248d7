"""The voices in eSpeak NG's data, read from its files without loading the library.

A file below ``lang/`` is a voice of one language; a file in ``voices/!v`` is a variant that can be applied to
any of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from engines.contract import UnsupportedUtterance, Voice
from engines.espeak.characters import CHARACTERS, Character

_USUAL_PRIORITY: Final = 5
"""eSpeak NG's priority of a ``language`` line without a number; lower is preferred."""
_GENDERS: Final = frozenset({"female", "male", "neutral"})


@dataclass(frozen=True, slots=True)
class LanguageFile:
    """A file below ``lang/``.

    Attributes:
        path: Path relative to ``lang``, with ``/``; the voice's name for the library.
        name: Display name.
        tags: Language tags in lower case with their priority, the file's own first.
        gender: ``female``, ``male`` or ``neutral``, if given.
        dictionary: Name of the dictionary; without ``<dictionary>_dict`` in the data the voice is silent.
    """

    path: str
    name: str
    tags: tuple[tuple[str, int], ...]
    gender: str | None
    dictionary: str

    @property
    def stem(self) -> str:
        """Name of the file in lower case."""
        return self.path.rpartition("/")[2].lower()


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """An eSpeak NG voice and its parameters.

    Attributes:
        voice: Argument of ``espeak_SetVoiceByName``.
        pitch: Pitch from 0 to 99.
        pitch_range: Pitch range from 0 to 99.
    """

    voice: str
    pitch: int = 50
    pitch_range: int = 50


class Catalogue:
    """The voices and languages of one ``espeak-ng-data`` folder.

    Args:
        data: The folder; ``None`` for a catalogue without voices.
    """

    def __init__(self, data: Path | None) -> None:
        self._data = data

    @cached_property
    def voices(self) -> tuple[Voice, ...]:
        """The characters, then one voice per language, sorted by ID."""
        if not self._files:
            return ()
        characters = [Voice(id=c.id, name=c.id.capitalize(), gender=c.gender) for c in self._characters]
        own = [
            Voice(
                id=voice_id,
                name=file.name,
                languages=tuple(tag for tag, _ in file.tags),
                gender=file.gender,
                aliases=() if file.stem == voice_id else (file.stem,),
            )
            for voice_id, file in sorted(self._by_id.items())
        ]
        return (*characters, *own)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """All language tags, sorted."""
        return tuple(sorted(self._by_tag))

    def cast(self, voice: str, language: str) -> EspeakVoice:
        """Find the voice of a request.

        Args:
            voice: A character, a language voice, or ``<language voice>+<variant>``; case-insensitive.
            language: BCP-47 tag, which only characters need. A region without a voice falls back to the
                language.

        Raises:
            UnsupportedUtterance: The voice or language does not exist.
        """
        wanted = voice.lower()
        if (character := self._character.get(wanted)) is not None:
            return self._cast_character(character, language)
        base, plus, variant = wanted.partition("+")
        file = self._by_id.get(base) or self._by_alias.get(base)
        overlay = self._variants.get(variant)
        if file is None or (plus and overlay is None):
            raise UnsupportedUtterance(f"There is no voice {voice!r}.", param="voice")
        return EspeakVoice(f"{file.path}+{overlay}" if plus else file.path)

    def speaker_of(self, language: str) -> str:
        """Return the preferred voice of a language, without a variant, for ``espeak_SetVoiceByName``.

        Raises:
            UnsupportedUtterance: The language is not supported.
        """
        tag = language.lower().replace("_", "-")
        while tag not in self._by_tag:
            tag, dash, _ = tag.rpartition("-")
            if not dash:
                raise UnsupportedUtterance(
                    f"There is no voice for the language {language!r}.", param="language"
                )
        return self._by_tag[tag].path

    def _cast_character(self, character: Character, language: str) -> EspeakVoice:
        voice = f"{self.speaker_of(language)}+{self._variants[character.variant]}"
        return EspeakVoice(voice, character.pitch, character.pitch_range)

    @cached_property
    def _files(self) -> tuple[LanguageFile, ...]:
        if self._data is None:
            return ()
        folder = self._data / "lang"
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = (_read(path, path.relative_to(folder).as_posix()) for path in paths)
        return tuple(f for f in files if f.tags and (self._data / f"{f.dictionary}_dict").is_file())

    @cached_property
    def _variants(self) -> dict[str, str]:
        """File names by their lower case."""
        if self._data is None:
            return {}
        folder = self._data / "voices" / "!v"
        return {path.name.lower(): path.name for path in folder.iterdir()} if folder.is_dir() else {}

    @cached_property
    def _characters(self) -> Sequence[Character]:
        return [c for c in CHARACTERS if c.variant in self._variants]

    @cached_property
    def _character(self) -> dict[str, Character]:
        return {c.id: c for c in self._characters}

    @cached_property
    def _by_id(self) -> dict[str, LanguageFile]:
        """Files by their own tag, or by their name if several have the same tag."""
        owners = Counter(file.tags[0][0] for file in self._files)
        return {file.tags[0][0] if owners[file.tags[0][0]] == 1 else file.stem: file for file in self._files}

    @cached_property
    def _by_alias(self) -> dict[str, LanguageFile]:
        return {file.stem: file for file in self._files}

    @cached_property
    def _by_tag(self) -> dict[str, LanguageFile]:
        """Preferred file of each tag: by priority number, then the file whose own tag or name it is."""
        best: dict[str, tuple[tuple[int, bool, str], LanguageFile]] = {}
        for file in self._files:
            for tag, priority in file.tags:
                rank = (priority, tag not in (file.tags[0][0], file.stem), file.path)
                if tag not in best or rank < best[tag][0]:
                    best[tag] = (rank, file)
        return {tag: file for tag, (_, file) in best.items()} | {
            file.stem: file for file in self._files if file.stem not in best
        }


def _read(path: Path, relative: str) -> LanguageFile:
    name, gender, dictionary = path.name, None, ""
    tags: list[tuple[str, int]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match line.split():
            case ["name", *words]:
                name = " ".join(words)
            case ["gender", word, *_] if word.lower() in _GENDERS:
                gender = word.lower()
            case ["dictionary", word, *_]:
                dictionary = word
            case ["language", tag, *rest]:
                priority = int(rest[0]) if rest and rest[0].isdigit() else _USUAL_PRIORITY
                tags.append((tag.lower(), priority))
            case _:
                pass
    dictionary = dictionary or (tags[0][0].partition("-")[0] if tags else "")
    return LanguageFile(relative, name, tuple(tags), gender, dictionary)
