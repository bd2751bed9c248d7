"""Recordings that are named on the command line."""

import json
from pathlib import Path

import pytest

from services.cli.console import CommandError
from services.cli.voice.files import MAX_TRANSCRIPT_CHARS, MOST_FILES, find_recordings


@pytest.fixture
def folder(elsewhere: Path) -> Path:
    """`me/` with `1.wav`, `2.wav`, `10.wav` and `b.mp3`, and a text beside the second."""
    folder = elsewhere / "me"
    folder.mkdir()
    for name in ("10.wav", "2.wav", "1.wav", "b.mp3"):
        (folder / name).touch()
    (folder / "2.txt").write_text("  Two. \n")
    return folder


def found(*patterns: str, **options: object) -> list[tuple[str, str]]:
    return [(r.path.name, r.transcript) for r in find_recordings(patterns, **options)]  # type: ignore[arg-type]


@pytest.mark.usefixtures("folder")
def test_patterns_are_in_the_order_of_people():
    assert found("me/*.wav") == [("1.wav", ""), ("2.wav", "Two."), ("10.wav", "")]
    assert found("me/*.wav", neighbours=False) == [("1.wav", ""), ("2.wav", ""), ("10.wav", "")]
    assert found("me/b.mp3", "me/[12].wav", "**/1.wav") == [("b.mp3", ""), ("1.wav", ""), ("2.wav", "Two.")]


@pytest.mark.usefixtures("folder")
def test_a_transcript_is_no_recording():
    assert [name for name, _ in found("me/*")] == ["1.wav", "2.wav", "10.wav", "b.mp3"]
    (Path("me") / "notes.txt").touch()
    assert "notes.txt" in [name for name, _ in found("me/*")]


def test_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert found("~/b.*") == [("b.mp3", "")]


@pytest.mark.usefixtures("elsewhere")
def test_a_name_that_looks_like_a_pattern():
    Path("take [1].wav").touch()
    assert found("take [1].wav") == [("take [1].wav", "")]


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["me/*.ogg"], "No file matches me/*.ogg"),
        (["me/1.wav", "none.wav"], "No file matches none.wav"),
        (["me"], "me is a folder"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_patterns_without_a_match(patterns: list[str], said: str):
    with pytest.raises(CommandError) as caught:
        find_recordings(patterns)
    assert said in caught.value.message


def test_more_than_anybody_wants(folder: Path):
    for number in range(MOST_FILES + 1):
        (folder / f"{number}.ogg").touch()
    with pytest.raises(CommandError, match=r"More than 1,000"):
        find_recordings(["me/*.ogg"])


EXPECTED = [("1.wav", "One."), ("2.wav", ""), ("10.wav", "Ten."), ("b.mp3", "")]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", json.dumps({"me/1.wav": " One.", "10": "Ten.", "other.wav": "Other."})),
        ("me/t.json", json.dumps({"1.wav": "One.", "10.wav": "Ten."})),
        ("t.tsv", "1.wav\tOne.\n\n10\t Ten. \r\n"),
    ],
)
def test_transcripts_by_name(name: str, text: str):
    Path(name).write_text(text)
    assert found("me/*.wav", "me/*.mp3", transcripts=Path(name)) == EXPECTED


@pytest.mark.usefixtures("folder")
def test_transcripts_in_order():
    Path("script.txt").write_text("One.\n\nTwo!\nTen.\n")
    assert found("me/*.wav", transcripts=Path("script.txt")) == [
        ("1.wav", "One."),
        ("2.wav", "Two!"),
        ("10.wav", "Ten."),
    ]
    assert found("me/1.wav", transcripts=Path("script.txt")) == [("1.wav", "One. Two! Ten.")]


def test_names_that_two_recordings_have(folder: Path):
    (folder / "more").mkdir()
    (folder / "more" / "1.wav").touch()
    Path("t.json").write_text(json.dumps({"1.wav": "?", "me/more/1.wav": "More."}))
    assert found("me/1.wav", "me/more/1.wav", transcripts=Path("t.json")) == [
        ("1.wav", ""),
        ("1.wav", "More."),
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.json", "[", "not JSON"),
        ("t.json", '["One."]', "not a JSON object"),
        ("t.json", '{"1.wav": 1}', "not a JSON object"),
        ("t.json", "{}", "names none"),
        ("t.tsv", "1.wav One.", "t.tsv:1"),
        ("t.txt", "One.", "1 lines, and there are 3"),
        ("t.srt", "One.", "cannot be inferred"),
        ("t.tsv", f"1.wav\t{'a' * (MAX_TRANSCRIPT_CHARS + 1)}", "1.wav has 5,001 characters"),
        ("none.json", None, "cannot be read"),
    ],
)
def test_transcripts_that_cannot_be_used(name: str, text: str | None, said: str):
    if text is not None:
        Path(name).write_text(text)
    with pytest.raises(CommandError) as caught:
        find_recordings(["me/*.wav"], Path(name))
    assert said in caught.value.message
    assert caught.value.status == 2
