"""Watching a voice until it is prepared."""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from services.cli.client import Client, SilenceError
from services.cli.console import CommandError, messages
from services.cli.voice.report import state_text

BUSY: Final = frozenset({"pending", "processing"})

TIMEOUT_SECONDS: Final = 300.0
"""Seconds that a voice has to be prepared."""

SILENCE_SECONDS: Final = 30.0
"""Seconds without news after which the server is asked anew."""

POLL_SECONDS: Final = 0.5
"""Seconds at least between two times it is asked."""


def watch(client: Client, voice: Mapping[str, Any], patience: float = TIMEOUT_SECONDS) -> Mapping[str, Any]:
    """Show what becomes of a voice, until nothing is left to come; gives it as it is then.

    Args:
        client: The server.
        voice: As it is now.
        patience: Seconds to wait at most.

    Raises:
        CommandError: It took too long, or the voice is gone.
    """
    with _Board(voice) as board:
        for shown in _news(client, str(voice["id"]), time.monotonic() + patience):
            voice = shown
            board.show(voice)
            if settled(voice):
                return voice
    how = f"`awaaztwin voice show {voice['id']}` shows its progress."
    if not voice.get("engines"):
        how = "No engine is preparing it: `awaaztwin engines` shows which can clone."
    raise CommandError(f"The voice was not prepared within {patience:g} s; preparation continues.", how)


def settled(voice: Mapping[str, Any]) -> bool:
    """Whether nothing will change by itself, and soon: an engine that failed may be tried again for long."""
    parts = (voice, *voice.get("engines", []))
    return not any(part["state"] in BUSY and part.get("reason") is None for part in parts)


def check_ready(voice: Mapping[str, Any]) -> None:
    """See that a voice can speak.

    Raises:
        CommandError: It cannot; why.
    """
    if voice["state"] != "ready":
        reason = voice.get("reason") or "no reason is given."
        raise CommandError(f"The voice {voice['name']} is {voice['state']}: {reason}", _remedy(voice))


def _remedy(voice: Mapping[str, Any]) -> str:
    if not voice.get("samples"):
        return f"Add recordings with: awaaztwin voice sample add {voice['id']} FILES"
    if voice["state"] == "pending" and voice.get("consent") is None:
        return f"Declare it with: awaaztwin voice consent {voice['id']} --by NAME --text TEXT"
    return f"`awaaztwin voice show {voice['id']}` shows more."


def _news(client: Client, voice_id: str, end: float) -> Iterator[Mapping[str, Any]]:
    """The voice at every change, from one connection after the other, until its time is over."""
    while (left := end - time.monotonic()) > 0:
        began = time.monotonic()
        try:
            with client.events(f"/voices/{voice_id}/events", timeout=min(left, SILENCE_SECONDS)) as events:
                for name, shown in events:
                    if name == "error":
                        error: Mapping[str, Any] = shown.get("error") or {}
                        raise CommandError(str(error.get("message", "The voice no longer exists.")))
                    yield shown
                    if time.monotonic() > end:
                        return
        except SilenceError:
            # Nothing happens to it, or something between here and there has lost the connection.
            continue
        time.sleep(max(0.0, min(POLL_SECONDS - (time.monotonic() - began), end - time.monotonic())))


class _Board:
    """Shows how far a voice is: on a terminal in one line that changes, elsewhere a line for each change."""

    def __init__(self, voice: Mapping[str, Any]) -> None:
        self._console = messages()
        self._spinner = Spinner("dots", text=_line(voice))
        self._live = Live(self._spinner, console=self._console, transient=True, refresh_per_second=12)
        self._told = ""

    def __enter__(self) -> Self:
        """Start showing."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""
        del kind, error, trace
        if self._console.is_terminal:
            self._live.stop()

    def show(self, voice: Mapping[str, Any]) -> None:
        """Show it as it is now."""
        line = _line(voice)
        if self._console.is_terminal:
            self._spinner.update(text=line)
        elif line.plain != self._told:
            self._console.print(line)
        self._told = line.plain


def _line(voice: Mapping[str, Any]) -> Text:
    engines = [
        Text.assemble(str(engine["engine"]), " ", state_text(engine["state"]))
        for engine in voice.get("engines", [])
    ]
    state = Text.assemble(str(voice["name"]), ": ", state_text(voice["state"]))
    return Text.assemble(state, " (", Text(", ").join(engines), ")") if engines else state
