"""``say`` against a real Gateway."""

import io
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.app import app

SAY = [sys.executable, "-c", "from services.cli.say import main; main()"]
TEXT = "Hello there."
SECONDS = len(TEXT) * 0.01
MAGIC = {
    "mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3"),
    "opus": (b"OggS",),
    "aac": (b"\xff\xf1", b"\xff\xf9"),
    "flac": (b"fLaC",),
    "wav": (b"RIFF",),
}


def player(folder: Path, name: str, script: str) -> None:
    """A program of that name, as the only one on the PATH."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def spoken(cli: CliRunner, gateway: str, *arguments: str, name: str = "out.pcm") -> bytes:
    result = cli.invoke(app, ["say", "--url", gateway, "--out", name, *arguments])
    assert result.exit_code == 0, result.output
    return Path(name).read_bytes()


@pytest.mark.parametrize("name", ["a.mp3", "a.OPUS", "a.ogg", "a.aac", "a.flac", "a.wav"])
def test_the_suffix_chooses_the_format(cli: CliRunner, gateway: str, elsewhere: Path, name: str) -> None:
    data = spoken(cli, gateway, TEXT, name=name)
    expected = {"ogg": "opus"}.get(name[2:].lower(), name[2:].lower())
    assert data.startswith(MAGIC[expected])
    assert [path.name for path in elsewhere.iterdir()] == [name]


def test_a_wav_file_says_how_long_it_is(cli: CliRunner, gateway: str) -> None:
    data = spoken(cli, gateway, TEXT, name="a.wav")
    with wave.open(io.BytesIO(data)) as reader:
        assert reader.getnframes() == pytest.approx(SECONDS * 24_000, abs=1)
        assert len(data) == 44 + 2 * reader.getnframes()


def test_a_format_without_a_suffix(cli: CliRunner, gateway: str) -> None:
    assert len(spoken(cli, gateway, TEXT, "--format", "ulaw", name="prompt")) == pytest.approx(
        SECONDS * 8_000, abs=200
    )


def test_all_the_ways_to_give_a_text(cli: CliRunner, gateway: str) -> None:
    Path("text.txt").write_text(TEXT, encoding="utf-8-sig")
    as_argument = spoken(cli, gateway, TEXT)
    assert len(as_argument) == pytest.approx(SECONDS * 48_000, abs=2)
    assert spoken(cli, gateway, "--text", TEXT) == as_argument
    assert spoken(cli, gateway, "--file", "text.txt") == as_argument
    for way in (["-"], ["--file", "-"]):
        result = cli.invoke(app, ["say", "--url", gateway, "--out", "in.pcm", *way], input=TEXT)
        assert result.exit_code == 0
        assert Path("in.pcm").read_bytes() == as_argument


@pytest.mark.parametrize("ways", [[], [TEXT, "--text", TEXT], ["--text", TEXT, "--file", "-"]])
def test_one_text_and_no_other(cli: CliRunner, gateway: str, ways: list[str]) -> None:
    result = cli.invoke(app, ["say", "--url", gateway, "--out", "a.wav", *ways])
    assert result.exit_code == 2
    assert "in exactly one way" in result.stderr


def test_what_is_asked_for_reaches_the_server(cli: CliRunner, gateway: str) -> None:
    normal = spoken(cli, gateway, TEXT)
    assert len(spoken(cli, gateway, TEXT, "--speed", "2")) == pytest.approx(len(normal) / 2, rel=0.05)
    assert len(spoken(cli, gateway, TEXT, "--model", "slow")) > 10 * len(normal)
    assert spoken(cli, gateway, TEXT, "--voice-id", "tone-high", "--language", "hi") != normal


def test_standard_output_carries_the_audio_alone(cli: CliRunner, gateway: str) -> None:
    done = subprocess.run(
        [*SAY, "--url", gateway, "--text", "नमस्ते।", "--out", "-", "--format", "pcm"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == spoken(cli, gateway, "नमस्ते।")
    assert done.stderr == b""


def test_a_reader_that_leaves_early(gateway: str) -> None:
    command = [*SAY, "--url", gateway, "--text", "Word. " * 300, "--out", "-", "--model", "SLOW"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        complaint = process.stderr.read().decode()
        assert process.wait(timeout=60) == 1
    assert "closed it" in complaint
    assert "Traceback" not in complaint


def test_the_player_gets_the_pcm(
    cli: CliRunner, gateway: str, programs: Path, tmp_path: Path, elsewhere: Path
) -> None:
    expected = spoken(cli, gateway, TEXT)
    (elsewhere / "out.pcm").unlink()
    player(programs, "aplay", f'echo "$@" > {tmp_path}/arguments; exec /bin/cat > {tmp_path}/heard')
    result = cli.invoke(app, ["say", "--url", gateway, TEXT])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "heard").read_bytes() == expected
    assert "-r 24000" in (tmp_path / "arguments").read_text()
    assert list(elsewhere.iterdir()) == []


def test_a_player_of_files_alone_gets_a_wav_file(
    cli: CliRunner, gateway: str, programs: Path, tmp_path: Path
) -> None:
    player(programs, "afplay", f'exec /bin/cat "$1" > {tmp_path}/heard')
    assert cli.invoke(app, ["say", "--url", gateway, TEXT]).exit_code == 0
    with wave.open(str(tmp_path / "heard")) as reader:
        assert reader.getnframes() == pytest.approx(SECONDS * 24_000, abs=1)


def test_written_and_played(cli: CliRunner, gateway: str, programs: Path, tmp_path: Path) -> None:
    player(programs, "aplay", f'for file; do :; done; exec /bin/cat "$file" > {tmp_path}/heard')
    assert spoken(cli, gateway, TEXT, "--play", name="a.wav") == (tmp_path / "heard").read_bytes()
    result = cli.invoke(app, ["say", "--url", gateway, TEXT, "--play", "--out", "a.mp3"])
    assert result.exit_code == 1
    assert "can play mp3" in result.stderr


def test_a_player_that_fails_says_why(cli: CliRunner, gateway: str, programs: Path) -> None:
    player(programs, "aplay", "echo no such device >&2; exit 1")
    result = cli.invoke(app, ["say", "--url", gateway, TEXT])
    assert result.exit_code == 1
    assert "aplay could not play: no such device" in result.stderr
    assert "--out" in result.stderr


@pytest.mark.usefixtures("programs")
def test_nothing_to_play_with(cli: CliRunner, gateway: str) -> None:
    result = cli.invoke(app, ["say", "--url", gateway, TEXT])
    assert result.exit_code == 1
    assert "--out" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--voice", "nobody", "--out", "a.wav"], 1, "awaaztwin voices"),
        (["--model", "none-such", "--out", "a.wav"], 1, "awaaztwin engines"),
        (["--model", "BROKEN", "--out", "a.wav"], 1, "fail_load"),
        (["--format", "midi", "--out", "a.wav"], 1, "midi"),
        (["--out", "a.xyz"], 2, ".mp3"),
        (["--out", "none/a.wav"], 1, "cannot be written"),
        (["--out", "."], 2, "suffix"),
        (["--out", ".", "--format", "wav"], 1, "is a folder"),
        (["--format", "wav"], 2, "--out"),
        (["--no-play"], 2, "--out"),
        (["--out", "-", "--play"], 2, "cannot be played as well"),
        (["--speed", "9"], 2, "--speed"),
        (["--file", "none.txt"], 2, "in exactly one way"),
        (["--api-key", "schlüssel", "--out", "a.wav"], 2, "API key"),
        (["--out", "a.wav", "--url", "ftp://127.0.0.1"], 2, "not a server address"),
    ],
)
def test_errors_say_what_to_do(
    cli: CliRunner, gateway: str, elsewhere: Path, arguments: list[str], status: int, said: str
) -> None:
    result = cli.invoke(app, ["say", TEXT, *([] if "--url" in arguments else ["--url", gateway]), *arguments])
    assert (result.exit_code, list(elsewhere.iterdir())) == (status, []), result.output
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_an_earlier_file_survives_a_failure(cli: CliRunner, gateway: str) -> None:
    Path("a.wav").write_text("earlier")
    assert cli.invoke(app, ["say", "--url", gateway, "--out", "a.wav", "bad"]).exit_code == 1
    assert Path("a.wav").read_text() == "earlier"


def test_half_a_speech_leaves_no_file(cli: CliRunner, gateway: str, elsewhere: Path) -> None:
    result = cli.invoke(
        app, ["say", "--url", gateway, "--out", "a.wav", "A good sentence. " * 30 + "A bad one."]
    )
    assert result.exit_code == 1
    assert list(elsewhere.iterdir()) == []


def test_no_server(cli: CliRunner, free_port: int, elsewhere: Path) -> None:
    result = cli.invoke(app, ["say", "--url", f"http://127.0.0.1:{free_port}", "--out", "a.wav", TEXT])
    assert result.exit_code == 1
    assert "awaaztwin serve" in result.stderr
    assert list(elsewhere.iterdir()) == []


def test_the_settings_say_where_the_server_is(
    cli: CliRunner, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWAAZTWIN_SERVER__PORT", gateway.rpartition(":")[2])
    assert cli.invoke(app, ["say", "--out", "a.wav", TEXT]).exit_code == 0
    monkeypatch.setenv("AWAAZTWIN_SERVER__PORT", "no port")
    result = cli.invoke(app, ["say", "--out", "a.wav", TEXT])
    assert result.exit_code == 1
    assert "server.port" in result.stderr
    monkeypatch.setenv("AWAAZTWIN_BASE_URL", f"{gateway}/v1/")
    assert cli.invoke(app, ["say", "--out", "a.wav", TEXT]).exit_code == 0


def test_a_link_is_written_through(cli: CliRunner, gateway: str) -> None:
    Path("link.wav").symlink_to("real.wav")
    spoken(cli, gateway, TEXT, name="link.wav")
    assert Path("link.wav").is_symlink()
    assert Path("real.wav").read_bytes().startswith(b"RIFF")


def test_a_pipe_is_written_to_as_it_is(gateway: str) -> None:
    os.mkfifo("pipe.wav")
    command = [*SAY, "--url", gateway, "--text", TEXT, "--out", "pipe.wav"]
    with subprocess.Popen(command) as process:
        assert Path("pipe.wav").read_bytes().startswith(b"RIFF")
        assert process.wait(timeout=60) == 0
    assert Path("pipe.wav").is_fifo()


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_in_the_middle(gateway: str, elsewhere: Path, sent: signal.Signals, status: int) -> None:
    command = [*SAY, "--url", gateway, "--text", "Word. " * 300, "--out", "a.wav", "--model", "SLOW"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        until(lambda: any(path.stat().st_size for path in elsewhere.iterdir()))
        process.send_signal(sent)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == status
    assert list(elsewhere.iterdir()) == []
    assert b"Traceback" not in complaint


def test_an_argument_that_is_not_text(gateway: str) -> None:
    command = [*map(os.fsencode, SAY), b"--url", gateway.encode(), b"--out", b"a.wav", b"--text", b"\xff\xfe"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"not valid" in done.stderr


def until(holds: Callable[[], bool]) -> None:
    """Look until it holds; the test's own time limit ends the looking."""
    while not holds():
        time.sleep(0.01)
