"""Write the OpenAPI document to ``docs/openapi.json``; with ``--check``, fail when it is out of date.

Clients are generated from the document, so that a change of the API is a change of this file.
"""

import argparse
import json
import sys
from pathlib import Path

from services.app import create_app
from services.config import load_settings

DOCUMENT = Path(__file__).parents[1] / "docs" / "openapi.json"


def document() -> str:
    """The document of an app with the built-in settings."""
    app = create_app(load_settings(environ={}, cwd=Path("/nonexistent")), lambda _: "unix:///nowhere")
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when out of date")
    wanted = document()
    if not parser.parse_args().check:
        DOCUMENT.write_text(wanted, encoding="utf-8")
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{DOCUMENT.name} is out of date: run {Path(__file__).name}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
