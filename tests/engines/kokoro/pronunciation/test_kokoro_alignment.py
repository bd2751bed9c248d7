"""Which phonemes are which word's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.kokoro.pronunciation.alignment import CELLS, Aligner
from engines.kokoro.pronunciation.phonemes import SPACE, phonemes_of


@pytest.mark.parametrize(
    ("clause", "alone", "words"),
    [
        ("ʌ_v_ð_ə p_ˈiː_p_əl", ["ʌ_v", "ð_ə", "p_ˈiː_p_əl"], ["ʌv", "ðə", "pˈiːpəl"]),
        ("t_w_ˈɛ_n_t_i f_ˈaɪ_v k_ˈæ_t_s", ["t_w_ˈɛ_n_t_i f_ˈaɪ_v", "k_ˈæ_t_s"], ["twˈɛnti fˈaɪv", "kˈæts"]),
        ("ɐ k_ˈæ_t", ["ˈeɪ", "k_ˈæ_t"], ["ɐ", "kˈæt"]),
        ("k_ˈæ_t", ["k_ˈæ_t", ""], ["kˈæt", ""]),
    ],
)
def test_words_that_run_together(clause: str, alone: list[str], words: list[str]):
    found = Aligner().by_word(phonemes_of(clause), [phonemes_of(word) for word in alone])
    assert ["".join(word) for word in found] == words


phonemes = st.lists(st.sampled_from(["p", "t", "k", "s", "ˈa", "ə", "iː", SPACE]), max_size=12)


@given(
    clause=phonemes, alone=st.lists(phonemes, min_size=1, max_size=6), cells=st.sampled_from([0, 30, CELLS])
)
def test_every_phoneme_is_somebodys(clause: list[str], alone: list[list[str]], cells: int):
    found = Aligner(cells).by_word(clause, alone)
    assert len(found) == len(alone)
    assert [p for word in found for p in word if p != SPACE] == [p for p in clause if p != SPACE]


def test_a_single_word_needs_no_table():
    aligner = Aligner()
    clause = [*("ha" * 5_000), SPACE, "a"]
    assert aligner.by_word(clause, [["x"] * 5_000]) == [clause]
    assert aligner.left == CELLS


def test_the_tables_of_a_text_are_bounded_together():
    clause, alone = phonemes_of("ʌ_v_ð_ə p_ˈiː_p_əl"), [*map(phonemes_of, ["ʌ_v", "ð_ə", "p_ˈiː_p_əl"])]
    cells = (4 + 1 + 4) * (4 + 1 + 4 + 1)
    aligner = Aligner(cells + 1)
    exact = aligner.by_word(clause, alone)
    assert aligner.left == 1
    assert aligner.by_word(clause, alone) == exact
    assert aligner.left == 1


def test_what_is_too_large_is_shared_out():
    found = Aligner().by_word(["k", "a"] * 1_500, [["t", "a"] * 500, ["p", "a"] * 1_000])
    assert [len(word) for word in found] == [1_000, 2_000]
