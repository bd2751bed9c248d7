"""The README's snippets, run as they stand against a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from live import Server
from probing import ffprobe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(bash|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
WRITTEN = ["hello.mp3", "sync.mp3", "async.wav", "streamed.pcm", "said.wav", "asha.wav"]
ON_THE_WAY = ["recording.wav"]


def test_every_file_the_readme_writes_is_known() -> None:
    named = re.findall(r"[a-z]+\.(?:mp3|wav|pcm)", "".join(code for _, code in SNIPPETS))
    assert sorted(set(named)) == sorted(WRITTEN + ON_THE_WAY)
    assert len(SNIPPETS) == len(WRITTEN)


@pytest.mark.parametrize("index", range(len(SNIPPETS)), ids=WRITTEN)
def test_a_snippet_does_what_it_says(server: Server, tmp_path: Path, index: int) -> None:
    kind, code = SNIPPETS[index]
    code = code.replace("http://127.0.0.1:8000", server.url)
    script = tmp_path / ("snippet.py" if kind == "python" else "snippet.sh")
    script.write_text(code, encoding="utf-8")
    port = server.url.rpartition(":")[2]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWAAZTWIN_SERVER__PORT": port,
    }
    command = [sys.executable, script] if kind == "python" else ["bash", "-e", script]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)
    written = tmp_path / WRITTEN[index]
    if written.suffix == ".pcm":
        assert written.stat().st_size > 24_000 * 2 * 0.5
    else:
        assert ffprobe(written).duration > 0.5


def test_what_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(((?!http)[^)#]+)", README):
        assert (ROOT / target).exists(), target
