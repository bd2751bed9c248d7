"""BERT's features of the words that phones belong to.

MeloTTS's English models are trained with the third-last hidden layer of ``bert-base-uncased``, a separate
download. Without it they get zeros, as in MeloTTS with ``disable_bert``.
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
"""Folder next to the weights, with ``config.json``, ``vocab.txt``, ``model.safetensors`` of the model."""
_UNUSED: Final = 2
"""Number of layers after the one whose output is used."""
_LONGEST_WORD: Final = 100
"""Maximum length of a word in characters; BERT treats longer ones as unknown."""
_BEGIN, _END, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_RETRY: Final = 60.0


class Bert:
    """A BERT and its vocabulary.

    Args:
        folder: Folder of its files.
        device: Device that it runs on; by default the CPU.

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
                f"The BERT in {folder} cannot be loaded ({error}). Put config.json, vocab.txt and "
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
        """Compute the features of an utterance, ``(768, phones)``, including its pads and blanks.

        Args:
            words: Tokens from :mod:`engines.openvoice.melo.words`.
            phones: Number of phones of each token.
            add_blank: Whether there are blanks between phones.
        """
        ids, counts = [self._begin], [1]
        for word, count in zip(words, phones, strict=True):
            pieces = self._pieces(word)
            share, more = divmod(count, len(pieces))
            ids += pieces
            counts += [share + (index < more) for index in range(len(pieces))]
        ids, counts = [*ids, self._end], [*counts, 1]
        # BERT has no positions beyond its length: the rest gets the features of the last one.
        known = torch.tensor([ids[: self._longest]], device=self._model.device)
        hidden: Tensor = self._model(known).last_hidden_state[0]
        if add_blank:
            counts = [counts[0] * 2 + 1, *(2 * count for count in counts[1:])]
        places = torch.arange(len(ids)).clamp(max=len(hidden) - 1)
        return hidden[places.repeat_interleave(torch.tensor(counts)).to(hidden.device)].T

    def _pieces(self, word: str) -> list[int]:
        """Tokenise a word with WordPiece: repeatedly take the longest known prefix of the rest."""
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
    """Load BERT without the unused layers."""
    coqui("utils")  # makes torchaudio importable, which transformers imports
    import transformers  # noqa: PLC0415 - takes seconds, and is only needed for BERT

    library: Any = transformers
    settings = library.BertConfig.from_pretrained(folder, local_files_only=True)
    settings.num_hidden_layers = max(1, settings.num_hidden_layers - _UNUSED)
    model = library.BertModel.from_pretrained(
        folder, config=settings, local_files_only=True, add_pooling_layer=False, dtype=torch.float32
    )
    return model.requires_grad_(requires_grad=False).eval()
