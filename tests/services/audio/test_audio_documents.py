from pathlib import Path

import pytest

from services.audio.formats import ALIASES, FORMATS

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"


def table(header: str) -> dict[str, list[str]]:
    """The cells of the table with that header, by the name in their first."""
    _, _, below = PAGE.read_text(encoding="utf-8").partition(f"| {header} |\n")
    rows = below.partition("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_tells_each_format(name: str) -> None:
    header = "format | `Content-Type` | file | sample rates in Hz (default) | bit rate in kbit/s"
    content_type, extension, rates, _ = table(header)[name]
    (also,) = table("format | also called")[name]
    audio_format = FORMATS[name]
    assert content_type == f"`{audio_format.content_type}`"
    assert extension == f"`{audio_format.extension}`"
    assert str(audio_format.default_rate) in rates
    told = {alias.strip(" `").lower() for alias in also.split(",")}
    assert told == {alias for alias, of in ALIASES.items() if of == name}
