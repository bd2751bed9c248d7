"""What the extras install is enough: every engine that needs torch loads and speaks in a new environment."""

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

import random_checkpoint
import random_openvoice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]

ROOT = Path(__file__).parents[2]

SPEAKS = """
import asyncio, json, sys
import numpy as np
from engines.config import EngineConfig
from engines.contract import ReferenceSample, Speech, Utterance, synthesize
from engines.registry import get_engine_adapter

async def speak(kind, folder):
    engine = get_engine_adapter(kind, EngineConfig(name=kind, type=kind, model_path=folder))
    await engine.load()
    time = np.arange(4 * 24_000) / 24_000
    pcm = (8_000 * np.sin(2 * np.pi * 150 * time) * np.sin(2 * np.pi * 3 * time)).astype(np.int16)
    prepared = await engine.prepare_voice([ReferenceSample(pcm=pcm, sample_rate=24_000)])
    said = Utterance(text="hello there.", voice="emb_1", language="en", seed=1, prepared=prepared)
    (outcome,) = await synthesize(engine, [said])
    await engine.close()
    assert isinstance(outcome, Speech), outcome
    return len(outcome.pcm)

folders = json.loads(sys.argv[1])
print(json.dumps({kind: asyncio.run(speak(kind, folder)) for kind, folder in folders.items()}))
"""


def test_the_extras_are_all_that_the_engines_need(tmp_path: Path) -> None:
    folders = {
        "XTTS_HI": str(random_checkpoint.xtts(tmp_path / "xtts")),
        "OPENVOICE_V2": str(random_openvoice.openvoice(tmp_path / "openvoice", size="tiny")),
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--constraint",
            "constraints.txt",
            ".[server,xtts,openvoice]",
        ],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=1_200,
    )
    spoken = subprocess.run(
        [python, "-c", SPEAKS, json.dumps(folders)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert spoken.returncode == 0, spoken.stderr[-4_000:]
    samples = json.loads(spoken.stdout.splitlines()[-1])
    assert set(samples) == set(folders)
    assert min(samples.values()) > 500
