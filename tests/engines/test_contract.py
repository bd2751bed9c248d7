"""What every engine must do, run against every engine that ships. A new engine is one more line in CASES."""

import asyncio
import gc
import importlib
import importlib.util
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydantic import JsonValue

from engines.config import EngineConfig
from engines.contract import (
    Abandoned,
    CloningEngine,
    EngineAdapter,
    EngineError,
    EngineUnavailable,
    Outcome,
    Pcm,
    ReferenceSample,
    Speech,
    StreamingEngine,
    SynthesizingEngine,
    UnsupportedUtterance,
    Utterance,
    collect,
    stream,
    synthesize,
)
from engines.registry import get_engine_adapter
from engines.synthetic import SyntheticEngine

from weights import weights

pytestmark = pytest.mark.usefixtures("started")  # before the engine starts processes


class Whole(SyntheticEngine):
    """Has ``synthesize`` and no ``stream``, as a plug-in may; the engines that ship have it the other way."""

    stream = None  # pyright: ignore[reportAssignmentType] - takes away what the other has

    async def synthesize(self, batch: Sequence[Utterance]) -> Sequence[Outcome]:
        return await collect(SyntheticEngine.stream(self, batch), len(batch))


@dataclass(frozen=True)
class Case:
    """How to make an engine, and a voice and language it must speak.

    ``checkpoint`` is the script and function that make its weights; such an engine is left out without torch.
    ``weights`` is a model that is pulled; such an engine is left out where it cannot be had. One that is not
    ``quick`` takes a good part of a second for a sentence. ``engine`` makes one that does not ship.
    """

    type: str
    voice: str
    language: str = "en"
    options: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    checkpoint: str | None = None
    weights: str | None = None
    quick: bool = True
    model_path: Path | None = None
    engine: Callable[[EngineConfig], EngineAdapter] | None = None

    def make(self, jobs: int = 1) -> EngineAdapter:
        config = EngineConfig(
            name="subject",
            type=self.type,
            model_path=self.model_path,
            max_concurrent_jobs=jobs,
            options=dict(self.options),
        )
        return self.engine(config) if self.engine else get_engine_adapter(self.type, config)

    def say(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        timings: bool = False,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> Utterance:
        return Utterance(
            text=text,
            voice=voice or self.voice,
            language=self.language,
            speed=speed,
            timings=timings,
            seed=7,
            abandoned=abandoned,
        )


CASES = [
    Case("ESPEAK", voice="alloy"),
    Case("SYNTHETIC", voice="tone", options={"base_ms": 2, "item_ms": 0.1}),
    Case("WHOLE", voice="tone", options={"base_ms": 2, "item_ms": 0.1}, engine=Whole),
    Case("KOKORO", voice="alloy", weights="kokoro", quick=False),
    Case("OPENVOICE_V2", voice="alloy", options={"threads": 1}, checkpoint="random_openvoice:openvoice"),
]
TORCH = all(importlib.util.find_spec(name) for name in ("torch", "TTS"))

TEXT = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(
    params=[case for case in CASES if TORCH or not case.checkpoint],
    ids=lambda case: "-".join([case.type, *(str(value) for value in case.options.values())][:2]),
)
def case(request: pytest.FixtureRequest, checkpoints: Callable[[str], Path]) -> Case:
    case: Case = request.param
    if case.weights:
        return replace(case, model_path=weights(case.weights))
    return replace(case, model_path=checkpoints(case.checkpoint)) if case.checkpoint else case


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes each checkpoint once; tests do not change it."""
    made: dict[str, Path] = {}

    def make(maker: str) -> Path:
        if maker not in made:
            module, _, function = maker.partition(":")
            folder = tmp_path_factory.mktemp(function)
            made[maker] = getattr(importlib.import_module(module), function)(folder)
        return made[maker]

    return make


@pytest.fixture
async def engine(case: Case) -> AsyncGenerator[EngineAdapter, None]:
    engine = case.make(jobs=2)
    await engine.load()
    yield engine
    await engine.close()


def speech(outcome: object) -> Speech:
    assert isinstance(outcome, Speech), outcome
    return outcome


async def streamed(engine: EngineAdapter, batch: Sequence[Utterance]) -> list[tuple[int, object]]:
    async with aclosing(stream(engine, batch)) as items:
        return [item async for item in items]


def test_describes_itself_before_it_is_loaded(case: Case):
    engine = case.make()
    assert engine.name == "subject"
    assert 8_000 <= engine.sample_rate <= 48_000
    assert case.language in engine.languages
    assert engine.license
    assert engine.capabilities.max_chars >= 100
    slow, fast = engine.capabilities.speed_range
    assert 0 < slow <= 1.0 <= fast
    assert isinstance(engine, StreamingEngine | SynthesizingEngine)
    hash(engine.batch_key(case.say(TEXT)))


def test_voices_have_ids_of_their_own(case: Case):
    engine = case.make()
    names = [name for voice in engine.voices() for name in (voice.id, *voice.aliases)]
    assert case.voice in names
    assert len(names) == len(set(names))
    for voice in engine.voices():
        assert voice.name
        assert set(voice.languages) <= set(engine.languages)
        assert voice.gender in {"female", "male", "neutral", None}


async def test_load_and_close_alternate_and_repeat(case: Case):
    engine = case.make()
    await engine.close()
    for _ in range(2):
        await engine.load()
        await engine.load()
        speech((await synthesize(engine, [case.say("Yes.")]))[0])
        await engine.close()
        await engine.close()
    with pytest.raises(EngineUnavailable):
        await synthesize(engine, [case.say("Yes.")])
    assert engine.voices()


async def test_gives_mono_16_bit_pcm_of_a_plausible_length(case: Case, engine: EngineAdapter):
    pcm = speech((await synthesize(engine, [case.say(TEXT)]))[0]).pcm
    assert pcm.dtype == np.int16
    assert pcm.ndim == 1
    assert 1.0 < len(pcm) / engine.sample_rate < 6.0
    assert int(np.abs(pcm.astype(int)).max()) > 1_000
    assert np.abs(pcm[[0, -1]].astype(int)).max() < 700, "a border that clicks"


async def test_one_outcome_for_each_in_order(case: Case, engine: EngineAdapter):
    texts = ["One.", "One and two and three and four and five.", "One and two."]
    outcomes = await synthesize(engine, [case.say(text) for text in texts])
    lengths = [len(speech(outcome).pcm) for outcome in outcomes]
    assert lengths[0] < lengths[2] < lengths[1]
    assert list(await synthesize(engine, [])) == []


async def test_a_bad_item_does_not_fail_the_batch(case: Case, engine: EngineAdapter):
    batch = [case.say("Before."), case.say("Never heard.", voice="no-such-voice"), case.say("After.")]
    before, bad, after = await synthesize(engine, batch)
    assert speech(before).pcm.size
    assert speech(after).pcm.size
    assert isinstance(bad, UnsupportedUtterance)
    assert bad.param == "voice"
    assert "no-such-voice" in bad.message


@pytest.mark.parametrize(
    "text", ["\x00\x01\x02", "a\ud800b", "<speak><audio src='/etc/passwd'/></speak>", "[[h@l'oU]]", "🙂" * 50]
)
async def test_hostile_text_costs_nobody_else_anything(case: Case, engine: EngineAdapter, text: str):
    hostile, after = await synthesize(engine, [case.say(text), case.say("After.")])
    assert isinstance(hostile, Speech | UnsupportedUtterance)
    assert speech(after).pcm.size


async def test_streams_what_it_synthesizes(case: Case, engine: EngineAdapter):
    batch = [case.say(TEXT), case.say("x", voice="no-such-voice"), case.say("Yes.")]
    items = await streamed(engine, batch)
    for index in range(3):
        mine = [item for i, item in items if i == index]
        assert [isinstance(item, Speech | EngineError) for item in mine] == [False] * (len(mine) - 1) + [True]
    whole = await synthesize(engine, batch)
    for index in (0, 2):
        parts = [len(item) for i, item in items if i == index and isinstance(item, np.ndarray)]
        parts += [len(item.pcm) for i, item in items if i == index and isinstance(item, Speech)]
        assert sum(parts) == pytest.approx(len(speech(whole[index]).pcm), rel=0.02)


async def test_a_voice_made_from_recordings(case: Case, engine: EngineAdapter):
    if not isinstance(engine, CloningEngine):
        return
    spoken = speech((await synthesize(engine, [case.say(f"{TEXT} {TEXT}")]))[0]).pcm
    sample = ReferenceSample(pcm=spoken, sample_rate=engine.sample_rate, language=case.language)
    voice = await engine.prepare_voice([sample, sample])
    assert (voice.engine, voice.model) == (engine.name, engine.voice_model)
    assert voice.nbytes < 4 << 20
    own = replace(case.say(TEXT, voice="own", timings=True), prepared=voice)
    foreign = replace(own, prepared=replace(voice, model="another"))
    empty = replace(own, prepared=replace(voice, tensors={}))
    first, *bad, plain = await synthesize(engine, [own, foreign, empty, case.say(TEXT)])
    assert len(speech(first).pcm) == pytest.approx(len(speech(plain).pcm), rel=0.1)
    assert bool(speech(first).words) == engine.capabilities.word_timings
    assert [type(outcome) for outcome in bad] == [UnsupportedUtterance] * 2
    with pytest.raises(UnsupportedUtterance):
        await engine.prepare_voice([])


async def test_equal_text_sounds_equal(case: Case, engine: EngineAdapter):
    heard: list[Pcm] = []
    for _ in range(3):
        outcomes = await synthesize(engine, [case.say("Something else."), case.say(TEXT)])
        heard.append(speech(outcomes[1]).pcm)
    for other in heard[1:]:
        assert len(other) == pytest.approx(len(heard[0]), rel=0.01)
        if engine.capabilities.deterministic:
            assert np.array_equal(heard[0], other)


async def test_speed_changes_the_length(case: Case, engine: EngineAdapter):
    slow, fast = engine.capabilities.speed_range
    lengths: list[float] = []
    for speed in (slow, 1.0, fast):
        outcome = (await synthesize(engine, [case.say(f"{TEXT} {TEXT}", speed=speed)]))[0]
        lengths.append(len(speech(outcome).pcm) * speed)
    assert lengths == pytest.approx([lengths[1]] * 3, rel=0.1)


async def test_word_timings(case: Case, engine: EngineAdapter):
    text = "“Hello”, there:  it costs $5.20 today!"
    timed, plain = await synthesize(engine, [case.say(text, timings=True), case.say(text)])
    assert speech(plain).words == ()
    words = speech(timed).words
    if not engine.capabilities.word_timings:
        assert words == ()
        return
    assert len(words) == len(text.split())
    for word, following in itertools.pairwise(words):
        assert word.start < word.end <= following.start + 1e-6
        assert word.offset < following.offset
    for word in words:
        assert text.startswith(word.word, word.offset)
    assert words[0].start < 0.3
    assert words[-1].end <= len(speech(timed).pcm) / engine.sample_rate + 1e-6


async def test_abandoned_before_it_starts(case: Case, engine: EngineAdapter):
    gone, wanted = await synthesize(engine, [case.say(TEXT, abandoned=lambda: True), case.say("Yes.")])
    assert isinstance(gone, Abandoned)
    assert speech(wanted).pcm.size


async def test_abandoned_while_it_speaks(case: Case, engine: EngineAdapter):
    looks = itertools.count()
    text = " ".join([TEXT] * (engine.capabilities.max_chars // (len(TEXT) + 1)))
    gone = await synthesize(engine, [case.say(text, abandoned=lambda: next(looks) >= 1)])
    assert isinstance(gone[0], Abandoned)
    assert speech((await synthesize(engine, [case.say("Yes.")]))[0]).pcm.size


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_stopping_frees_the_engine(case: Case, how: str):
    engine = case.make(jobs=1)
    await engine.load()
    long = [case.say(" ".join([TEXT] * 8)) for _ in range(16)]
    reference = len(speech((await synthesize(engine, [case.say("Yes.")]))[0]).pcm)
    try:
        for _ in range(5):
            if how == "close":
                async with aclosing(stream(engine, long)) as items:
                    await anext(items)
            else:
                task = asyncio.ensure_future(synthesize(engine, long))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            async with asyncio.timeout(10):
                after = await synthesize(engine, [case.say("Yes.")])
            assert len(speech(after[0]).pcm) == pytest.approx(reference, rel=0.02), "left-over speech"
    finally:
        await engine.close()


async def test_batches_run_side_by_side(case: Case, engine: EngineAdapter):
    texts = ["One.", "One and two and three and four and five."]
    batches = [[case.say(text) for text in texts] for _ in range(8)]
    results = await asyncio.gather(*(synthesize(engine, batch) for batch in batches))
    for short, long in results:
        assert len(speech(short).pcm) < len(speech(long).pcm)


async def test_batches_wait_for_a_slow_reader_without_loss(case: Case, engine: EngineAdapter):
    batch = [case.say(TEXT) for _ in range(4)]
    slow = stream(engine, batch)
    first = await anext(slow)
    for _ in range(3):
        await synthesize(engine, batch)

    async def rest() -> AsyncGenerator[tuple[int, Pcm | Speech | EngineError], None]:
        yield first
        async for item in slow:
            yield item

    outcomes = await collect(rest(), len(batch))
    lengths = [len(speech(outcome).pcm) for outcome in outcomes]
    assert lengths == pytest.approx([lengths[0]] * 4, rel=0.02)


async def test_a_thousand_utterances_leave_no_memory_behind(
    case: Case, engine: EngineAdapter, started: Callable[[], list[psutil.Process]]
):
    batch = [case.say(f"Number {n}.", timings=True) for n in range(20 if case.quick else 2)]
    rounds = 50 if case.quick else 10

    def used() -> int:
        gc.collect()
        me = psutil.Process()
        return sum(process.memory_info().rss for process in (me, *started()))

    for _ in range(rounds // 2):
        await synthesize(engine, batch)
    grown: list[int] = []
    # What leaks grows each time; a busy machine makes threads overlap as they never did, and grows once.
    while len(grown) < 4 and (not grown or grown[-1] >= 4 << 20):
        before = used()
        for _ in range(rounds):
            await synthesize(engine, batch)
        grown.append(used() - before)
    assert grown[-1] < 4 << 20, grown
