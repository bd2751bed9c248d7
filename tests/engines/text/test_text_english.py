"""English, as it is written and as it is read."""

import pytest

from engines.text import TextOptions, plan

CASES = {
    "0": "zero",
    "7 apples": "seven apples",
    "13": "thirteen",
    "21": "twenty-one",
    "100": "one hundred",
    "101": "one hundred one",
    "999": "nine hundred ninety-nine",
    "1000": "one thousand",
    "1234": "one thousand two hundred thirty-four",
    "10,000": "ten thousand",
    "100,000": "one hundred thousand",
    "1,00,000": "one lakh",
    "1,25,000": "one lakh twenty-five thousand",
    "12,34,56,789": "twelve crore thirty-four lakh fifty-six thousand seven hundred eighty-nine",
    "1,250,000": "one million two hundred fifty thousand",
    "3,000,000,000": "three billion",
    "0.5": "zero point five",
    ".5": "zero point five",
    "1,2,3": "one,two,three",
    "version 1.2.3": "version one dot two dot three",
    "500₹ or 20€": "five hundred rupees or twenty euros",
    "$500-600": "five hundred to six hundred dollars",
    "-$5": "minus five dollars",
    "₹10 thousand crore": "ten thousand crore rupees",
    "2024-25": "twenty twenty-four to twenty-five",
    "the 1990s": "the nineteen nineties",
    "the '90s": "the nineties",
    "the ‘80s and ’90s": "the eighties and nineties",
    "in her 30s": "in her thirties",
    "the mid-20s": "the mid-twenties",
    "wait 30s": "wait thirty s",
    "10:30am": "ten thirty AM",
    "CO2 and SO₂": "C O two and S O two",
    "PS2, CO25": "PS two, CO twenty-five",
    "pages 3--4": "pages three to four",
    "five--4": "five--four",
    "10:00-12:00": "ten o'clock to twelve o'clock",
    "16:9": "sixteen to nine",
    "4.5/5": "four point five over five",
    "1½ cups": "one and a half cups",
    "2¾": "two and three quarters",
    "½": "one half",
    "x² and 10^5": "x squared and ten to the power of five",
    "5 m²": "five square metres",
    "chapter Ⅳ": "chapter four",
    "No.1": "number one",
    "PIN 110001": "PIN one one zero zero zero one",
    "~50%": "about fifty percent",
    "a % of it": "a percent of it",
    "3.14": "three point one four",
    "2.05 seconds": "two point zero five seconds",
    "-5": "minus five",
    "temperatures of -12.5": "temperatures of minus twelve point five",
    "007": "zero zero seven",
    "1234567890123456": "one two three four five six seven eight nine zero one two three four five six",
    "1st": "first",
    "2nd place": "second place",
    "the 21st": "the twenty-first",
    "the 100th": "the one hundredth",
    "12th": "twelfth",
    "50%": "fifty percent",
    "3.5 %": "three point five percent",
    "1/2": "one half",
    "3/4 cup": "three quarters cup",
    "2/3": "two thirds",
    "10-12": "ten to twelve",
    "pages 3–5": "pages three to five",
    "10-12 km": "ten to twelve kilometres",
    "₹500": "five hundred rupees",
    "₹1": "one rupee",
    "₹1,25,000": "one lakh twenty-five thousand rupees",
    "₹1,25,000.50": "one lakh twenty-five thousand rupees and fifty paise",
    "Rs. 500/-": "five hundred rupees",
    "Rs 99.5": "ninety-nine rupees and fifty paise",
    "₹2.5 crore": "two point five crore rupees",
    "₹5 lakh": "five lakh rupees",
    "$3.50": "three dollars and fifty cents",
    "$1": "one dollar",
    "$0.99": "ninety-nine cents",
    "$2.5 million": "two point five million dollars",
    "€20": "twenty euros",
    "£1.01": "one pound and one penny",
    "15/08/1947": "the fifteenth of August nineteen forty-seven",
    "1-2-2003": "the first of February two thousand three",
    "2026-11-23": "the twenty-third of November twenty twenty-six",
    "15 August": "the fifteenth of August",
    "15 August 1947": "the fifteenth of August nineteen forty-seven",
    "3rd of March 2020": "the third of March twenty twenty",
    "Aug 15, 2024": "the fifteenth of August twenty twenty-four",
    "in 1999": "in nineteen ninety-nine",
    "since 2005": "since two thousand five",
    "in 1900": "in nineteen hundred",
    "in 1905": "in nineteen oh five",
    "5:30 pm": "five thirty PM",
    "9:05": "nine oh five",
    "10:00": "ten o'clock",
    "7 am": "seven AM",
    "17:45": "seventeen forty-five",
    "7:30 a.m. sharp": "seven thirty AM sharp",
    "5 km": "five kilometres",
    "1 km": "one kilometre",
    "60 km/h": "sixty kilometres per hour",
    "25°C": "twenty-five degrees Celsius",
    "-3 °C": "minus three degrees Celsius",
    "16 GB": "sixteen gigabytes",
    "1,200 sq ft": "one thousand two hundred square feet",
    "250 ml": "two hundred fifty millilitres",
    "5G network": "five G network",
    "+91 98765 43210": "plus nine one, nine eight seven six five, four three two one zero",
    "9876543210": "nine eight seven six five four three two one zero",
    "1800-123-4567": "one eight zero zero, one two three, four five six seven",
    "Dr. Rao": "doctor Rao",
    "Mr. and Mrs. Iyer": "mister and missus Iyer",
    "No. 7": "number seven",
    "salt & pepper": "salt and pepper",
    "2 + 2 = 4": "two plus two equals four",
    "visit www.example.com/help": "visit www dot example dot com slash help",
    "me@example.co.in": "me at example dot co dot in",
    "item 4b": "item four b",
    "COVID-19": "COVID-nineteen",
    "Well-known facts": "Well-known facts",
    "31/31/2020": "thirty-one/thirty-one/two thousand twenty",
    "25:99": "twenty-five:ninety-nine",
}


@pytest.mark.parametrize(("written", "spoken"), CASES.items())
def test_as_it_is_read(written: str, spoken: str) -> None:
    (passage,) = plan(written, TextOptions(language="en", max_chars=1_000))
    assert passage.text == spoken


def test_india_groups_every_number_its_own_way() -> None:
    (passage,) = plan("125000 people", TextOptions(language="en-IN"))
    assert passage.text == "one lakh twenty-five thousand people"


def test_no_as_a_word_stays() -> None:
    assert [p.text for p in plan("I said no. Then I left.", TextOptions())] == ["I said no.", "Then I left."]


def test_normalising_can_be_left_to_the_engine() -> None:
    (passage,) = plan("₹500 at 5:30", TextOptions(normalize=False))
    assert passage.text == "₹500 at 5:30"


def test_other_languages_keep_their_digits() -> None:
    (passage,) = plan("Il y a 25 pommes.", TextOptions(languages=("fr",)))
    assert (passage.text, passage.language) == ("Il y a 25 pommes.", "fr")
