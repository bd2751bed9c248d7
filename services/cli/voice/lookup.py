"""Lookup of the organisation's own voices by name, alias or ID."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.cli.client import Client
from services.cli.console import CommandError

PAGE: Final = 200
"""Number of voices per request."""

MOST_PAGES: Final = 1_000

LONGEST_SEARCH: Final = 200
"""Maximum length of a search text in characters."""

ID: Final = "voice_"
"""Prefix of IDs."""


def all_voices(client: Client, params: Mapping[str, str] | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield the organisation's own voices, sorted by name.

    Args:
        client: The server.
        params: Filters: ``search``, ``language`` and ``state``.

    Raises:
        CommandError: A request failed.
    """
    after: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        page = client.get("/voices", {**(params or {}), "limit": str(PAGE), **after})
        voices: list[Mapping[str, Any]] = page.get("data", [])
        yield from voices
        if not voices or not page.get("has_more"):
            return
        after = {"after": str(voices[-1]["id"])}


def find_voice(client: Client, wanted: str) -> Mapping[str, Any]:
    """Return a voice by name, alias or ID; names and aliases are case-insensitive.

    Raises:
        CommandError: No voice matches, or more than one.
    """
    key = _key(wanted)
    if not wanted.startswith(ID) and key and len(wanted) <= LONGEST_SEARCH:
        named = [v for v in all_voices(client, {"search": wanted}) if _key(v["name"]) == key]
        if named:
            return named[0]
    voices = list(all_voices(client))
    found = [v for v in voices if v["id"] == wanted or key in {_key(name) for name in _names(v)}]
    if not found:
        raise _unknown(wanted, voices)
    if len(found) > 1:
        meant = ", ".join(f"{voice['name']} ({voice['id']})" for voice in found)
        raise CommandError(f"'{wanted}' is the name of one voice and the id of another: {meant}.")
    return found[0]


def _unknown(wanted: str, voices: list[Mapping[str, Any]]) -> CommandError:
    message = f"The organisation has no voice of its own called '{wanted}'."
    if not voices:
        return CommandError(message, "It has none yet: `awaaztwin voice create` makes one.")
    names = {_key(name): name for voice in voices for name in _names(voice)}
    near = difflib.get_close_matches(_key(wanted), names, n=3)
    if near:
        return CommandError(message, f"The nearest: {', '.join(names[key] for key in near)}.")
    return CommandError(message, "`awaaztwin voice list` lists them.")


def _names(voice: Mapping[str, Any]) -> list[str]:
    return [str(voice["name"]), *voice.get("aliases", [])]


def _key(name: object) -> str:
    """Return a name's key for comparisons, like the server's."""
    return " ".join(str(name).split()).casefold()
