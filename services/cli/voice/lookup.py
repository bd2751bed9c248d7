"""Which voice of the organisation's own a person means."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.cli.client import Client
from services.cli.console import CommandError

PAGE: Final = 200
"""Voices that are asked for at once."""

MOST_PAGES: Final = 1_000

LONGEST_SEARCH: Final = 200
"""Characters."""

ID: Final = "voice_"
"""What ids begin with."""


def all_voices(client: Client, params: Mapping[str, str] | None = None) -> Iterator[Mapping[str, Any]]:
    """The organisation's own voices, by name.

    Args:
        client: The server.
        params: ``search``, ``language`` and ``state``, as far as wanted.

    Raises:
        CommandError: There is no answer.
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
    """The voice of that name, alias or id; names without case.

    Raises:
        CommandError: There is none, or more than one.
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
    """What makes two names the same to the server, too."""
    return " ".join(str(name).split()).casefold()
