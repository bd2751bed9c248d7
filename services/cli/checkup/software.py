"""Checks of Python, packages and programs."""

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

from services.audio.codings import Compressed
from services.audio.formats import FORMATS
from services.cli.checkup.finding import CheckResult, ok, problem, skipped, warning
from services.cli.checkup.probe import ProbeError, probe
from services.cli.player import FILE_PLAYERS, STREAM_PLAYERS
from services.cli.requirements import FASTER_MODULES, INSTALL_SERVER, SERVER_MODULES, missing

OLDEST_PYTHON: Final = (3, 11)
SPEECH_TIMEOUT: Final = 30.0
ENCODERS: Final = {
    one.name: one.coding.codec for one in FORMATS.values() if isinstance(one.coding, Compressed)
}
"""Encoders of PyAV by format."""


def python() -> CheckResult:
    """Check that this Python is new enough."""
    running = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST_PYTHON:
        return problem("Python", f"{running} is too old", "Install Python 3.11 or newer.")
    return ok("Python", f"{running}, {sys.executable}")


def packages() -> Iterator[CheckResult]:
    """Check the server's packages; an installation without them is a client's."""
    absent = missing()
    # Some of the others may be dependencies of another package.
    if "bentoml" in absent:
        message = "not installed: `say`, `voices` and `engines` work, `serve` does not"
        yield warning("Server packages", message, INSTALL_SERVER)
        return
    for name in SERVER_MODULES:
        subject = f"Package {name}"
        yield (
            problem(subject, "not installed", INSTALL_SERVER) if name in absent else _installed(subject, name)
        )
    absent = missing(FASTER_MODULES)
    for name in FASTER_MODULES:
        subject = f"Package {name}"
        message = "not installed; the server is slower without"
        yield warning(subject, message, INSTALL_SERVER) if name in absent else _installed(subject, name)


def _installed(subject: str, name: str) -> CheckResult:
    try:
        return ok(subject, version(name))
    except PackageNotFoundError:
        return ok(subject, "present, of unknown version")


def embedded_engine() -> CheckResult:
    """Check that the embedded engine can speak."""
    subject = "eSpeak NG"
    if find_spec("espeakng_loader") is None:
        return skipped(subject, "not installed")
    try:
        answer = probe("services.cli.checkup.speech_probe", timeout=SPEECH_TIMEOUT)
    except ProbeError as error:
        remedy = "Reinstall espeakng-loader; on musl (Alpine) there is no wheel, use a Debian image."
        return problem(subject, str(error), remedy)
    seconds, took = answer["audio_seconds"], answer["took_seconds"]
    return ok(
        subject,
        f"spoke {seconds:.1f} s of English and Hindi in {took:.2f} s, {answer['languages']} languages",
    )


def encoders() -> CheckResult:
    """Check that the audio library can encode all compressed formats."""
    subject = "Audio encoders"
    if find_spec("av") is None:
        return skipped(subject, "PyAV is not installed")
    remedy = 'Reinstall it from its wheel: pip install --force-reinstall "av>=18,<20"'
    try:
        from av.codec import Codec  # noqa: PLC0415 - in the extra `server`
    except (ImportError, OSError) as error:
        return problem(subject, f"PyAV cannot be imported: {error}", remedy)
    absent: list[str] = []
    for audio_format, encoder in ENCODERS.items():
        try:
            Codec(encoder, "w")
        except ValueError:
            absent.append(audio_format)
    if absent:
        return problem(subject, f"PyAV was built without {', '.join(absent)}", remedy)
    return ok(subject, f"{', '.join(ENCODERS)}; wav, pcm, µ-law and A-law need none")


def programs() -> Iterator[CheckResult]:
    """Check optional programs that are useful in addition to the server."""
    players = [name for name in {**STREAM_PLAYERS, **FILE_PLAYERS} if shutil.which(name)]
    if players:
        yield ok("Players", ", ".join(players))
    else:
        remedy = "Install alsa-utils, ffmpeg or sox, or use `say --out`."
        yield warning("Players", "no audio player found", remedy)
    tools = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name)]
    if tools:
        yield ok("FFmpeg", ", ".join(tools))
    else:
        yield skipped("FFmpeg", "not installed; only tests need it")
