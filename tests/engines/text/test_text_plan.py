"""The whole front end: chunks, languages, markup, lexicons, and what no text may break."""

import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.text import TextError, TextOptions, plan


def texts(text: str, **options: object) -> list[str]:
    return [passage.text for passage in plan(text, TextOptions(**options))]  # type: ignore[arg-type]  # of the dataclass


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "😀",
        "👨‍👩‍👧‍👦 🇮🇳 👍🏽",
        "...",
        "?!",
        "---",
        "# ",
        "***",
        "\u200d\u200c\ufeff",
        "\x00\x07",
        "।।",
    ],
)
def test_nothing_to_speak(text: str) -> None:
    with pytest.raises(TextError, match="nothing to speak") as caught:
        plan(text, TextOptions())
    assert caught.value.param == "input"


@pytest.mark.parametrize("text", ["\ud800", "hello \udfff there", "<speak>\ud800</speak>"])
def test_half_a_character_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="surrogate"):
        plan(text, TextOptions())


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("# Title\n\nBody text.", ["Title", "Body text."]),
        ("**bold** and *thin* and `code`", ["bold and thin and code"]),
        ("see [the page](https://example.com/x) now", ["see the page now"]),
        ("![a cat](cat.png) sits", ["a cat sits"]),
        ("- one\n- two", ["one", "two"]),
        ("1. mix\n2. bake", ["one. mix", "two. bake"]),
        ("> quoted words", ["quoted words"]),
        ("```python\nprint()\n```", ["print()"]),
        ("| a | b |\n|---|---|\n| one | two |", ["a, b", "one, two"]),
        ("~~gone~~ stays", ["gone stays"]),
        ("line one\nline two", ["line one line two"]),
        ("<b>tags</b> go", ["tags go"]),
        ("2 * 3 * 4", ["two * three * four"]),
        ("snake_case_name", ["snake_case_name"]),
        ("Tom & Jerry", ["Tom and Jerry"]),
        ("Party 🎉 at 5️⃣ 🕺🏽!", ["Party at five !"]),
        ("AwaazTwin™ ©", ["AwaazTwin trademark copyright"]),
    ],
)
def test_markdown_and_emoji_are_not_read(text: str, spoken: list[str]) -> None:
    assert texts(text) == spoken


def test_markup_stays_when_asked() -> None:
    assert texts("**bold**", strip_markup=False) == ["**bold**"]


@pytest.mark.parametrize(
    ("text", "options", "language"),
    [
        ("Hello there", {}, "en"),
        ("नमस्ते दुनिया", {}, "hi"),
        ("मेरा computer बहुत slow है", {}, "hi"),
        ("The word नमस्ते is a friendly greeting there", {}, "en"),
        ("வணக்கம்", {}, "ta"),
        ("নমস্কার", {}, "bn"),
        ("سلام دنیا", {"languages": ("en", "ur")}, "ur"),
        ("नमस्कार", {"languages": ("mr", "en")}, "mr"),
        ("नमस्ते", {"languages": ("en-us",)}, "en-us"),
        ("Bonjour", {"languages": ("fr", "en")}, "fr"),
        ("Hello", {"languages": ("hi",)}, "hi"),
        ("नमस्ते", {"language": "ne"}, "ne"),
        ("1234", {"languages": ("hi",)}, "hi"),
        ("Привет", {}, "ru"),
        ("你好", {}, "cmn"),
    ],
)
def test_the_language_is_told_by_the_script(text: str, options: dict[str, object], language: str) -> None:
    assert plan(text, TextOptions(**options))[0].language == language  # type: ignore[arg-type]  # of the dataclass


def test_each_sentence_has_its_own_language() -> None:
    assert [p.language for p in plan("One. दो। Three.", TextOptions())] == ["en", "hi", "en"]


def test_a_long_sentence_is_cut_at_its_clauses() -> None:
    text = "When the rain came, the river rose; the bridge, which was old, fell, and nobody crossed it again."
    parts = texts(text, max_chars=50)
    assert parts == [
        "When the rain came, the river rose;",
        "the bridge, which was old, fell,",
        "and nobody crossed it again.",
    ]


def test_the_first_chunk_may_be_shorter() -> None:
    text = "First this small part, and then a much longer part that could have been in one piece with it."
    assert texts(text, first_max_chars=40)[0] == "First this small part,"
    assert len(texts("No clause ends anywhere in these words at all", first_max_chars=15)) == 1


def test_the_first_chunk_is_no_longer_than_the_others() -> None:
    assert texts("one two three, four five six seven", max_chars=20, first_max_chars=30) == [
        "one two three,",
        "four five six seven",
    ]


def test_each_sentence_has_the_limit_of_its_language() -> None:
    limits = {"hi": 30, "en": 60}
    mixed = "This sentence is short enough to be in one piece. यह वाक्य एक टुकड़े में नहीं आता, इसलिए कटता है।"
    assert texts(mixed, max_chars=20, max_chars_by_language=limits) == [
        "This sentence is short enough to be in one piece.",
        "यह वाक्य एक टुकड़े में नहीं",
        "आता, इसलिए कटता है।",
    ]


def test_chinese_and_japanese_are_cut_at_their_own_commas() -> None:
    assert texts("今天天气很好，我们一起去公园散步吧；明天再工作", max_chars=12) == [
        "今天天气很好，",
        "我们一起去公园散步吧；",
        "明天再工作",
    ]
    assert (
        texts("今日は天気が良いので、公園へ行きましょう", language="ja", max_chars=12)[0]
        == "今日は天気が良いので、"
    )


def test_hindi_is_cut_between_words_and_never_in_a_letter() -> None:
    parts = texts("क्षत्रिय" * 200, max_chars=50)
    assert "".join(parts) == "क्षत्रिय" * 200
    for part in parts:
        assert len(part) <= 50
        assert not unicodedata.category(part[0]).startswith("M")
        assert not part.endswith("\u094d")


def test_a_megabyte_of_one_word() -> None:
    parts = texts("a" * 1_000_000, max_chars=400)
    assert sum(map(len, parts)) == 1_000_000


@pytest.mark.parametrize(
    "bomb",
    [
        "(" * 50_000,
        "1," * 50_000,
        "*" * 20_001 + "a",
        "a." * 50_000,
        "9" * 100_000,
        "[" * 20_000 + "a",
        "a@" * 30_000,
        "- " * 20_000 + "a",
        "क\u094d" * 50_000,
        "\n" * 50_000 + "a",
        "<" * 30_000 + "a",
        "&" * 30_000 + "a",
        "http://" * 15_000,
        "1-" * 40_000,
    ],
)
def test_no_text_takes_forever(bomb: str) -> None:
    """The suite's own time limit ends this when one of the patterns is more than linear."""
    try:
        assert all(len(part) <= 400 for part in texts(bomb))
    except TextError as error:
        assert error.message


def test_paragraphs_pause() -> None:
    first, second = plan("One.\n\nTwo.", TextOptions())
    assert (first.pause_after, second.pause_after) == (0.3, 0.0)


def test_lexicon() -> None:
    lexicon = {"SQL": "sequel", "New Delhi": "Nayi Dilli", "C++": "see plus plus", "आवाज़": "aavaaz", "₹": ""}
    assert texts("SQL, sql and MySQL in New Delhi.", lexicon=lexicon) == [
        "sequel, sequel and MySQL in Nayi Dilli."
    ]
    assert texts("C++ is old", lexicon=lexicon) == ["see plus plus is old"]
    assert texts("आवाज़", lexicon=lexicon) == ["aavaaz"]


@pytest.mark.parametrize(
    "lexicon", [{"": "x"}, {" ": "x"}, {"a" * 201: "x"}, {"a": "x" * 1_001}, {"\ud800": "x"}]
)
def test_a_bad_lexicon(lexicon: dict[str, str]) -> None:
    with pytest.raises(TextError) as caught:
        plan("hello", TextOptions(lexicon=lexicon))
    assert caught.value.param == "lexicon"


ANY_TEXT = st.text(st.characters(), max_size=300) | st.text(
    st.sampled_from(
        list("aZé।.,;:!?…()[]*_`#<>&|-+/\\'\"0123456789₹$%°@ \n\tकखगािीु्ंँ़०१२\u200d\ufeff😀🇮🇳\ud800")
    ),
    max_size=200,
)


@settings(max_examples=400, deadline=None)
@given(ANY_TEXT, st.integers(20, 200), st.booleans())
def test_any_text_is_spoken_or_refused(text: str, limit: int, normalize: bool) -> None:
    options = TextOptions(max_chars=limit, normalize=normalize, first_max_chars=30)
    try:
        passages = plan(text, options)
    except TextError:
        return
    assert passages
    for passage in passages:
        assert 0 < len(passage.text) <= limit
        assert regex.search(r"[\p{L}\p{N}]", passage.text)
        assert passage.text == passage.text.strip()
    assert plan(text, options) == passages


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from(list("abcक खगािीुं।.,! ")), min_size=1, max_size=300), st.integers(20, 80))
def test_no_letter_is_lost(text: str, limit: int) -> None:
    try:
        passages = plan(text, TextOptions(max_chars=limit, normalize=False, strip_markup=False))
    except TextError:
        return
    said = regex.findall(r"\p{L}", "".join(passage.text for passage in passages))
    assert said == regex.findall(r"\p{L}", unicodedata.normalize("NFC", text))
