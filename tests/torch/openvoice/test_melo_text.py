import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from engines.contract import EngineUnavailable
from engines.coqui import coqui
from engines.openvoice.melo.arpabet import CONSONANTS, VOWELS, from_ipa
from engines.openvoice.melo.bert import Bert
from engines.openvoice.melo.configuration import MeloConfig
from engines.openvoice.melo.lexicon import Lexicon
from engines.openvoice.melo.phonemizer import ArpabetPhonemizer
from engines.openvoice.melo.sequence import mark_of, missing_symbols, sequence
from engines.openvoice.melo.words import Token, chunks, tokens

import random_melo


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", "hello , world !"),
        ("I don't know", "i don ' t know"),
        ("I don’t", "i don ' t"),
        ("an iPhone", "an i phone"),
        ("naïve Café", "naive cafe"),
        ("well-known…", "well - known ."),
        ("one; two: three — four", "one , two , three , four"),
        ('"quoted" (so)', '" quoted " ( so )'),
        ("50% of C3PO", "50 % of c3po"),
        ("a\u200bb \x01", "ab"),
        ("  ", ""),
    ],
)
def test_text_is_split_as_bert_splits_it(text: str, words: str) -> None:
    assert [token.text for token in tokens(text)] == words.split()


def test_tokens_know_where_they_come_from() -> None:
    text = " Well, don't go."
    assert [(offset, chunk) for offset, chunk in chunks(text)] == [(1, "Well,"), (7, "don't"), (13, "go.")]
    assert [token.chunk for token in tokens(text)] == [0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("h_ə_l_ˈoʊ", "HH AH0 L OW1"),
        ("w_ˈɜː_l_d", "W ER1 L D"),
        ("ð_ə", "DH AH0"),
        ("f_ɔːɹ", "F AO1 R"),  # alone it is stressed
        ("w_ˌʌ_n", "W AH1 N"),
        ("l_ˈɪ_ɾ_əl", "L IH1 T AH0 L"),
        ("(hi)_n_ə_m_ˈʌ_s_t_eː_(en-us)", "N AH0 M AH1 S T EY0"),
        ("", ""),
    ],
)
def test_ipa_becomes_arpabet(ipa: str, phones: str) -> None:
    assert from_ipa(ipa) == tuple(phones.split())


async def test_espeak_says_how_words_sound() -> None:
    phonemizer = ArpabetPhonemizer()
    try:
        words = ["better", "25", "नमस्ते", "better", "x" * 5_000, "\ud800".encode("utf-8", "replace").decode()]
        said = await phonemizer.phones(words)
        assert said[0] == ("B", "EH1", "T", "ER0") == said[3]
        assert said[1] == ("T", "W", "EH1", "N", "T", "IY0", "F", "AY1", "V")
        assert said[2]
        assert {phone.rstrip("012") for word in said for phone in word} <= VOWELS | CONSONANTS
        await phonemizer.close()
        assert await phonemizer.phones(["a"]) == [("AH0",)]
        assert await phonemizer.phones(["cat", "better"]) == [("K", "AE1", "T"), said[0]]
    finally:
        await phonemizer.close()


async def test_a_lost_phonemizer_is_started_again() -> None:
    phonemizer = ArpabetPhonemizer()
    try:
        await phonemizer.phones(["one"])
        assert phonemizer._ipa.pid is not None
        os.kill(phonemizer._ipa.pid, signal.SIGKILL)
        assert await phonemizer.phones(["two"]) == [("T", "UW1")]
    finally:
        await phonemizer.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cmudict.rep", "## Date\nABOUT  AH0 - B AW1 T\nABOUT(2)  AH0 B UW1 T\nIT'S  IH1 T S\n"),
        ("cmudict.dict", ";;; head\nabout AH0 B AW1 T # the word\nabout(2) AH0 B UW1 T\nit's IH1 T S\n"),
    ],
)
def test_both_dictionaries_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    lexicon = Lexicon.beside(tmp_path)
    assert lexicon.get("about") == ("AH0", "B", "AW1", "T")
    assert lexicon.get("it's") == ("IH1", "T", "S")
    assert lexicon.get("absent") is None
    assert len(lexicon) == 2


def test_no_dictionary_knows_nothing_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    assert Lexicon.beside(tmp_path).get("about") is None
    (tmp_path / "cmudict.dict").write_text("<html>not found</html>")
    with pytest.raises(EngineUnavailable, match=r"cmudict\.dict"):
        Lexicon.beside(tmp_path)


def test_phones_that_are_none_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "cmudict.dict").write_text("odd QQ1 T\neven IY1 V IH0 N\n")
    lexicon = Lexicon.beside(tmp_path)
    assert lexicon.get("odd") is None
    assert lexicon.get("even") is not None


@pytest.fixture
def config() -> MeloConfig:
    return MeloConfig.model_validate(random_melo.settings("tiny", random_melo.SPEAKERS))


def test_an_utterance_is_numbered_as_melotts_numbers_it(config: MeloConfig) -> None:
    places = config.symbols.index
    numbers = sequence(config, [("V", "AY1"), (), (",",), ("AH0",)])
    assert numbers.phones[1::2] == [places(s) for s in ("_", "V", "ay", ",", "ah", "_")]
    assert numbers.tones[1::2] == [7, 7, 9, 7, 8, 7]  # English starts at 7; 1 more than the stress
    assert numbers.languages[1::2] == [2] * 6
    assert numbers.tokens == [-1, -1, -1, 0, 0, 0, 0, 2, 2, 3, 3, -1, -1]
    assert set(numbers.phones[::2] + numbers.tones[::2] + numbers.languages[::2]) == {0}
    assert not missing_symbols(config)


def test_only_marks_are_spoken_of_punctuation() -> None:
    said = [mark_of(Token(text, 0)) for text in ("!", "-", '"', "%", "word", "नमस्ते", "3")]
    assert said == [("!",), ("-",), (), (), None, None, None]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of three layers with the width of the real one."""
    folder = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "##ing", "##s", "game", ","]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    coqui("utils")  # makes torchaudio importable
    library: Any = transformers
    settings = library.BertConfig(
        vocab_size=len(pieces), num_hidden_layers=3, intermediate_size=16, max_position_embeddings=16
    )
    library.BertForMaskedLM(settings).save_pretrained(folder)
    return folder


def test_features_are_those_of_the_last_layer_but_two(bert: Path) -> None:
    library: Any = transformers
    whole = library.BertModel.from_pretrained(bert, local_files_only=True).eval()
    with torch.no_grad():
        hidden = whole(torch.tensor([[2, 4, 5, 8, 1, 3]]), output_hidden_states=True).hidden_states[-3][0]
    features = Bert(bert).features(["playing", ",", "xyz"], [5, 1, 2], add_blank=True)
    # A piece's features are for its phones and the blanks behind them; the first blank is the beginning's.
    repeats = torch.tensor([3, 6, 4, 2, 4, 2])
    torch.testing.assert_close(features, hidden.repeat_interleave(repeats, dim=0).T)


def test_words_of_more_pieces_than_phones_and_longer_texts_than_bert_takes(bert: Path) -> None:
    model = Bert(bert)
    assert model.features(["playings"], [1], add_blank=False).shape == (768, 3)
    assert model.features(["game"] * 40, [2] * 40, add_blank=True).shape == (768, 2 * 82 + 1)


@pytest.mark.parametrize("gone", ["vocab.txt", "config.json", "model.safetensors"])
def test_a_bert_that_lacks_a_file_is_named(bert: Path, tmp_path: Path, gone: str) -> None:
    for path in bert.iterdir():
        if path.name != gone:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(EngineUnavailable, match="bert-base-uncased") as caught:
        Bert(tmp_path)
    assert str(tmp_path) in caught.value.message
