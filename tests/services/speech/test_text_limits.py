"""What an engine takes at once differs by language: the Gateway cuts each sentence by its own."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engines.config import EngineConfig
from engines.contract import Capabilities
from services.runner.app import create_runner_app
from services.wire.frames import EngineDescription

from runners import client, engine, gateway_of, served

LIMITS = {"en": 250, "hi": 150}
HINDI = (
    "जब बारिश शुरू हुई, तो नदी का पानी धीरे-धीरे बढ़ने लगा, और गाँव के लोग अपना सामान लेकर ऊँची जगह की ओर चल पड़े, "
    "क्योंकि 15 अगस्त 1947 के बाद ऐसी बाढ़ किसी ने नहीं देखी थी, और रु. 1,25,000 का नुकसान अकेले एक किसान का हुआ।"
)
ENGLISH = (
    "When the rain came, the water of the river rose little by little, and the people of the village took "
    "what they had and went up to the hill, because nobody had seen a flood like it in all the years since "
    "1947, and a single farmer alone had lost 125,000 rupees."
)


@pytest.fixture
def limited() -> EngineConfig:
    return engine("LIMITED", options={"max_chars_by_language": LIMITS})


@pytest.fixture
async def gateway(limited: EngineConfig, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with gateway_of(limited, tmp_path) as opened:
        yield opened


def is_hindi(piece: str) -> bool:
    return any("\u0900" <= character <= "\u097f" for character in piece)


async def spoken(gateway: httpx.AsyncClient, text: str, **fields: Any) -> list[str]:
    """The pieces that the engine was given, in order."""
    asked = {
        "input": text,
        "voice": "tone",
        "response_format": "pcm",
        "stream_format": "sse",
        "timestamps": True,
    }
    answer = await gateway.post("/v1/audio/speech", json={**asked, **fields})
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.splitlines() if line.startswith("data:")]
    events = [json.loads(line.removeprefix("data:")) for line in lines]
    assert events[-1]["type"] == "speech.audio.done", events[-1]
    return [event["text"] for event in events if event["type"] == "speech.audio.timestamps"]


async def test_each_sentence_has_the_limit_of_its_own_language(gateway: httpx.AsyncClient) -> None:
    pieces = await spoken(
        gateway, f"Yes. {HINDI} {ENGLISH}"
    )  # the first piece may be shorter than it must be
    hindi = [piece for piece in pieces if is_hindi(piece)]
    english = [piece for piece in pieces[1:] if not is_hindi(piece)]
    assert pieces == ["Yes.", *hindi, *english]
    assert 75 < max(map(len, hindi)) <= 150
    assert 150 < max(map(len, english)) <= 250


async def test_a_hindi_sentence_is_cut_at_its_clauses(gateway: httpx.AsyncClient) -> None:
    pieces = await spoken(gateway, HINDI)
    assert all(piece.endswith((",", "।")) for piece in pieces)
    assert not any(character.isdigit() for piece in pieces for character in piece)


async def test_a_language_that_is_asked_for_decides(gateway: httpx.AsyncClient) -> None:
    assert 120 < max(map(len, await spoken(gateway, ENGLISH, language="hi-IN"))) <= 150


async def test_in_ssml_too(gateway: httpx.AsyncClient) -> None:
    pieces = await spoken(
        gateway, f"<speak><s>{ENGLISH}</s><s>{HINDI}</s><s xml:lang='hi'>{ENGLISH}</s></speak>"
    )
    end = next(index for index, piece in enumerate(pieces) if piece.endswith("।")) + 1
    english = [piece for piece in pieces[:end] if not is_hindi(piece)]
    assert 150 < max(map(len, english)) <= 250
    assert max(map(len, pieces[len(english) :])) <= 150
    assert pieces[end].startswith("When the rain came")  # English words in a Hindi sentence


async def test_the_limits_cross_the_wire(limited: EngineConfig) -> None:
    async with served(create_runner_app(limited)) as address, client(limited, address) as runner:
        description = await runner.describe()
    assert description.capabilities.max_chars_by_language == LIMITS
    assert description.capabilities.max_chars_in("hi-IN") == 150
    assert description.capabilities.max_chars_in("mr") == description.capabilities.max_chars


async def test_a_runner_of_before_has_one_limit(limited: EngineConfig) -> None:
    async with served(create_runner_app(limited)) as address, client(limited, address) as runner:
        told = (await runner.describe()).model_dump(mode="json")
    del told["capabilities"]["max_chars_by_language"]
    old = EngineDescription.model_validate_json(json.dumps(told))
    assert old.capabilities.max_chars_in("hi") == old.capabilities.max_chars == 400


def test_capabilities_are_values() -> None:
    assert Capabilities(max_chars_by_language={"hi": 150}) != Capabilities()
    assert (
        len(
            {Capabilities(max_chars_by_language={"hi": 150}), Capabilities(max_chars_by_language={"hi": 150})}
        )
        == 1
    )
