"""The command line.

Clients of a server (``say``, ``voices``, ``engines``) need only the base installation; nothing here
imports the server's own libraries.
"""


def main() -> None:
    """Run ``awaaztwin``."""
    from services.cli.app import app  # noqa: PLC0415 - importing this package costs nothing

    app(prog_name="awaaztwin")
