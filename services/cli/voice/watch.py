"""Watching of a voice until it is prepared."""

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
"""Default time in seconds to wait for the preparation."""

SILENCE_SECONDS: Final = 30.0
"""Seconds without an event after which to reconnect."""

POLL_SECONDS: Final = 0.5
"""Minimum seconds between two connections."""


def watch(client: Client, voice: Mapping[str, Any], patience: float = TIMEOUT_SECONDS) -> Mapping[str, Any]:
    """Show the progress of a voice until it is settled; return its final state.

    Args:
        client: The server.
        voice: Current state of the voice.
        patience: Maximum time to wait in seconds.

    Raises:
        CommandError: The preparation took too long, or the voice was deleted.
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
    """Whether no change is to be expected soon; an engine that failed may be retried for a long time."""
    parts = (voice, *voice.get("engines", []))
    return not any(part["state"] in BUSY and part.get("reason") is None for part in parts)


def check_ready(voice: Mapping[str, Any]) -> None:
    """Check that a voice is ready.

    Raises:
        CommandError: The voice is not ready; the message says why.
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
    """Yield the voice at every change until the time ``end``; reconnect if necessary."""
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
            # No change, or the connection was lost.
            continue
        time.sleep(max(0.0, min(POLL_SECONDS - (time.monotonic() - began), end - time.monotonic())))


class _Board:
    """Shows the progress of a voice: in one updated line on a terminal, otherwise a line per change."""

    def __init__(self, voice: Mapping[str, Any]) -> None:
        self._console = messages()
        self._spinner = Spinner("dots", text=_line(voice))
        self._live = Live(self._spinner, console=self._console, transient=True, refresh_per_second=12)
        self._told = ""

    def __enter__(self) -> Self:
        """Start the display."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the display."""
        del kind, error, trace
        if self._console.is_terminal:
            self._live.stop()

    def show(self, voice: Mapping[str, Any]) -> None:
        """Show the voice's current state."""
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
