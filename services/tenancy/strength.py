"""Password strength: zxcvbn's estimate, with additional word lists.

zxcvbn knows common passwords, English words and names, keyboards, dates and repeats. It does not know
passwords common in India, nor facts about the password's owner.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, TypedDict, cast

SCORE: Final = 3
"""Minimum score of zxcvbn: more than 10^8 guesses."""

LOOKED_AT: Final = 20
"""Number of characters that are checked, at the end and at the start of a password.

zxcvbn's time grows fast with the length: from 0.1 s for 20 crafted characters to 2 s for 64.
"""

MOST_WORDS: Final = 40
"""Maximum number of words about the owner that are checked."""

SHORTEST_WORD: Final = 3

ADVICE: Final = "Add another word or two. Uncommon words are better."

COMMON: Final[tuple[str, ...]] = tuple(
    """
    india indian bharat hindustan hindustani mera meri mere mujhe hum tum namaste namaskar jai jay
    shree shri sri ram rama sita siya sitaram jaishreeram jaishriram jaisriram jaisiyaram radhe
    radheradhe radha krishna krishn kanha hare harekrishna harharmahadev mahadev bholenath shiv
    shiva shivshankar omnamahshivay om omsairam sairam sai saibaba jaimatadi mata maa durga kali
    lakshmi laxmi saraswati ganesh ganesha ganpati bappa morya ganpatibappa hanuman bajrangbali
    balaji tirupati venkatesh murugan ayyappa jagannath waheguru satnam wahe guru allah bismillah
    khwaja ganga yamuna gita vande mataram vandemataram jaihind hind dil pyar pyaar ishq mohabbat
    jaan jaanu janu jaaneman meridaan dost dosti yaar yaaron bhai behen bhaiya didi mummy papa
    mummypapa maapapa mom dad beta baba amma appa anna akka chacha mama nana nani dada dadi zindagi
    khushi sapna apna tera teri tere kumar kumari singh sharma gupta verma yadav patel reddy khan
    raj raja rani rahul rohit amit anil sunil sanjay vijay ajay ravi raju pooja puja priya neha
    anjali sachin tendulkar dhoni virat kohli kapil cricket ipl mumbai delhi dilli kolkata calcutta
    chennai madras bangalore bengaluru hyderabad pune jaipur lucknow kashmir punjab gujarat kerala
    tamil hindi bollywood salman shahrukh srk amitabh katrina deepika chai paneer biryani desi guddu
    gudiya pappu chintu sonu monu bittu golu नमस्ते भारत हिंदी हिन्दी राम श्री जय सीता कृष्ण राधे
    माता गणेश भारतमाता दुनिया दिल प्यार माँ merabharatmahan bharatmatakijai jaishreekrishna awaaz
    awaaztwin
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Common words of passwords in India, in Latin letters and in Devanagari, and this server's name."""


class _Feedback(TypedDict):
    warning: str
    suggestions: list[str]


class _Estimate(TypedDict):
    score: int
    feedback: _Feedback


_PIECES: Final = re.compile(r"[\W_]+")


def weakness(password: str, about: Iterable[str] = ()) -> str | None:
    """Return why a password is too weak; ``None`` if it is strong enough.

    Takes up to 0.2 s of CPU time and holds the GIL; call it in a thread.

    Args:
        password: The password, normalised to NFKC.
        about: Public facts about its owner.

    Returns:
        One or more sentences for the owner.
    """
    counted = _without(password, _words(about))
    # The whole password is at least as hard to guess as any part of it.
    feedback: list[str] | None = None
    for part in dict.fromkeys((counted[-LOOKED_AT:], counted[:LOOKED_AT])):
        feedback = _feedback(part)
        if feedback is None:
            return None
    if len(counted) < len(password):
        about_you = "Your e-mail address, name and organisation add no strength."
        return " ".join([about_you, *(feedback or ())])
    return " ".join(feedback or ())


def _feedback(text: str) -> list[str] | None:
    """Return why a text is weak; ``None`` if it is strong enough."""
    if not text:
        return [ADVICE]  # the password consisted of facts about its owner; zxcvbn fails for an empty text
    # Imported on demand: its word lists take 10 MB.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    told = cast("_Estimate", zxcvbn(text, user_inputs=list(COMMON)))
    if told["score"] >= SCORE:
        return None
    feedback = told["feedback"]
    return [said for said in (feedback["warning"], *(feedback["suggestions"] or [ADVICE])) if said]


def _without(password: str, words: Iterable[str]) -> str:
    """Return the password without the words, compared case-insensitively."""
    for word in words:
        password = re.sub(re.escape(word), "", password, flags=re.IGNORECASE)
    return password


def _words(about: Iterable[str]) -> list[str]:
    """Return each text as a whole and its words, case-folded, the longest first."""
    found: dict[str, None] = {}
    for text in about:
        plain = unicodedata.normalize("NFKC", text).casefold()
        for word in (plain, plain.partition("@")[0], *_PIECES.split(plain)):
            if len(word) >= SHORTEST_WORD:
                found[word] = None
    return sorted(found, key=len, reverse=True)[:MOST_WORDS]
