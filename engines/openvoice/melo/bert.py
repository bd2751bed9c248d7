"""BERT's features of the words around a phone.

MeloTTS's English models are trained on the last hidden layer but two of ``bert-base-uncased``, a separate
download. Without it they get zeros, as MeloTTS itself gives them with ``disable_bert``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engines.contract import EngineUnavailable
from engines.coqui import coqui
from engines.openvoice.melo.network import BERT

FOLDER: Final = "bert"
"""Beside the weights: ``config.json``, ``vocab.txt`` and ``model.safetensors`` of bert-base-uncased."""
_UNUSED: Final = 2
"""Layers after the one whose output is used."""
_LONGEST_WORD: Final = 100
"""Characters; BERT takes longer words for unknown."""
_BEGIN, _END, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_RETRY: Final = 60.0


class Bert:
    """A BERT and its vocabulary.

    Args:
        folder: Holds its files.
        device: Where it computes; the CPU, when none is named.

    Raises:
        EngineUnavailable: A file is missing or damaged; the message names it.
    """

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        try:
            lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
            self._vocabulary = {piece: index for index, piece in enumerate(lines)}
            self._begin, self._end, self._unknown = (
                self._vocabulary[special] for special in (_BEGIN, _END, _UNKNOWN)
            )
            self._model = _load(folder).to(device or torch.device("cpu"))
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            message = (
                f"{folder} holds no BERT that can be used ({error}). Put config.json, vocab.txt and "
                "model.safetensors of bert-base-uncased there, or remove the folder to speak without."
            )
            raise EngineUnavailable(message, retry_after=_RETRY) from error
        settings = self._model.config
        if settings.hidden_size != BERT or settings.vocab_size < len(self._vocabulary):
            message = (
                f"{folder} is not bert-base-uncased: it has {settings.hidden_size} features, and {BERT} "
                f"are needed, and room for {settings.vocab_size} of {len(self._vocabulary)} pieces."
            )
            raise EngineUnavailable(message, retry_after=_RETRY)
        self._longest: int = settings.max_position_embeddings

    @torch.inference_mode()
    def features(self, words: Sequence[str], phones: Sequence[int], *, add_blank: bool) -> Tensor:
        """The features of an utterance, ``(768, phones)``, its padding and its blanks included.

        Args:
            words: Tokens, as :mod:`engines.openvoice.melo.words` makes them.
            phones: How many phones each has.
            add_blank: Whether there are blanks between phones.
        """
        ids, counts = [self._begin], [1]
        for word, count in zip(words, phones, strict=True):
            pieces = self._pieces(word)
            share, more = divmod(count, len(pieces))
            ids += pieces
            counts += [share + (index < more) for index in range(len(pieces))]
        ids, counts = [*ids, self._end], [*counts, 1]
        # Over its length BERT knows no places: the rest has the last one's features.
        known = torch.tensor([ids[: self._longest]], device=self._model.device)
        hidden: Tensor = self._model(known).last_hidden_state[0]
        if add_blank:
            counts = [counts[0] * 2 + 1, *(2 * count for count in counts[1:])]
        places = torch.arange(len(ids)).clamp(max=len(hidden) - 1)
        return hidden[places.repeat_interleave(torch.tensor(counts)).to(hidden.device)].T

    def _pieces(self, word: str) -> list[int]:
        """WordPiece: again and again the longest piece that the rest begins with."""
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            found = next(
                (end for end in range(len(word), start, -1) if prefix + word[start:end] in self._vocabulary),
                None,
            )
            if found is None:
                return [self._unknown]
            pieces.append(self._vocabulary[prefix + word[start:found]])
            start = found
        return pieces


def _load(folder: Path) -> Any:  # noqa: ANN401 - transformers' types do not fit its own use
    """BERT without the unused layers."""
    coqui("utils")  # transformers imports torchaudio, which that makes importable
    import transformers  # noqa: PLC0415 - takes seconds, and only those who have a BERT need it

    library: Any = transformers
    settings = library.BertConfig.from_pretrained(folder, local_files_only=True)
    settings.num_hidden_layers = max(1, settings.num_hidden_layers - _UNUSED)
    model = library.BertModel.from_pretrained(
        folder, config=settings, local_files_only=True, add_pooling_layer=False, dtype=torch.float32
    )
    return model.requires_grad_(requires_grad=False).eval()
