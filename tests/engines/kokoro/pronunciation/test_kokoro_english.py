"""English and the Romance languages, and what the model is never given."""

import threading
from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.contract import UnsupportedUtterance
from engines.kokoro.pronunciation import LANGUAGES, VOCABULARY, Pronouncer, alignment
from engines.kokoro.pronunciation import pronouncer as pronouncer_module
from engines.kokoro.pronunciation.english import AMERICAN, BRITISH
from engines.kokoro.pronunciation.hindi import HINDI, INDIAN
from engines.kokoro.pronunciation.phonemes import apart
from engines.kokoro.pronunciation.romance import ROMANCE
from engines.kokoro.pronunciation.scripts import has_foreign
from engines.text import ipa


@pytest.fixture
async def pronouncer() -> AsyncGenerator[Pronouncer, None]:
    pronouncer = Pronouncer()
    yield pronouncer
    await pronouncer.close()


async def said(pronouncer: Pronouncer, text: str, language: str = "en-US") -> str:
    return " ".join(
        phrase.symbols for phrase in await pronouncer.phrases(text, language, limit=250, first_limit=250)
    )


@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("Hello, world!", "həlˈO, wˈɜɹld!"),
        ("the apple", "ðɪ ˈæpᵊl"),
        ("the pear", "ðə pˈɛɹ"),
        ("a cat", "ɐ kˈæt"),
        ("of the people", "ʌv ðə pˈipᵊl"),
        ("They don't know John's dogs.", "ðA dˈOnt nˈO ʤˈɑnz dˈɑɡz."),
        ("button, battery, boxes", "bˈʌtᵊn, bˈæTəɹi, bˈɑksᵻz"),
        ("nature and choice", "nˈAʧəɹ ænd ʧˈYs"),
        ("Hi", "hˈI"),
        ("5", "fˈIv"),
        ("ok", "ˌOkˈA"),
    ],
)
async def test_american(pronouncer: Pronouncer, text: str, sounds: str):
    assert await said(pronouncer, text) == sounds


@pytest.mark.parametrize(
    ("language", "text", "sounds"),
    [
        ("en-GB", "I can't go home to the square.", "I kˈɑːnt ɡˌQ hˈQm tə ðə skwˈɛː."),
        ("en-GB", "hot nurse", "hˈɒt nˈɜːs"),
        ("es", "¿Hola, qué tal? La niña come.", "ˈola, kˈe tˈal? la nˈiɲa kˈome."),
        ("fr", "«Bonjour», le vin blanc.", "“bɔ̃ʒˈuʁ”, lə vˈɛ̃ blˈɑ̃."),
        ("it", "Ciao, la pizza.", "ʧˈao, la pˈiʦːa."),
        ("pt-BR", "bom dia", "bˈoŋ ʤˈiæ"),
        ("pt-PT", "bom dia", "bˈoŋ ʤˈiæ"),
    ],
)
async def test_others(pronouncer: Pronouncer, language: str, text: str, sounds: str):
    assert await said(pronouncer, text, language) == sounds


@pytest.mark.parametrize("language", ["ja", "zh", "ta", "de", "xx-YY"])
async def test_a_language_it_cannot_pronounce(pronouncer: Pronouncer, language: str):
    with pytest.raises(UnsupportedUtterance) as caught:
        await said(pronouncer, "abc", language)
    assert caught.value.param == "language"
    assert "hi" in caught.value.message


@pytest.mark.parametrize("text", ["", " ", "...", "—", "“”", "\u200d"])
async def test_nothing_to_say(pronouncer: Pronouncer, text: str):
    with pytest.raises(UnsupportedUtterance) as caught:
        await said(pronouncer, text)
    assert caught.value.param == "input"


async def test_punctuation_reaches_the_model_and_makes_no_sound(pronouncer: Pronouncer):
    text = 'He said: "go" (now) — or wait... Why?! Yes; no, fine.'
    assert [mark for mark in await said(pronouncer, text) if mark in ';:,.!?—…"()“”'] == list(":“”()—…?;,.")
    plain = "he said go now or wait why yes no fine"
    silent = str.maketrans("", "", ';:,.!?—…"()“”ˈˌ')
    without = (await said(pronouncer, text)).translate(silent).split()
    assert without == (await said(pronouncer, plain)).translate(silent).split()


async def test_abbreviations_make_no_pause(pronouncer: Pronouncer):
    assert await said(pronouncer, "Dr. Smith met St. Peter.") == "dˈɑktəɹ smˈɪθ mˈɛt sənt pˈiTəɹ."


@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("a Ph.D. in law", "ɐ pˌiˈAʧ dˈi ɪn lˈɔ"),
        ("She has a Ph.D.", "ʃi həz ɐ pˌiˈAʧ dˈi."),
        ("B.Tech", "bˈi tˈɛk"),
        ("It is done.Now we go.", "ɪT ɪz dˈʌn. nˈW wi ɡˈO."),
        ("Dr.Smith", "dˈɑktəɹ smˈɪθ"),
        ("example.com", "ɛɡzˈæmpᵊl dˈɑt kˈɑm"),
        ("'Til then", "tˈɪl ðˈɛn"),
    ],
)
async def test_full_stops_inside_words(pronouncer: Pronouncer, text: str, sounds: str):
    assert await said(pronouncer, text) == sounds


@pytest.mark.parametrize("text", ["README.md", "ASP.NET", "Node.JS", "node.js"])
async def test_the_dot_of_a_name_is_said(pronouncer: Pronouncer, text: str):
    assert " dˈɑt " in await said(pronouncer, text)


@pytest.mark.parametrize("dash", [" — ", " - ", " -- ", "--", " --- ", "—"])
async def test_dashes_as_they_are_typed_make_a_pause(pronouncer: Pronouncer, dash: str):
    assert await said(pronouncer, f"wait{dash}no") == "wˈAt— nˈO"


@pytest.mark.parametrize("text", ["wait -no", "wait --no", "wait-no", "-- wait no"])
async def test_other_hyphens_make_none(pronouncer: Pronouncer, text: str):
    assert "—" not in await said(pronouncer, text)


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "I love 東京 so much", ["I", "love", "so", "much"]),
        ("en", "Say привет, or שלום!", ["Say", "or"]),
        ("en", "東京tower and カーナ", ["tower", "and"]),
        ("en", "a 𒍅 b ℵ c", ["a", "b", "c"]),
        ("en", "Ελλάδα", []),
        ("en", "the α and the β-test", ["the", "α", "and", "the", "β-test"]),
        ("en", "5 µm", ["5", "µm"]),
        ("en", "नमस्ते, তুমি and தமிழ்", ["नमस्ते", "তুমি", "and", "தமிழ்"]),
        ("hi", "मेरा नाम 東京 Ravi है", ["मेरा", "नाम", "Ravi", "है"]),
        ("fr", "ça va, Привет", ["ça", "va"]),
        ("en", "東 " * 200, []),
    ],
)
async def test_letters_of_other_scripts_are_silent(
    pronouncer: Pronouncer, language: str, text: str, words: list[str]
):
    phrases = await pronouncer.phrases(text, language, limit=250, first_limit=250)
    assert [word.word for phrase in phrases for word in phrase.words] == words


async def test_styled_letters_are_letters(pronouncer: Pronouncer):
    for styled in ("ｈｅｌｌｏ", "𝐡𝐞𝐥𝐥𝐨", "ⓗⓔⓛⓛⓞ", "ℎello"):
        assert await said(pronouncer, styled) == await said(pronouncer, "hello")


@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("I like (東京), you know.", "I lˈIk, ju nˈO."),
        ('Say "東京" now', "sˈA nˈW"),
        ("Go 東京.", "ɡˈO."),
        ("Go 東京。", "ɡˈO."),
    ],
)
async def test_marks_around_silent_letters(pronouncer: Pronouncer, text: str, sounds: str):
    assert await said(pronouncer, text) == sounds


@pytest.mark.parametrize(
    "text", ["a " + "☃ " * 199, "a " + "ⅷ " * 199, "888 " * 100, "9" * 400, "a " + "東" * 398]
)
async def test_no_text_needs_a_large_table(
    pronouncer: Pronouncer, text: str, monkeypatch: pytest.MonkeyPatch
):
    cells: list[int] = []
    steps = alignment._steps

    def counted(wanted: Sequence[str], said: Sequence[str]) -> list[bytearray]:
        cells.append(len(wanted) * len(said))
        return steps(wanted, said)

    monkeypatch.setattr(alignment, "_steps", counted)
    assert await pronouncer.phrases(text, "en", limit=200, first_limit=90)
    assert sum(cells) <= alignment.CELLS


async def test_the_event_loop_goes_on_while_words_are_aligned(
    pronouncer: Pronouncer, monkeypatch: pytest.MonkeyPatch
):
    threads: list[int] = []

    class Watched(alignment.Aligner):
        def by_word(self, clause: Sequence[str], alone: Sequence[Sequence[str]]) -> list[list[str]]:
            threads.append(threading.get_ident())
            return super().by_word(clause, alone)

    monkeypatch.setattr(pronouncer_module, "Aligner", Watched)
    await said(pronouncer, "of the people")
    assert threads
    assert threading.get_ident() not in threads


async def test_words_map_to_the_text(pronouncer: Pronouncer):
    text = "Of the 25 apples — “well-known” ones — I don't eat 3.5 of them."
    (phrase,) = await pronouncer.phrases(text, "en", limit=250, first_limit=250)
    words = [(word.word, phrase.symbols[word.start : word.end]) for word in phrase.words]
    assert ("Of", "ʌv") in words
    assert ("the", "ðə") in words
    assert ("25", "twˈɛnti fˈIv") in words
    assert ("well-known", "wˈɛlnˈOn") in words
    assert [word for word, _ in words] == [
        *("Of", "the", "25", "apples", "well-known", "ones", "I", "don't", "eat", "3.5", "of", "them")
    ]
    assert all(text[word.offset :].startswith(word.word) for word in phrase.words)


async def test_ipa_in_the_text_is_what_is_said(pronouncer: Pronouncer):
    text = f"My {ipa.marked('SQL', 'ˈsiːkwəl')} database, {ipa.marked('tomato', 'təˈmeɪtoʊ')}."
    (phrase,) = await pronouncer.phrases(text, "en", limit=250, first_limit=250)
    assert phrase.symbols == "mI sˈikwᵊl dˈATəbˌAs, təmˈATO.".replace("mˈATO", "mˈAtO")
    assert [word.word for word in phrase.words] == ["My", "SQL", "database", "tomato"]
    assert all(text[word.offset :].startswith(word.word) for word in phrase.words)


@pytest.mark.parametrize(("language", "sounds"), [("en-US", "ɪh"), ("en-GB", "ɪh"), ("fr", "ɪç")])
@pytest.mark.parametrize("spoken", ["ɪç", "ɪc\u0327"])
async def test_ipa_in_either_encoding(pronouncer: Pronouncer, language: str, sounds: str, spoken: str):
    assert await said(pronouncer, ipa.marked("ich", spoken), language) == sounds


@pytest.mark.parametrize("table", [AMERICAN, BRITISH, HINDI, INDIAN, ROMANCE])
def test_tables_are_written_as_they_are_asked(table: Mapping[str, str]):
    assert [key for key in table if apart(key) != key] == []
    assert set("".join(table.values())) <= set(VOCABULARY)


async def test_a_word_whose_ipa_has_no_sound_the_model_knows_is_read(pronouncer: Pronouncer):
    assert await said(pronouncer, ipa.marked("cat", "ʘ")) == "kˈæt"


ODD = (
    "aZ5 .,!?;:—…\"'()“”«»[]{}-_/\\|<>*#@&%$€₹°²½ßéñçığ"
    "नमस्तेड़ढ़ं॥।०१日本語あ한مرحباПривет😀\u200d\u200c\u00ad\x01\x00"
)


RUNS = st.builds(
    str.__mul__, st.sampled_from([*"()[]{}\"'“”«».,;:!?…—-–", "( ", ") ", '" ']), st.integers(1, 300)
)
"""One mark, many times over."""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"])), max_size=120),
        st.lists(st.one_of(RUNS, st.sampled_from(["a", "Yes", "नमस्ते ", " "])), max_size=6).map("".join),
    ),
    language=st.sampled_from(LANGUAGES),
    limit=st.integers(8, 250),
)
async def test_whatever_the_text(pronouncer: Pronouncer, text: str, language: str, limit: int):
    try:
        phrases = await pronouncer.phrases(text, language, limit=limit, first_limit=limit // 2)
    except UnsupportedUtterance:
        return
    assert phrases or has_foreign(text)
    offsets = [word.offset for phrase in phrases for word in phrase.words]
    assert offsets == sorted(offsets)
    for phrase in phrases:
        assert set(phrase.symbols) <= set(VOCABULARY)
        assert 0 < len(phrase.symbols) <= limit
        assert phrase.words
        at = 0
        for word in phrase.words:
            assert at <= word.start < word.end <= len(phrase.symbols)
            assert text[word.offset :].startswith(word.word)
            at = word.end
