"""The tries at a sentence: which states follow which, and which try is heard in the end."""

import itertools

import pytest
import torch

from engines.contract import Outcome, Pcm, Speech
from engines.xtts.checks import Verdict
from engines.xtts.findings import SpeechFinding
from engines.xtts.latents import LatentStream, VocoderShape
from engines.xtts.sampling import Sampling
from engines.xtts.sentence import Sentence, Take, TakeState

SHAPE = VocoderShape(stretches=(4.0,), samples_per_frame=16, context=2, sample_rate=24_000)
FOLLOW = {
    (TakeState.DECODING, TakeState.DECODED),
    (TakeState.DECODED, TakeState.RENDERED),
    (TakeState.DECODED, TakeState.ASIDE),
    (TakeState.RENDERED, TakeState.ASIDE),
    (TakeState.ASIDE, TakeState.DECODED),
    *((state, TakeState.CLOSED) for state in TakeState),
}
WAYS = {
    TakeState.DECODING: (),
    TakeState.DECODED: (TakeState.DECODED,),
    TakeState.RENDERED: (TakeState.DECODED, TakeState.RENDERED),
    TakeState.ASIDE: (TakeState.DECODED, TakeState.ASIDE),
    TakeState.CLOSED: (TakeState.CLOSED,),
}


def sentence_of(said: list[Pcm | Outcome], *, retries: int = 1) -> Sentence:
    return Sentence(
        text="Hello.",
        tokens=[1],
        voice="voice",
        latents=torch.zeros(1, 4),
        speaker=torch.zeros(4, 1),
        sampling=Sampling(),
        speed=1.0,
        token_samples=64.0,
        checked=True,
        retries=retries,
        emit=said.append,
        abandoned=lambda: False,
        awaited=lambda: False,
    )


def decoded_take(sentence: Sentence, *findings: SpeechFinding) -> Take:
    take = Take(Sampling(), LatentStream(sentence.speaker, config=SHAPE), sentence.lock)
    sentence.takes.append(take)
    for _ in range(5):
        take.add(torch.zeros(4))
    take.end(Verdict(findings=findings, keep=5))
    return take


def render(take: Take) -> None:
    while (window := take.next_window()) is not None:
        take.rendered(torch.zeros(window.keep))


@pytest.mark.parametrize(("before", "after"), list(itertools.product(TakeState, TakeState)))
def test_a_state_follows_only_where_the_picture_says_so(before: TakeState, after: TakeState) -> None:
    sentence = sentence_of([])
    take = Take(Sampling(), LatentStream(sentence.speaker, config=SHAPE), sentence.lock)
    for state in WAYS[before]:
        take.become(state)
    if (before, after) in FOLLOW:
        take.become(after)
        assert take.state is after
    else:
        with pytest.raises(ValueError, match=f"{before.name} cannot become {after.name}"):
            take.become(after)
        assert take.state is before


def test_a_take_that_was_left_for_one_that_sounds_worse_is_gone_back_to() -> None:
    """Its sentence would else wait for ever."""
    said: list[Pcm | Outcome] = []
    sentence = sentence_of(said)
    first = decoded_take(sentence, SpeechFinding.REPETITION)
    assert sentence.replace(first)
    second = decoded_take(sentence, SpeechFinding.EARLY_STOP)
    assert not sentence.replace(second)
    assert sentence.choose(second) is first
    render(first)
    assert first.finish()
    first.verdict = Verdict(findings=(SpeechFinding.REPETITION, SpeechFinding.SILENT), keep=5)
    assert sentence.choose(first) is second
    render(second)
    assert second.finish()
    assert sentence.choose(second) is second
    sentence.close(second)
    assert isinstance(outcome := said[-1], Speech)
    assert outcome.findings == (SpeechFinding.EARLY_STOP.value,)
    assert outcome.retries == 1
    assert {take.state for take in sentence.takes} == {TakeState.CLOSED}


def test_a_take_that_is_made_again_does_not_close_its_sentence() -> None:
    """The decoder and a renderer may both find that it has ended; one of them decides."""
    said: list[Pcm | Outcome] = []
    sentence = sentence_of(said)
    take = decoded_take(sentence, SpeechFinding.REPETITION)
    render(take)
    assert take.finish()
    assert not take.finish()
    assert sentence.replace(take)
    assert not sentence.replace(take)
    assert sentence.choose(take) is None
    sentence.close(take)
    assert not sentence.settled
    assert said == []


def test_nothing_is_rendered_of_a_take_that_is_aside() -> None:
    sentence = sentence_of([])
    take = decoded_take(sentence, SpeechFinding.REPETITION)
    assert sentence.replace(take)
    assert take.next_window() is None
    take.become(TakeState.DECODED)
    assert take.next_window() is not None
