"""What is shipped: metadata, the Bento's recipe, and a Bento that speaks in a clean environment."""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import httpx
import pytest
import yaml

from engines.text.reading import reading_script

from live import eventually
from workers import free_port

ROOT = Path(__file__).parents[2]


def project() -> dict[str, object]:
    loaded = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return loaded["project"]


def test_the_bento_installs_what_the_server_extra_does() -> None:
    recipe = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    metadata = project()
    extras = metadata["optional-dependencies"]
    assert isinstance(extras, dict)
    base = metadata["dependencies"]
    assert isinstance(base, list)
    server = [line for line in extras["server"] if line != "awaaztwin[server-core]"]
    assert sorted(recipe["python"]["packages"]) == sorted([*base, *extras["server-core"], *server])


def test_the_server_for_a_gpu_has_one_build_of_onnx_runtime() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    cpu, gpu = (set(extras[name]) for name in ("server", "server-cuda"))
    assert not [line for line in extras["server-core"] if line.startswith("onnxruntime")]
    assert {line.partition(">")[0] for line in cpu ^ gpu} == {"onnxruntime", "onnxruntime-gpu[cuda,cudnn]"}


def test_the_base_needs_nothing_heavy() -> None:
    base = project()["dependencies"]
    assert isinstance(base, list)
    assert not [line for line in base if line.startswith(("torch", "bentoml", "av", "fastapi"))]


def test_no_file_names_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npm" + "js.org")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".ico"}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [host for host in hosts if host in text], name


@pytest.mark.slow
@pytest.mark.timeout(1_500)
def test_a_bento_speaks_in_a_clean_environment(tmp_path: Path) -> None:
    """`bentoml build`, then its own lock in a new environment, served from another folder."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AWAAZTWIN_", "PYTHON"))},
        "BENTOML_HOME": str(tmp_path / "home"),
        "BENTOML_DO_NOT_TRACK": "True",
        # As `make bento` does: what was published this minute is not on every mirror yet.
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    built = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    tag = built.stdout.split("__tag__:")[-1].strip().splitlines()[0]
    name, _, version = tag.partition(":")
    bento = tmp_path / "home" / "bentos" / name / version
    source = bento / "src"
    shipped = {path.relative_to(source).parts[0] for path in source.rglob("*") if path.is_file()}
    documents = {"configuration.yaml", "README.md", "LICENSE", "NOTICE", "bentofile.yaml"}
    assert shipped <= {"services", "engines", "storage"} | documents
    assert not list(source.rglob("__pycache__"))
    clean = tmp_path / "clean"
    venv.create(clean, with_pip=True)
    python = clean / ("Scripts" if os.name == "nt" else "bin") / "python"
    requirements = bento / "env" / "python" / "requirements.lock.txt"
    if not requirements.exists():
        requirements = bento / "env" / "python" / "requirements.txt"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--requirement", requirements],
        env=environment,
        check=True,
        timeout=900,
    )
    port = free_port()
    (tmp_path / "elsewhere").mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "bentoml", "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)],
            cwd=tmp_path / "elsewhere",
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            def ready() -> bool:
                assert process.poll() is None, (tmp_path / "log").read_text(errors="replace")[-4_000:]
                try:
                    return client.get("/health/ready").status_code == 200
                except httpx.HTTPError:
                    return False

            eventually(ready, 120)
            body = {"input": "Hello from a Bento.", "response_format": "wav"}
            speech = client.post("/v1/audio/speech", json=body)
            # It clones too: the recording is examined and the voice prepared, with what the Bento brings.
            body["input"] = " ".join(reading_script("en")[:2])
            recording = client.post("/v1/audio/speech", json=body).content
            made = client.post("/voices", data={"name": "Asha"}, files={"samples": recording})
            assert made.status_code == 201, made.text
            body["voice"] = made.json()["id"]
            cloned = client.post("/v1/audio/speech", json=body)
            assert (cloned.status_code, cloned.content[:4]) == (200, b"RIFF"), cloned.content[:200]
        assert speech.status_code == 200, speech.content[:200]
        assert speech.content.startswith(b"RIFF")
        assert len(speech.content) > 24_000
    finally:
        process.terminate()
        process.wait(60)
