"""The subset of SSML, and what is refused."""

import pytest

from engines.text import Passage, TextError, TextOptions, plan


def speak(body: str, **options: object) -> list[Passage]:
    return plan(f"<speak>{body}</speak>", TextOptions(**options))  # type: ignore[arg-type]  # of the dataclass


def test_text_alone() -> None:
    (passage,) = speak("Just text.")
    assert passage.text == "Just text."


def test_paragraphs_and_sentences_end() -> None:
    assert [p.text for p in speak("<p><s>one</s><s>two</s></p><p>three</p>")] == ["one", "two", "three"]


def test_breaks_are_pauses() -> None:
    first, second, third = speak(
        'one<break time="500ms"/>two<break strength="strong"/><break time="1.5s"/>three'
    )
    assert first.pause_after == 0.5
    assert second.pause_after == pytest.approx(2.3)
    assert third.pause_after == 0.0


def test_a_break_before_everything() -> None:
    (passage,) = speak('<break time="2s"/>hello')
    assert passage.pause_before == 2.0


def test_rates_multiply_and_are_bounded() -> None:
    rates = {p.text: p.rate for p in speak(
        'a<prosody rate="slow">b<prosody rate="200%">c</prosody></prosody><prosody rate="0.01">d</prosody>'
        '<prosody rate="+50%">e</prosody><prosody rate="-20%">f</prosody><prosody rate="99">g</prosody>'
    )}  # fmt: skip
    assert rates == pytest.approx({"a": 1.0, "b": 0.75, "c": 1.5, "d": 0.25, "e": 1.5, "f": 0.8, "g": 4.0})


@pytest.mark.parametrize(
    ("markup", "spoken"),
    [
        ('<say-as interpret-as="cardinal">42</say-as>', "forty-two"),
        ('<say-as interpret-as="ordinal">42</say-as>', "forty-second"),
        ('<say-as interpret-as="digits">42</say-as>', "four two"),
        ('<say-as interpret-as="characters">AB1</say-as>', "A B one"),
        ('<say-as interpret-as="date">15/08/1947</say-as>', "the fifteenth of August nineteen forty-seven"),
        ('<say-as interpret-as="time">5:30</say-as>', "five thirty"),
        ('<say-as interpret-as="telephone">022-2345</say-as>', "zero two two, two three four five"),
        ('<say-as interpret-as="currency">$5</say-as>', "five dollars"),
        ('<sub alias="World Wide Web">WWW</sub>', "World Wide Web"),
    ],
)
def test_interpretations_stand_in_their_sentence(markup: str, spoken: str) -> None:
    (passage,) = speak(f"Say {markup} now.")
    assert passage.text == f"Say {spoken} now."


def test_hindi_digits_are_hindi() -> None:
    (passage,) = speak('कोड <say-as interpret-as="digits">12</say-as> है।')
    assert passage.text == "कोड एक दो है।"


def test_language() -> None:
    first, second = speak('Hello. <s xml:lang="hi">25</s>')
    assert (first.language, second.language) == ("en", "hi")
    assert second.text == "पच्चीस"


def test_entities_of_xml_are_characters() -> None:
    (passage,) = speak("Tom &amp; Jerry &lt;3")
    assert passage.text.startswith("Tom and Jerry")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("<speak>unclosed", "malformed"),
        ("<speak><audio src='x'/></speak>", "audio"),
        ("<speak><voice name='x'>y</voice></speak>", "voice"),
        ("<speak><script>x</script></speak>", "script"),
        ("<speak><break time='forever'/>x</speak>", "forever"),
        ("<speak><break time='11s'/>x</speak>", "at most"),
        ("<speak>" + "<break time='9s'/>x" * 8 + "</speak>", "at most"),
        ("<speak><break strength='huge'/>x</speak>", "huge"),
        ("<speak><prosody pitch='high'>x</prosody></speak>", "pitch"),
        ("<speak><prosody rate='quick'>x</prosody></speak>", "quick"),
        ("<speak><say-as interpret-as='expletive'>x</say-as></speak>", "expletive"),
        ("<speak><sub>x</sub></speak>", "alias"),
        ("<speak>x</speak><speak>y</speak>", "malformed"),
        ("<speak><speak>x</speak></speak>", "speak"),
        ("<speaker>x</speaker>", "speaker"),
        ("<speak xml:lang='not a tag'>x</speak>", "language"),
        ("<speak>" + "<p>" * 40 + "x" + "</p>" * 40 + "</speak>", "levels of nesting"),
        ("<speak>" + "<s>x</s>" * 3_000 + "</speak>", "elements"),
        ("<speak><!DOCTYPE x></speak>", "malformed"),
        ("<speak>&unknown;</speak>", "malformed"),
        ("<speak></speak>", "nothing"),
        ("<speak><break/></speak>", "nothing"),
    ],
)
def test_what_is_not_in_the_subset_is_refused(document: str, words: str) -> None:
    with pytest.raises(TextError, match=words) as caught:
        plan(document, TextOptions())
    assert caught.value.param == "input"


def test_no_entity_is_ever_expanded() -> None:
    bomb = '<!DOCTYPE speak [<!ENTITY a "aaaaaaaaaa">]><speak>&a;</speak>'
    with pytest.raises(TextError, match="not allowed"):
        plan(bomb, TextOptions())
    with pytest.raises(TextError):
        plan("<speak><!ENTITY a 'b'>&a;</speak>", TextOptions())


def test_a_declaration_of_xml_may_stand_before_it() -> None:
    (passage,) = plan('<?xml version="1.0"?>\n<speak version="1.1">Hello.</speak>', TextOptions())
    assert passage.text == "Hello."
