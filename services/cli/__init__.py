"""The command line.

Commands that are clients of a server (``say``, ``voices``, ``engines``) need only the base installation. No
module of this package imports the server's libraries at import time.
"""


def main() -> None:
    """Run ``awaaztwin``."""
    from services.cli.app import app  # noqa: PLC0415 - importing this package costs nothing

    app(prog_name="awaaztwin")
