"""``voice`` against a real Gateway."""

import json
import re
import signal
import subprocess
import sys
import threading
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from typer.testing import CliRunner, Result

from services.cli.app import app

from speaking import SENTENCES

CREATE = [sys.executable, "-c", "from services.cli.voice.create import main; main()"]

Listening = Callable[[Starlette], AbstractContextManager[str]]
Voice = Callable[..., Result]


@pytest.fixture
def voice(cli: CliRunner, cloning: str) -> Voice:
    """Runs a command of `voice` against the Gateway that makes voices."""

    def run(*arguments: str, url: str = cloning, **options: Any) -> Result:
        return cli.invoke(app, ["voice", *arguments, "--url", url], **options)

    return run


@pytest.fixture(scope="module")
def asha(cloning: str, recordings: Path) -> Iterator[Result]:
    """What was said when the voice `Asha` was made, of `2.wav` and `10.wav`."""
    command = ["voice", "create", "--url", cloning, "--name", "Asha", "--samples", f"{recordings}/*.wav"]
    more = ["--language", "en", "--description", "Calm", "--label", "mood=calm", "--alias", "nova"]
    result = CliRunner().invoke(app, [*command, *more])
    assert result.exit_code == 0, result.output
    yield result
    CliRunner().invoke(app, ["voice", "delete", "--url", cloning, "--yes", "Asha"])


def ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result, status: int = 1) -> str:
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.stderr


def shown(voice: Voice, name: str, **options: str) -> dict[str, Any]:
    return json.loads(ok(voice("show", name, "--json", **options)))


def test_create_shows_the_progress_and_the_quality(asha: Result) -> None:
    assert "Asha: ready (FUSSY failed, TONES ready)" in asha.stderr
    rows = [line for line in asha.stdout.splitlines() if line.startswith("│") and ".wav" in line]
    assert [row.split()[3] for row in rows] == ["2.wav", "10.wav"]
    assert all(unit in row for row in rows for unit in (" s ", " dB ", " kHz ", " LUFS "))
    assert ["known" in row for row in rows] == [True, False]
    assert "mood=calm" in asha.stdout
    assert "The option fail_prepare is set." in asha.stdout
    assert "warning: There are only" in asha.stdout
    assert "Add recordings; 10 s" in asha.stdout


@pytest.mark.usefixtures("asha")
def test_show_is_what_the_server_has(voice: Voice) -> None:
    found = shown(voice, "asha")
    assert (found["name"], found["state"], found["language"]) == ("Asha", "ready", "en")
    assert (found["labels"], found["aliases"]) == ({"mood": "calm"}, ["nova"])
    assert [r["transcript"] for r in found["recordings"]] == [SENTENCES[0], None]
    assert {e["engine"]: e["state"] for e in found["engines"]} == {"TONES": "ready", "FUSSY": "failed"}
    table = ok(voice("show", found["id"]))
    assert ok(voice("show", "  NOVA ")) == table
    assert "10.wav" in table


@pytest.mark.usefixtures("asha")
def test_list(voice: Voice) -> None:
    listed = ok(voice("list"))
    assert "Asha" in listed
    assert "nova" in listed
    for wanted in (["--search", "cal"], ["-l", "en"], ["--state", "ready"]):
        assert [v["name"] for v in json.loads(ok(voice("list", "--json", *wanted)))] == ["Asha"]
    for unwanted in (["--search", "nobody"], ["-l", "hi"], ["--state", "failed"]):
        assert json.loads(ok(voice("list", "--json", *unwanted))) == []
    assert "No voice matches" in voice("list", "--search", "nobody").stderr
    assert "'state'" in refused(voice("list", "--state", "happy"))


@pytest.mark.usefixtures("asha")
def test_aliases(voice: Voice) -> None:
    assert "My Voice?" in ok(voice("alias", "Asha", "My Voice?"))
    assert shown(voice, "my voice?")["name"] == "Asha"
    ok(voice("unalias", "nova", "My Voice?"))
    assert shown(voice, "asha")["aliases"] == ["nova"]
    assert "My Voice?" in refused(voice("unalias", "Asha", "My Voice?"))


@pytest.mark.usefixtures("asha")
def test_preview(voice: Voice, elsewhere: Path) -> None:
    ok(voice("preview", "nova", "--text", "Hello.", "--out", "a.wav"))
    with wave.open("a.wav") as short:
        assert short.getnframes() == pytest.approx(6 * 0.01 * 24_000, rel=0.1)
        sentence = ok(voice("preview", "Asha", "-o", "b.flac"))
    assert sentence == ""
    assert Path("b.flac").read_bytes().startswith(b"fLaC")
    (elsewhere / "a.wav").unlink()
    assert "FUSSY" in refused(voice("preview", "Asha", "--engine", "FUSSY", "--out", "a.wav"))
    assert "suffix" in refused(voice("preview", "Asha", "--out", "a.xyz"), 2)
    assert not Path("a.wav").exists()


@pytest.mark.usefixtures("asha")
def test_script(voice: Voice) -> None:
    english, hindi = ok(voice("script")).splitlines(), ok(voice("script", "-l", "hi-IN")).splitlines()
    assert len(english) == len(hindi) == 8
    assert "आज" in hindi[0]
    assert json.loads(ok(voice("script", "--json"))) == english


@pytest.mark.usefixtures("asha")
def test_prepare_and_consent(voice: Voice) -> None:
    assert re.search(r"TONES +│ ready", ok(voice("prepare", "Asha")))
    said = ok(voice("consent", "asha", "--by", "Asha Rao", "--text", "I agree.", "-l", "en"))
    consent = shown(voice, "asha")["consent"]
    assert said == f"Asha Rao consents to Asha: {consent['id']}\n"
    assert "not compared" in ok(voice("show", "asha"))
    assert "'text'" in refused(voice("consent", "asha", "--by", "Asha Rao", "--text", " "))


def test_samples_export_and_import(voice: Voice, recordings: Path, elsewhere: Path) -> None:
    name = "पुष्पा / one"
    pieces = ["--name", name, str(recordings / "2.wav"), "--no-transcripts", "--no-wait", "--json"]
    made = json.loads(ok(voice("create", *pieces)))
    assert [r["transcript"] for r in made["recordings"]] == [None]
    more = [str(recordings / "three.mp3"), str(recordings / "four.flac")]
    added = voice("sample", "add", name, *more, "--transcript", "Three.", "--transcript", "Four.")
    assert "four.flac" in ok(added)
    found = shown(voice, name)
    assert [r["transcript"] for r in found["recordings"]] == [None, "Three.", "Four."]

    assert "one.awaazvoice.zip" in ok(voice("export", name))
    (bundle,) = elsewhere.iterdir()
    assert bundle.name == "पुष्पा-one.awaazvoice.zip"
    assert zipfile.is_zipfile(bundle)
    assert bundle.stat().st_mode & 0o077 == 0
    assert "already exists" in refused(voice("export", name))
    ok(voice("export", name, "--out", str(bundle)))

    assert "already" in refused(voice("import", str(bundle)))
    imported = json.loads(ok(voice("import", str(bundle), "--name", "Two", "--json")))
    assert (imported["name"], imported["samples"]) == ("Two", 3)
    assert imported["id"] in ok(voice("show", "two"))
    assert "Imported Three: voice_" in ok(voice("import", str(bundle), "--name", "Three"))

    assert "Removed three.mp3" in ok(voice("sample", "delete", "two", "three.mp3"))
    (left, *_) = shown(voice, "two")["recordings"]
    ok(voice("sample", "delete", "two", left["id"]))
    assert [r["filename"] for r in shown(voice, "two")["recordings"]] == ["four.flac"]
    assert "no recording 'three.mp3'" in refused(voice("sample", "delete", "two", "three.mp3"))

    assert voice("delete", "two", input="n\n").exit_code == 1
    assert "Two" in ok(voice("delete", "two", input="y\n"))
    for gone in ("three", name):
        ok(voice("delete", gone, "--yes"))
    refused(voice("show", "two"))


def test_a_voice_that_fails_is_shown_and_why(voice: Voice, recordings: Path, elsewhere: Path) -> None:
    with wave.open(str(recordings / "2.wav")) as whole, wave.open("short.wav", "wb") as short:
        short.setparams(whole.getparams())
        short.writeframes(whole.readframes(36_000))
    assert list(elsewhere.iterdir())
    result = voice("create", "--name", "Brief", "--samples", "short.wav")
    said = refused(result)
    assert "The voice Brief is failed: There are 1." in said
    assert "short.wav" in result.stdout
    assert shown(voice, "brief")["state"] == "failed"
    ok(voice("delete", "brief", "--yes"))


def test_a_consent_that_is_asked_for(voice: Voice, strict: str, recordings: Path) -> None:
    sample = str(recordings / "2.wav")
    waiting = refused(voice("create", "--name", "Asha", "--samples", sample, url=strict))
    assert "It is waiting for a consent." in waiting
    made = shown(voice, "Asha", url=strict)
    assert f"awaaztwin voice consent {made['id']}" in waiting
    ok(voice("consent", "Asha", "--by", "Asha", "--text", "I agree.", url=strict))
    ok(voice("prepare", "Asha", url=strict))

    consents = ["--consent-by", "Asha", "--consent-text", "I agree."]
    ok(voice("create", "--name", "Again", sample, *consents, url=strict))
    consent = shown(voice, "again", url=strict)["consent"]["id"]
    ok(voice("create", "--name", "Third", sample, "--consent", consent, url=strict))
    assert shown(voice, "third", url=strict)["consent"]["id"] == consent
    assert "none" in refused(voice("create", "--name", "X", sample, "--consent", "none", url=strict))
    refused(voice("create", "--name", "X", f"{recordings}/*", url=strict))
    assert "'X'" in refused(voice("show", "X", url=strict))


def test_longer_than_anybody_waits(voice: Voice, lingering: str, recordings: Path) -> None:
    sample = str(recordings / "2.wav")
    said = refused(voice("create", "--name", "Slow", sample, "--timeout", "1", url=lingering))
    assert "was not prepared within 1 s" in said
    assert "awaaztwin voice show voice_" in said
    assert shown(voice, "slow", url=lingering)["state"] == "processing"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_stopped_while_it_is_prepared(voice: Voice, lingering: str, recordings: Path) -> None:
    command = [*CREATE, "--url", lingering, "--name", "Stopped", "--samples", str(recordings / "2.wav")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "Stopped: " in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "The voice is kept" in said
    assert "Traceback" not in said
    assert shown(voice, "stopped", url=lingering)["samples"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_stopped_while_it_is_sent(listening_: Listening, recordings: Path) -> None:
    arrived = threading.Event()

    async def respond(request: Request) -> None:
        await request.body()
        arrived.set()
        while not await request.is_disconnected():
            await anyio.sleep(0.01)

    with listening_(Starlette(routes=[Route("/voices", respond, methods=["POST"])])) as url:
        command = [*CREATE, "--url", url, "--name", "Stopped", "--samples", str(recordings / "2.wav")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert arrived.wait(timeout=30)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.startswith("Stopped before the server answered")
    assert "Traceback" not in said


def test_more_than_the_server_takes(voice: Voice, strict: str, elsewhere: Path) -> None:
    (elsewhere / "long.wav").write_bytes(bytes(8_000_000))
    said = refused(voice("create", "--name", "X", "--samples", "long.wav", url=strict))
    assert "larger than 1000000 bytes" in said


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["create", "--name", "X"], 2, "--samples"),
        (["create", "--samples", "*.wav"], 2, "--name"),
        (["create", "--name", "X", "--samples", "*.ogg"], 1, "No file matches *.ogg"),
        (["create", "--name", "X", "text.mp3"], 1, "text.mp3"),
        (["create", "--name", "X", "empty.wav"], 1, "empty.wav"),
        (["create", "--name", " ", "text.mp3"], 1, "'name'"),
        (["create", "--name", "X", "text.mp3", "--label", "calm"], 2, "NAME=VALUE"),
        (["create", "--name", "X", "text.mp3", "--consent-by", "A"], 2, "go together"),
        (
            [
                "create",
                "--name",
                "X",
                "text.mp3",
                "--consent-by",
                "A",
                "--consent-text",
                "B",
                "--consent",
                "c",
            ],
            2,
            "not both",
        ),
        (["create", "--name", "X", "text.mp3", "--consent-by", "A", "--consent-text", " "], 2, "a text"),
        (["show", "Ashe"], 1, "The nearest: Asha"),
        (["show", "zzz"], 1, "voice list"),
        (["show", "voice_0"], 1, "voice_0"),
        (["delete", "zzz", "--yes"], 1, "zzz"),
        (["sample", "add", "Asha", "none.wav"], 1, "none.wav"),
        (["sample", "add", "Asha", "text.mp3", "--transcript", "a", "--transcript", "b"], 2, "once for each"),
        (["import", "none.zip"], 1, "none.zip cannot be read"),
        (["import", "text.mp3"], 1, "text.mp3"),
        (["export", "Asha", "--out", "none/a.zip"], 1, "cannot be written"),
        (["alias", "Asha", "\udcff"], 2, "encoding"),
        (["script", "--language", "?"], 1, "'language'"),
    ],
)
@pytest.mark.usefixtures("asha", "elsewhere")
def test_errors_say_what_to_do(voice: Voice, arguments: list[str], status: int, said: str) -> None:
    Path("text.mp3").write_text("This is no recording.")
    Path("empty.wav").touch()
    before = ok(voice("list", "--json"))
    assert said in refused(voice(*arguments), status)
    assert ok(voice("list", "--json")) == before
    assert {path.name for path in Path().iterdir()} == {"text.mp3", "empty.wav"}


def test_no_voice_yet(voice: Voice, gateway: str) -> None:
    assert "no voices yet" in voice("list", url=gateway).stderr
    assert "awaaztwin voice create" in refused(voice("show", "x", url=gateway))
