"""Splitting of text into sentences, for English, Hindi and languages with similar punctuation.

The libraries are not suitable: pysbd is not maintained, and sentencex splits after डॉ., रु. and प्रो. The
tests contain a set of cases for these rules.
"""

import re
from typing import Final

_ABBREVIATIONS: Final = frozenset(
    "adj adm approx apr aug ave blvd capt cf cmdr co col corp dec dept dist dr ed eds e.g eg esp est etc feb fig "
    "figs fri gen gov hon i.e ie inc jan jr jul jun lt ltd maj mar messrs mon mr mrs ms mt no nos nov oct op "
    "pp prof pvt rep rev rs sat sen sep sept sgt smt sr st sun thu tue univ viz vol vs wed wg yr yrs "
    "a.m p.m u.s u.k u.n u.s.a ph.d b.a b.sc m.a m.sc m.b.a b.tech "
    "डॉ प्रो पं श्री श्रीमती रु रू सु कु मो स्व डा कि.मी कि.ग्रा मि.मी से.मी वि.सं ई.पू ले जन इं क्र पृ सं नं प्रा लि".split()
)
"""Abbreviations; a full stop after them does not end a sentence, unless nothing follows."""

_ENDS_TOO: Final = frozenset(
    "etc co corp inc ltd jr sr a.m p.m u.s u.k u.n u.s.a ph.d b.a m.a yr yrs".split()
)
"""Abbreviations that end a sentence if a capital letter follows."""

_NUMBERING: Final = frozenset({"no", "nos"})
"""Words that are abbreviations only before a number."""

# Possessive, and matched only at the start of a row of marks, so that long rows take linear time.
_END: Final = re.compile(
    r"[।॥]+[\"'”’»)\]]*"  # danda
    r"|(?<![.!?…‽؟。！？])[.!?…‽؟。！？]++[\"'”’»)\]]*+(?=\s|$|[\u0900-\u097f])"
    r"|(?<=[。！？])"
)
_LAST_WORD: Final = re.compile(r"(\S+)$")
_INITIAL: Final = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]|[\u0904-\u0939][\u093c-\u094d]*")
_NUMBER: Final = re.compile(r"\(?\d+")


def sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph, in order, without surrounding whitespace."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(paragraph):
        if match.end() <= start or not _ends(paragraph, start, match):
            continue
        if sentence := paragraph[start : match.end()].strip():
            found.append(sentence)
        start = match.end()
    if rest := paragraph[start:].strip():
        found.append(rest)
    return found


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether matched punctuation ends a sentence."""
    mark = match.group()
    following = text[match.end() : match.end() + 40].lstrip()[:1]
    if not following or not mark or mark[0] in "।॥。！？":
        return True
    if mark[0] in "!?؟‽" or mark.startswith(("..", "…")):
        return not following.islower()
    # A limited window, because searching back through the whole text for each full stop takes too long.
    before = _LAST_WORD.search(text[max(start, match.start() - 40) : match.start()])
    word = before.group(1).lstrip("(\"'“‘[").lower() if before else ""
    alone = text[start : min(match.start(), start + 40)].strip().lower() == word
    return _stop_ends(word, following, alone=alone)


def _stop_ends(word: str, following: str, *, alone: bool) -> bool:
    """Whether a full stop after ``word`` ends a sentence.

    Args:
        word: The word, in lower case.
        following: The first character after the full stop.
        alone: Whether the sentence consists of this word only.
    """
    if word in _NUMBERING:
        return not following.isdigit() and not following.islower()
    if word in _ABBREVIATIONS:
        return word in _ENDS_TOO and following.isupper()
    if _INITIAL.fullmatch(word) and len(word) < 6:
        return False
    if alone and _NUMBER.fullmatch(word):
        return False  # the number of a list item
    return not following.islower()
