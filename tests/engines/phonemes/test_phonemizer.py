"""The process that says how text sounds: what it costs to lose it, and what it never does."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable

import psutil
import pytest

from engines.contract import EngineUnavailable
from engines.phonemes.phonemizer import MEMORY, Phonemizer

EN = "gmw/en-US"


@pytest.fixture
async def phonemizer(started: Callable[[], list[psutil.Process]]) -> AsyncGenerator[Phonemizer, None]:
    phonemizer = Phonemizer()
    yield phonemizer
    await phonemizer.close()
    assert not started(), "an orphan"


async def test_many_voices_in_one_question(phonemizer: Phonemizer):
    said = await phonemizer.ipa([(EN, "the apple"), ("inc/hi", "हाँ"), ("roa/es", "niña"), (EN, "the apple")])
    assert said == ["ð_ɪ_ ˈæ_p_əl", "h_ˈa\u0303", "n_ˈi_ɲ_a", "ð_ɪ_ ˈæ_p_əl"]


async def test_many_tasks_at_once(phonemizer: Phonemizer):
    words = [f"word{number}" for number in range(100)]
    together = await asyncio.gather(*(phonemizer.ipa([(EN, word)]) for word in words))
    assert [answer for (answer,) in together] == await phonemizer.ipa([(EN, word) for word in words])


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
async def test_a_lost_process_costs_nothing(
    phonemizer: Phonemizer, number: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("engines.phonemes.phonemizer.ANSWER_SECONDS", 5.0)
    await phonemizer.ipa([(EN, "one")])
    first = phonemizer.pid
    assert first
    os.kill(first, number)
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]
    assert phonemizer.pid != first


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
async def test_it_goes_on_when_the_server_is_told_to_stop(phonemizer: Phonemizer, told: signal.Signals):
    await phonemizer.ipa([(EN, "one")])
    first = phonemizer.pid
    assert first
    os.kill(first, told)
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]
    assert phonemizer.pid == first


async def test_it_is_lost_while_many_ask(phonemizer: Phonemizer):
    async def hit() -> None:
        for _ in range(3):
            await asyncio.sleep(0.05)
            # it may have ended already, and not been noticed yet
            if phonemizer.pid:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(phonemizer.pid).kill()

    asked = [phonemizer.ipa([(EN, f"number {number}")]) for number in range(30)]
    answers = await asyncio.gather(hit(), *asked, return_exceptions=True)
    lost = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, EngineUnavailable) for answer in lost)
    assert len(lost) <= 1


async def test_who_goes_away_disturbs_nobody(phonemizer: Phonemizer):
    await phonemizer.ipa([(EN, "zero")])
    pid = phonemizer.pid
    gone = [asyncio.create_task(phonemizer.ipa([(EN, f"gone {number}")])) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]
    assert phonemizer.pid == pid


async def test_hostile_texts(phonemizer: Phonemizer):
    texts = [
        "",
        "\x00\x01v",
        "[[h@lou]]",
        "<speak><break time='9999s'/></speak>",
        "\ud800",
        "9" * 5_000,
        "x" * 90_000,
    ]
    said = await phonemizer.ipa([(EN, text) for text in texts])
    assert len(said) == len(texts)
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]
    big = [(EN, f"{number} " + "some words to say " * 50) for number in range(100)]
    assert all(await phonemizer.ipa(big))


async def test_an_unknown_voice(phonemizer: Phonemizer):
    with pytest.raises(EngineUnavailable, match="no voice nobody"):
        await phonemizer.ipa([("nobody", "two")])
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]


async def test_what_it_remembers_is_bounded(phonemizer: Phonemizer):
    for start in range(0, MEMORY + 2_000, 2_000):
        await phonemizer.ipa([(EN, str(number)) for number in range(start, start + 2_000)])
    assert len(phonemizer._known) == MEMORY


async def test_closing_twice_and_starting_again(phonemizer: Phonemizer):
    await phonemizer.close()
    await phonemizer.ipa([(EN, "one")])
    await phonemizer.close()
    await phonemizer.close()
    assert phonemizer.pid is None
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_closing_fails_the_questions_that_wait(
    phonemizer: Phonemizer, started: Callable[[], list[psutil.Process]]
):
    await phonemizer.ipa([(EN, "one")])
    assert phonemizer.pid
    os.kill(phonemizer.pid, signal.SIGSTOP)
    asked = [asyncio.create_task(phonemizer.ipa([(EN, f"number {number}")])) for number in range(3)]
    await asyncio.sleep(0.05)
    await phonemizer.close()
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, EngineUnavailable)
        assert answer.message == "The phonemizer was closed."
    assert phonemizer.pid is None
    assert not started()
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]


async def test_closing_while_the_process_starts(
    phonemizer: Phonemizer, started: Callable[[], list[psutil.Process]]
):
    closed = 0
    for steps in range(1, 25):
        asked = asyncio.create_task(phonemizer.ipa([(EN, f"number {steps}")]))
        for _ in range(steps):
            await asyncio.sleep(0)
        await phonemizer.close()
        assert not started()
        with contextlib.suppress(EngineUnavailable):
            await asked
            continue
        closed += 1
        assert not started()
    assert closed


async def test_closing_from_several_tasks_at_once(phonemizer: Phonemizer):
    asked = asyncio.create_task(phonemizer.ipa([(EN, "one")]))
    await asyncio.sleep(0)
    await asyncio.gather(*(phonemizer.close() for _ in range(5)))
    with pytest.raises(EngineUnavailable):
        await asked
    assert await phonemizer.ipa([(EN, "two")]) == ["t_ˈuː"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_what_is_said_of_a_process_that_exits(phonemizer: Phonemizer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engines.phonemes.phonemizer._PROGRAM", "import sys; sys.exit(3)")
    with pytest.raises(EngineUnavailable) as caught:
        await phonemizer.ipa([(EN, "one")])
    assert caught.value.message == "The phonemizer process exited."


async def test_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engines.phonemes.phonemizer.MEMORY", 3)
    phonemizer = Phonemizer()
    try:
        await phonemizer.ipa([(EN, word) for word in ("one", "two", "three")])
        await phonemizer.ipa([(EN, "one")])
        await phonemizer.ipa([(EN, "four")])
    finally:
        await phonemizer.close()
    assert [phonemizer._known.popitem()[0][1] for _ in range(3)] == ["three", "one", "four"]
