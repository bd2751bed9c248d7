"""Reports about a voice: its state, and the quality of its recordings."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

STATES: Final[Mapping[str, str]] = {
    "pending": "yellow",
    "processing": "yellow",
    "ready": "green",
    "failed": "red",
    "revoked": "red",
}
"""Styles by the state of a voice."""

SEVERITIES: Final[Mapping[str, str]] = {"error": "red", "warning": "yellow", "info": "dim"}

UNKNOWN: Final = "–"

NAMED: Final = 3
"""Maximum number of files that a finding names; others are counted."""

Voice = Mapping[str, Any]
Samples = Sequence[Mapping[str, Any]]


def state_text(state: object) -> Text:
    """Return a state in its colour."""
    return Text(str(state), STATES.get(str(state), ""))


def described(voice: Voice) -> RenderableType:
    """Return the description of a voice, without its recordings."""
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(voice):
        facts.add_row(Text(name, "dim"), value)
    return Group(facts, engines_table(voice)) if voice.get("engines") else facts


def engines_table(voice: Voice) -> Table:
    """Return a table with a voice's preparation in each engine."""
    table = Table("Engine", "State", "Speaks", "Reason")
    for engine in voice.get("engines", []):
        table.add_row(
            Text(str(engine["engine"])),
            state_text(engine["state"]),
            Text("yes" if engine.get("speaks") else "no"),
            Text(str(engine.get("reason") or "")),
        )
    return table


def quality(voice: Voice, samples: Samples) -> RenderableType:
    """Return a table of the recordings, followed by the findings with advice."""
    table = Table("", "Recording", "Speech", "SNR", "Bandwidth", "Level", "Words", "Findings")
    for number, sample in enumerate(samples, 1):
        table.add_row(str(number), *_row(sample))
    return Group(table, *_findings(voice, samples))


def _facts(voice: Voice) -> list[tuple[str, Text]]:
    state = state_text(voice["state"])
    if voice.get("reason"):
        state.append(f": {voice['reason']}", "default")
    labels: Mapping[str, str] = voice.get("labels") or {}
    made = datetime.fromtimestamp(voice["created_at"], UTC)
    given = {
        "Id": voice["id"],
        "Language": voice.get("language"),
        "Description": voice.get("description"),
        "Labels": ", ".join(f"{name}={value}" for name, value in labels.items()),
        "Also called": ", ".join(voice.get("aliases") or []),
        "Consent": _consent(voice.get("consent")),
        "Made": f"{made:%Y-%m-%d %H:%M} UTC",
    }
    facts = [(name, Text(str(value))) for name, value in given.items() if value]
    return [("Name", Text(str(voice["name"]), "bold")), ("State", state), *facts]


def _consent(consent: Mapping[str, Any] | None) -> str:
    if consent is None:
        return ""
    verdict = str(consent.get("verdict", "")).replace("_", " ")
    parts = [str(consent["id"]), verdict]
    if consent.get("similarity") is not None:
        parts.append(f"similarity {consent['similarity']:.2f}, at least {consent['least']:.2f} is needed")
    if consent.get("reason"):
        parts.append(str(consent["reason"]))
    return " · ".join(part for part in parts if part)


def _row(sample: Mapping[str, Any]) -> list[Text]:
    figures: Mapping[str, Any] = sample.get("quality") or {}
    findings = Text(", ").join(
        Text(str(finding["code"]).replace("_", " "), SEVERITIES.get(finding["severity"], ""))
        for finding in _found(sample)
    )
    return [
        Text(str(sample["filename"])),
        _figure(figures.get("speech_seconds"), ".1f", "s"),
        _figure(figures.get("snr_db"), ".0f", "dB"),
        _figure(figures.get("bandwidth_hz"), ".1f", "kHz", 1_000),
        _figure(figures.get("level_lufs"), ".0f", "LUFS"),
        Text("known" if sample.get("transcript") else UNKNOWN),
        findings or Text("good", "green"),
    ]


def _figure(value: float | None, form: str, unit: str, scale: float = 1) -> Text:
    return Text(UNKNOWN if value is None else f"{value / scale:{form}} {unit}", justify="right")


def _findings(voice: Voice, samples: Samples) -> list[Text]:
    """Return the findings of the voice, then one line per kind of finding in its recordings."""
    lines = [_finding(finding, str(finding["message"])) for finding in _found(voice)]
    alike: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for sample in samples:
        for finding in _found(sample):
            alike.setdefault(str(finding["code"]), []).append((str(sample["filename"]), finding))
    for entries in alike.values():
        names = ", ".join(name for name, _ in entries[:NAMED])
        if len(entries) > NAMED:
            names += f" and {len(entries) - NAMED} more"
        lines.append(_finding(entries[0][1], f"{names}: {entries[0][1]['message']}"))
    return lines


def _found(shown: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the findings of a voice or a recording."""
    report: Mapping[str, Any] = shown.get("quality") or {}
    return report.get("findings", ())


def _finding(finding: Mapping[str, Any], message: str) -> Text:
    style = SEVERITIES.get(finding["severity"], "")
    return Text.assemble((f"{finding['severity']}: ", style), f"{message} {finding['advice']}")
