"""Sentences, a set of cases that the rules are not tuned on as they come but kept whole."""

import pytest

from engines.text.sentences import sentences

CASES = [
    ["Hello there.", "How are you?", "Fine!"],
    ["Dr. Smith went to Washington.", "He arrived at 5 p.m. sharp."],
    ["Mr. and Mrs. Gupta live on St. Mark's Rd. near here.", "They like it."],
    ["It costs $3.50.", "That is 3.5 times more."],
    ["The U.S. economy grew.", "So did India's."],
    ["We live in the U.S.", "They do not."],
    ["He said “Stop!”", "Then he left."],
    ['"Really?" she asked.', "Nobody answered."],
    ["Wait... what?", "Oh."],
    ["Well… maybe.", "We'll see."],
    ["J. R. R. Tolkien wrote it.", "C. S. Lewis read it."],
    ["Visit www.example.com for more.", "Or mail me@example.com today."],
    ["See fig. 3 on p. 12.", "It is clear."],
    ["I like fruit, e.g. apples and pears.", "You too?"],
    ["Apples, pears, etc. are fruit.", "Nuts are not."],
    ["Bring pens, paper, etc.", "We start at ten."],
    ["No. 5 is alive.", "No. 6 is not."],
    ["Is it true?!", "Yes."],
    ["1. First we mix.", "2. Then we bake."],
    ["Version 2.0.1 is out.", "Update now."],
    ["She has a Ph.D. in physics.", "He doesn't."],
    ["Acme Inc. was sold.", "Nobody noticed."],
    ["(This is inside.)", "This is outside."],
    ["One sentence without a stop"],
    ["भारत एक देश है।", "यहाँ कई भाषाएँ हैं।"],
    ["डॉ. शर्मा आए।", "उन्होंने रु. 500 दिए।"],
    ["प्रो. वर्मा और श्री. गुप्ता मिले।", "बात हुई।"],
    ["क्या हाल है?", "सब ठीक है!"],
    ["तापमान 36.5 डिग्री है।", "बुखार नहीं है।"],
    ["वह बोला, “रुको!”", "फिर चला गया।"],
    ["मैं आ रहा हूँ.", "तुम रुको."],
    ["दूरी 5 कि.मी. है।", "पास ही है।"],
    ["ॐ शान्तिः॥", "इति।"],
    ["मेरा laptop slow है।", "Please fix it."],
    ["अरे...", "सच में?", "हाँ।"],
    ["ए. पी. जे. अब्दुल कलाम राष्ट्रपति थे।", "वे वैज्ञानिक भी थे।"],
]


@pytest.mark.parametrize("expected", CASES, ids=lambda case: case[0][:30])
def test_the_sentences_of(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


def test_danda_needs_no_space() -> None:
    assert sentences("एक वाक्य।दूसरा वाक्य।") == ["एक वाक्य।", "दूसरा वाक्य।"]


def test_a_stop_before_a_small_letter_goes_on() -> None:
    assert sentences("This is ver. two. of it") == ["This is ver. two. of it"]
