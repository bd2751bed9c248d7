"""Reports when the server is ready. Run as ``python -m services.cli.announce HOST PORT``.

It is a separate process, because ``awaaztwin serve`` replaces itself by the server. It ends with the server.
"""

import argparse
import sys
import threading
import time
from typing import Final

from services.cli.port import readiness
from services.cli.url import server_url
from services.host.parent import end_with_parent

POLL_SECONDS: Final = 0.2
"""Seconds between checks."""

TIMEOUT_SECONDS: Final = 300.0
"""Maximum time to wait in seconds."""

CURL: Final = """curl -sS {url}/v1/audio/speech -H 'Content-Type: application/json' \\
    -d '{{"model": "tts-1", "voice": "alloy", "input": "Hello! नमस्ते!"}}' -o hello.mp3"""


def announce(host: str, port: int, *, docs: bool, patience: float = TIMEOUT_SECONDS) -> str:
    """Wait for the server; return the message for the user.

    Args:
        host: IP address at which it is reachable.
        port: TCP port.
        docs: Whether it serves ``/docs``.
        patience: Maximum time to wait in seconds.
    """
    url = server_url(host, port)
    end = time.monotonic() + patience
    pause = threading.Event()
    while True:
        status = readiness(host, port)
        if status is not None and status["status"] != "unavailable":
            where = f"{url}/docs" if docs else ""
            lines = [f"AwaazTwin is ready: {url}" + (f"  (docs: {where})" if docs else "")]
            return "\n".join([*lines, "Try it:", '  awaaztwin say "Namaste!"', f"  {CURL.format(url=url)}"])
        if time.monotonic() > end:
            return f"AwaazTwin at {url} is not ready after {patience:g} s; `awaaztwin engines` shows why."
        pause.wait(POLL_SECONDS)


def main() -> None:
    """Announce the server in the command-line arguments."""
    end_with_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--docs", action="store_true")
    given = parser.parse_args()
    sys.stdout.write(announce(given.host, given.port, docs=given.docs) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
