from pathlib import Path

import pytest

from services.audio.formats import ALIASES, FORMATS

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"


def rows() -> dict[str, list[str]]:
    table = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `"))
    found: dict[str, list[str]] = {}
    for line in table:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found.setdefault(cells[0].strip("`"), cells)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_tells_each_format(name: str) -> None:
    _, also, content_type, extension, rates, _ = rows()[name]
    audio_format = FORMATS[name]
    assert content_type == f"`{audio_format.content_type}`"
    assert extension == f"`{audio_format.extension}`"
    assert str(audio_format.default_rate) in rates
    told = {alias.strip(" `").lower() for alias in also.split(",")}
    assert told == {alias for alias, of in ALIASES.items() if of == name}
