"""Write the tables of keys in docs/configuration.md from the settings' own definitions.

python scripts/config_docs.py           writes them
python scripts/config_docs.py --check   fails when they are stale
"""

import argparse
import sys
from pathlib import Path

from services.config.reference import reference

DOCUMENT = Path(__file__).parents[1] / "docs" / "configuration.md"
BEGIN = "<!-- keys: begin; written by scripts/config_docs.py -->"
END = "<!-- keys: end -->"


def with_tables(text: str) -> str:
    """The document with its tables made anew.

    Raises:
        ValueError: The markers around the tables are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the tables stand between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{reference()}{END}{after}"


def main() -> int:
    """The exit status: 1 when the document is stale and only a check was asked for."""
    parser = argparse.ArgumentParser(description="Write the tables of keys in the configuration's page.")
    parser.add_argument("--check", action="store_true", help="fail when the page is stale; write nothing")
    parser.add_argument("document", nargs="?", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    text = arguments.document.read_text(encoding="utf-8")
    fresh = with_tables(text)
    if text == fresh:
        return 0
    if arguments.check:
        print(f"{arguments.document} is stale; run: python scripts/config_docs.py", file=sys.stderr)
        return 1
    arguments.document.write_text(fresh, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
