"""Texts and lexicons, mutated: run as ``python fuzzing_text.py TARGET CORPUS -max_total_time=60``.

Only a :class:`TextError` may come out of the front end. Anything else, what is longer than it may be, and an
input that takes long or much memory, ends the process with libFuzzer's report.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import atheris  # pyright: ignore[reportMissingTypeStubs, reportMissingModuleSource, reportMissingImports]

with atheris.instrument_imports(include=["engines.text", "markdown_it"]):  # pyright: ignore[reportAttributeAccessIssue]
    from engines.text import Passage, TextError, TextOptions, plan

Target = Callable[[bytes], None]

MOST: Final = 20_000
LIMITS: Final = (5, 71, 150, 400)
LANGUAGES: Final[tuple[tuple[str | None, tuple[str, ...]], ...]] = (
    (None, ()),
    (None, ("hi", "en")),
    ("en", ("en",)),
    ("en-IN", ("en-IN",)),
    ("hi", ("hi",)),
    ("fr", ("fr",)),
)


def _options(flags: int, **more: Any) -> TextOptions:
    language, languages = LANGUAGES[flags % len(LANGUAGES)]
    return TextOptions(
        language=language,
        languages=languages,
        max_chars=LIMITS[flags // 8 % len(LIMITS)],
        first_max_chars=(None, 5, 120)[flags // 32 % 3],
        normalize=flags % 7 > 0,
        strip_markup=flags % 5 > 0,
        ipa=flags % 2 > 0,
        stretches=flags % 3 > 0,
        max_spoken=MOST,
        **more,
    )


def _speak(text: str, options: TextOptions) -> None:
    try:
        passages = plan(text, options)
    except TextError as error:
        assert error.message
        assert error.param in {"input", "lexicon"}
        return
    assert passages
    # Blanks around a piece are left out, and words with their sound are shown again beside it.
    assert sum(passage.said for passage in passages) <= MOST + len(passages)
    for passage in passages:
        _check(passage, options)


def _check(passage: Passage, options: TextOptions) -> None:
    assert passage.text.strip()
    assert options.ipa or len(passage.text) <= options.max_chars
    assert 0.25 <= passage.rate <= 4
    assert 0 <= passage.pause_before <= 60
    end = source_end = 0
    for stretch in passage.stretches:
        assert end <= stretch.start < stretch.end <= len(passage.text)
        assert source_end <= stretch.source_start < stretch.source_end <= len(passage.source)
        end, source_end = stretch.end, stretch.source_end


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace")


def plain(data: bytes) -> None:
    """Plain text and Markdown; the first byte chooses how it is read."""
    if data:
        _speak(_text(data[1:]), _options(data[0]))


def ssml(data: bytes) -> None:
    """What stands inside ``<speak>``."""
    if data:
        _speak(f"<speak>{_text(data[1:])}</speak>", _options(data[0]))


def lexicon(data: bytes) -> None:
    """A text, and below it a word and its spoken form in each line."""
    if not data:
        return
    text, *lines = _text(data[1:]).split("\n")
    split = [line.partition("=") for line in lines]
    entries = {word: spoken for word, _, spoken in split}
    half = dict(list(entries.items())[::2])
    _speak(text, _options(data[0], own_lexicon=entries, lexicon=half))


TARGETS: Final[dict[str, Target]] = {"plain": plain, "ssml": ssml, "lexicon": lexicon}

# ruff: noqa: E501
SEEDS: Final[dict[str, tuple[str, ...]]] = {
    "plain": (
        '# One\n\n- *two* **three** `4`\n\n| a | b |\n|---|---|\n| 1 |\n\n[x](http://a.com/?b=1 "c") ![i](j) <b>',
        "₹1,25,000.50 on 15/08/1947 at 5:30 pm, 21st, 10-12 km, 25°C, x², ½, 1½ cups; +91 98765 43210. No. 7!",
        "डॉ. शर्मा ने रु. 500/- दिए। ५वीं, 2024-25 में, २.५ करोड़… क्‍या? 5:45 बजे",
        "me@example.com www.example.com the '90s 1990s CO2 OTP 4567 US$3.50 Rs. 5 ₹500-600 1.2.3 16:9 ~5 x^2",
        "👩‍👧 🇮🇳 1️⃣ ™ é\u0301\u0323 漢字。かな、 ภาษา 「a」 \u202e\u2029",
    ),
    "ssml": (
        "<p xml:lang='hi'>एक <break time='500ms'/></p><s>two <prosody rate='+10%'>5 km</prosody></s>",
        "<sub alias='World Wide Web'>WWW</sub> <phoneme alphabet='ipa' ph='ˈsiːkwəl'>SQL</phoneme>&amp;&#49;",
        *(
            f"<say-as interpret-as='{kind}'>12/3 +91 98765</say-as>"
            for kind in ("ordinal", "digits", "characters", "telephone", "date")
        ),
    ),
    "lexicon": (
        "SQL in Bengaluru, sql-x\nSQL=/ˈsiːkwəl/\nBengaluru=Bengalooru 5\nin=",
        "a b-a b Straße\na b=q r s\nb-a=₹5\nSTRASSE=x. y\na=b",
    ),
}


def main() -> None:
    """Fuzz the target that the first argument names; the second is a folder for what it finds."""
    name, corpus, *options = sys.argv[1:]
    folder = Path(corpus)
    for number, seed in enumerate(SEEDS[name]):
        (folder / f"seed-{number}").write_bytes(bytes([40 + number]) + seed.encode())
    atheris.Setup([sys.argv[0], str(folder), *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
