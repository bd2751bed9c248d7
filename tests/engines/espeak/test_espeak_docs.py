from pathlib import Path

from engines.espeak.characters import CHARACTERS

ROOT = Path(__file__).parents[3]


def test_the_page_lists_every_character_as_it_is():
    page = (ROOT / "docs/engines/espeak.md").read_text(encoding="utf-8")
    for c in CHARACTERS:
        assert f"| `{c.id}` | {c.gender} | `{c.variant}` | {c.pitch} | {c.pitch_range} |" in page


def test_the_notice_names_the_library_and_its_licence():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert "eSpeak NG" in notice
    assert "General Public License, version 3 or later" in notice
