"""A request by one of OpenAI's model names: who speaks it when the default engine cannot."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from engines.config import EngineConfig
from engines.contract import Voice
from engines.synthetic import SyntheticEngine
from engines.text.scripts import readable
from services.app import create_app
from services.config import LoadedSettings, Settings
from services.runner.app import create_runner_app
from storage.config import ObjectStoreConfig, StorageConfig

from runners import engine, gateway_of, served

ENGINES = (
    engine("TONE"),  # English and Hindi
    engine("LICENSED", options={"license": "CPML", "license_notice": "Not for sale."}),
    EngineConfig(name="BROAD", type="ESPEAK"),
)
ENGLISH, HINDI, TAMIL = "Good morning.", "नमस्ते दुनिया।", "வணக்கம் உலகம்."


def settings(tmp_path: Path, **sections: Any) -> LoadedSettings:
    kept = StorageConfig(
        db_url=SecretStr(f"sqlite:///{tmp_path}/awaaztwin.db"),
        object_store=ObjectStoreConfig(path=tmp_path / "objects"),
    )
    return LoadedSettings(Settings.model_validate({"engines": ENGINES, "storage": kept, **sections}))


@pytest.fixture
async def runners() -> AsyncGenerator[dict[str, str], None]:
    tone, licensed, broad = (create_runner_app(config) for config in ENGINES)
    async with served(tone) as first, served(licensed) as second, served(broad) as third:
        yield {"TONE": first, "LICENSED": second, "BROAD": third}


@pytest.fixture
async def gateway(runners: dict[str, str], tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient, None]:
    app = create_app(settings(tmp_path), lambda config: runners[config.name])
    async with served(app) as address, httpx.AsyncClient(base_url=address, timeout=30) as opened:
        yield opened


async def ask(gateway: httpx.AsyncClient, text: str, **fields: Any) -> httpx.Response:
    body = {"input": text, "response_format": "pcm", "model": "tts-1", **fields}
    return await gateway.post("/v1/audio/speech", json=body)


async def speaker(gateway: httpx.AsyncClient, text: str, **fields: Any) -> str:
    """The engine that spoke, by what metrics and usage say; they agree."""
    before = await counted(gateway)
    answer = await ask(gateway, text, **fields)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 1_000
    after = await counted(gateway)
    (name,) = {name for name in after if after[name] != before.get(name)}
    spoken, booked = (new - old for new, old in zip(after[name], before.get(name, (0, 0)), strict=True))
    assert spoken >= 1
    assert booked == len(text)
    return name


async def counted(gateway: httpx.AsyncClient) -> dict[str, tuple[float, int]]:
    """By engine, the sentences that were spoken and the characters that were booked."""
    metrics = (await gateway.get("/metrics")).text.splitlines()
    rows = (await gateway.get("/usage", params={"by": "engine"})).json()["data"]
    booked = {row["engine"]: row["characters"] for row in rows}
    sentences = dict.fromkeys(booked, 0.0)
    for line in metrics:
        if line.startswith("awaaztwin_sentences_total{"):
            name = line.split('engine="')[1].partition('"')[0]
            sentences[name] = sentences.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return {name: (count, booked.get(name, 0)) for name, count in sentences.items()}


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        (ENGLISH, {}, "TONE"),
        (HINDI, {}, "TONE"),
        (f"{ENGLISH} {HINDI}", {"language": "hi"}, "TONE"),
        ("Guten Morgen.", {}, "TONE"),  # Latin letters without a language are read as English
        (TAMIL, {}, "BROAD"),
        (f"{ENGLISH} {TAMIL} {HINDI}", {}, "BROAD"),
        ("Guten Morgen.", {"language": "de"}, "BROAD"),
        ("Guten Morgen.", {"language": "de-CH"}, "BROAD"),
        (TAMIL, {"language": "en"}, "BROAD"),
        (ENGLISH, {"voice": "ta"}, "BROAD"),
        (TAMIL, {"voice": "ta"}, "BROAD"),
        (TAMIL, {"voice": "hi"}, "BROAD"),  # it has that voice, and reads Tamil
        (ENGLISH, {"voice": "echo"}, "BROAD"),
        (ENGLISH, {"voice": "ta+f2"}, "BROAD"),
        (TAMIL, {"voice": "tone"}, "TONE"),  # nobody else has that voice
        ("<speak>Hello. <s xml:lang='ta'>வணக்கம்</s></speak>", {}, "BROAD"),
        (TAMIL, {"model": "gpt-4o-mini-tts"}, "BROAD"),
        (TAMIL, {"model": "TONE"}, "TONE"),
        (ENGLISH, {"engine": "broad"}, "BROAD"),
    ],
)
async def test_who_speaks(
    gateway: httpx.AsyncClient, text: str, fields: dict[str, Any], expected: str
) -> None:
    assert await speaker(gateway, text, **fields) == expected


@pytest.mark.parametrize(
    ("fields", "param", "code", "words"),
    [
        ({"model": "TONE", "language": "ta"}, "language", "language_not_supported", ["TONE"]),
        ({"engine": "TONE", "voice": "ta"}, "voice", "voice_not_found", ["the engine TONE."]),
        ({"language": "xx"}, "language", "language_not_supported", ["The engine TONE"]),
        ({"voice": "tone-hihg"}, "voice", "voice_not_found", ["engines TONE, BROAD", "tone-high"]),
        ({"voice": "shimer"}, "voice", "voice_not_found", ["engines TONE, BROAD", "shimmer"]),
    ],
)
async def test_what_nobody_speaks_is_refused(
    gateway: httpx.AsyncClient, fields: dict[str, Any], param: str, code: str, words: list[str]
) -> None:
    answer = await ask(gateway, ENGLISH, **fields)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert all(word in error["message"] for word in words), error["message"]


async def test_a_default_language_counts_as_asked_for(runners: dict[str, str], tmp_path: Path) -> None:
    app = create_app(settings(tmp_path, text={"default_language": "de"}), lambda config: runners[config.name])
    async with served(app) as address, httpx.AsyncClient(base_url=address, timeout=30) as gateway:
        assert await speaker(gateway, "Guten Morgen.") == "BROAD"
        assert await speaker(gateway, "Good morning.", language="en") == "TONE"


async def test_an_engine_that_is_away_is_passed_over(runners: dict[str, str], tmp_path: Path) -> None:
    away = {**runners, "BROAD": f"unix://{tmp_path}/nobody"}
    app = create_app(settings(tmp_path), lambda config: away[config.name])
    async with served(app) as address, httpx.AsyncClient(base_url=address, timeout=30) as gateway:
        assert await speaker(gateway, TAMIL) == "TONE"
        refused = await ask(gateway, ENGLISH, language="de")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "language_not_supported")


class Unfetched(SyntheticEngine):
    """Has a voice of its own, and no weights."""

    missing = "The weights are not here; fetch them."

    def voices(self) -> Sequence[Voice]:
        return (*super().voices(), Voice(id="bella", name="Bella"))


async def test_an_engine_without_its_weights_comes_last(runners: dict[str, str], tmp_path: Path) -> None:
    bare = create_runner_app(ENGINES[0], lambda _, config: Unfetched(config))
    async with served(bare) as runner:
        where = {**runners, "TONE": runner}
        engines = [ENGINES[0], ENGINES[2]]
        app = create_app(settings(tmp_path, engines=engines), lambda config: where[config.name])
        async with served(app) as address, httpx.AsyncClient(base_url=address, timeout=30) as gateway:
            assert await speaker(gateway, ENGLISH) == "BROAD"
            assert await speaker(gateway, ENGLISH, voice="echo") == "BROAD"
            for fields in ({"voice": "bella"}, {"model": "TONE"}):
                answer = await ask(gateway, ENGLISH, **fields)
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"]["message"] == Unfetched.missing


@pytest.mark.parametrize(
    ("sentence", "languages", "expected"),
    [
        ("Hello", ("hi",), True),
        ("नमस्ते", ("en", "hi"), True),
        ("नमस्ते", ("mr",), True),
        ("नमस्ते", ("en",), False),
        ("வணக்கம்", ("en", "hi"), False),
        ("வணக்கம்", (), False),
        ("the letter α of Greek", ("en",), True),
        ("12 !", (), True),
    ],
)
def test_scripts_are_read_by_languages(sentence: str, languages: tuple[str, ...], expected: bool) -> None:
    assert readable(sentence, languages) is expected


MUTE = {"word_timings": False}


async def timestamps(address: str, **fields: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=address, timeout=30) as gateway:
        return await ask(gateway, ENGLISH, stream_format="sse", timestamps=True, **fields)


@pytest.fixture
async def untimed(runners: dict[str, str], tmp_path: Path) -> AsyncGenerator[str, None]:
    """A Gateway whose default engine has no word timings."""
    first = engine("TONE", options=MUTE)
    found = settings(tmp_path, engines=(first, *ENGINES[1:]))
    async with served(create_runner_app(first)) as tone:
        app = create_app(found, lambda config: {**runners, "TONE": tone}[config.name])
        async with served(app) as address:
            yield address


@pytest.mark.parametrize("fields", [{"engine": "TONE"}, {"model": "TONE"}, {"voice": "tone"}])
async def test_timestamps_of_an_engine_without_them_are_refused(untimed: str, fields: dict[str, Any]) -> None:
    answer = await timestamps(untimed, **fields)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == {
        "message": "The engine TONE does not support timestamps. Engines that do: BROAD.",
        "type": "invalid_request_error",
        "param": "timestamps",
        "code": "timestamps_not_supported",
    }


async def test_timestamps_choose_an_engine_that_has_them(untimed: str) -> None:
    answer = await timestamps(untimed)
    assert answer.status_code == 200, answer.text
    assert '"words":[{"word":"Good"' in answer.text
    async with httpx.AsyncClient(base_url=untimed, timeout=30) as gateway:
        assert (await counted(gateway)).keys() == {"BROAD"}
        assert await speaker(gateway, ENGLISH) == "TONE"


async def test_timestamps_that_no_engine_has(tmp_path: Path) -> None:
    async with gateway_of(engine("TONE", options=MUTE), tmp_path) as gateway:
        answer = await ask(gateway, ENGLISH, stream_format="sse", timestamps=True)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["message"].endswith("No engine of this server does.")
