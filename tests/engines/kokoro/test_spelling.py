"""What the judge takes for the same."""

import pytest
from judging import english_words, hindi_letters, letter_errors, word_errors


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("The twenty-third of March, nineteen eighty seven", "the 23rd of March 1987"),
        ("on the fourteenth of March, at ten", "on 14th March at 10"),
        ("on the fourteenth of March, at ten", "on March 14, at 10"),
        ("two thousand five hundred rupees", "₹2,500"),
        ("one hundred and sixty two pages", "162 pages"),
        ("at half past ten, or ten thirty", "at half past 10 or 10:30"),
        ("My favourite colour is grey, okay?", "my favorite color is gray, OK?"),
        ("I'm sure that's Doctor Brown", "I am sure that is Dr. Brown"),
        ("my notebook", "my note book"),
        ("forty one per cent", "41%"),
    ],
)
def test_spellings_of_one_sound_are_one(said: str, heard: str) -> None:
    words = english_words(said)
    assert word_errors(words, english_words(heard, words)) == 0


def test_what_sounds_different_is_an_error() -> None:
    words = english_words("She bought three red apples.")
    assert word_errors(words, english_words("She brought three red apples.", words)) == 1
    assert word_errors(words, english_words("She bought 13 red apples.", words)) == 1
    assert word_errors(words, english_words("bought three red", words)) == 2
    assert word_errors(words, []) == 5


@pytest.mark.parametrize(
    ("said", "heard"),
    [("हिन्दी में पढ़ना।", "हिंदी मे पढना"), ("वे चले गये", "वे चले गए"), ("आँख, कॉफ़ी", "आंख काफी")],
)
def test_spellings_of_hindi_are_one(said: str, heard: str) -> None:
    assert letter_errors(hindi_letters(said), hindi_letters(heard)) <= 1


def test_letters_of_hindi_that_differ_are_errors() -> None:
    assert letter_errors(hindi_letters("दाल"), hindi_letters("ढाल")) == 1
    assert letter_errors(hindi_letters("कल"), hindi_letters("काल")) == 1
