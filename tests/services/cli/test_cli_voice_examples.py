"""The examples of `voice` in docs/cli.md, run as they stand."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.app import app

from media import encode, pcm16, wav
from speaking import sentences

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "cli.md"


@pytest.mark.usefixtures("elsewhere")
def test_the_examples(cli: CliRunner, cloning: str) -> None:
    Path("me").mkdir()
    Path("more").mkdir()
    for speaker in ("onyx", "nova", "fable"):
        for number, spoken in enumerate(sentences(speaker), 1):
            sound = spoken / (2 * abs(spoken).max())
            if speaker == "fable":
                Path(f"more/take-{number}.wav").write_bytes(wav(pcm16(sound)))
            else:
                Path(f"me/{speaker}-{number}.mp3").write_bytes(encode(sound, "mp3", "libmp3lame", 24_000))
    section = DOCUMENTATION.read_text(encoding="utf-8").partition("\n## voice\n")[2]
    lines = section.partition("```\n")[2].partition("```")[0].splitlines()
    assert len(lines) == 14
    for line in lines:
        command, *target = line.split(" > ")
        result = cli.invoke(app, [*shlex.split(command, comments=True)[1:], "--url", cloning])
        assert result.exit_code == 0, f"{line}\n{result.output}"
        if target:
            Path(target[0].split()[0]).write_text(result.stdout, encoding="utf-8")
    assert Path("asha.mp3").stat().st_size > 1_000
    left = cli.invoke(app, ["voice", "delete", "Asha, again", "--yes", "--url", cloning])
    assert left.exit_code == 0, left.output
