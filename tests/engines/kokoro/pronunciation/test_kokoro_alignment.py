"""Which phonemes are which word's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.kokoro.pronunciation.alignment import by_word
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
    found = by_word(phonemes_of(clause), [phonemes_of(word) for word in alone])
    assert ["".join(word) for word in found] == words


phonemes = st.lists(st.sampled_from(["p", "t", "k", "s", "ˈa", "ə", "iː", SPACE]), max_size=12)


@given(clause=phonemes, alone=st.lists(phonemes, min_size=1, max_size=6))
def test_every_phoneme_is_somebodys(clause: list[str], alone: list[list[str]]):
    found = by_word(clause, alone)
    assert len(found) == len(alone)
    assert [p for word in found for p in word if p != SPACE] == [p for p in clause if p != SPACE]
