"""Whisper hears what was said: what it writes down, and how probable it finds a given text.

Both come from one pass of the encoder. Nothing is sampled: the same audio always gives the same figures.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
import numpy.typing as npt
import soxr
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer

RATE: Final = 16_000
FILES: Final = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
BEAMS: Final = 5
MAX_TOKENS: Final = 224
QUIET_SECONDS: Final = 0.2
"""Silence put before and after, so that no contestant gains from its own."""

PROMPTS: Final = {"hi": "नमस्ते। यह बातचीत हिंदी में है और देवनागरी में लिखी गई है।"}
"""What went before. Without it Whisper writes much of Hindi in Urdu's script."""

Sound = npt.NDArray[np.float32]
"""Mono audio of shape ``(samples,)``, full scale 1."""


class Judge:
    """Whisper on the CPU.

    Args:
        folder: Of a multilingual model for CTranslate2; Whisper-base is what the figures of the documentation are from.
        threads: That compute.

    Raises:
        FileNotFoundError: The folder lacks a file of the model.
    """

    def __init__(self, folder: Path, *, threads: int = 2) -> None:
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(
                f"{folder} has no {missing[0]}: it takes the folder of a Whisper model for CTranslate2"
            )
        self._whisper = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )

    def listen(self, sound: Sound, rate: int, language: str) -> "Hearing":
        """Hear a recording.

        Args:
            sound: Up to 30 s; what is longer is not heard.
            rate: Its hertz.
            language: ``en`` or ``hi``.
        """
        quiet = np.zeros(round(QUIET_SECONDS * RATE), np.float32)
        features = self._whisper.feature_extractor(
            np.concatenate([quiet, soxr.resample(sound, rate, RATE).astype(np.float32), quiet])
        )
        frames = int(features.shape[-1])
        encoded = self._whisper.encode(pad_or_trim(features))
        tokenizer = Tokenizer(
            self._whisper.hf_tokenizer, multilingual=True, task="transcribe", language=language
        )
        return Hearing(self._whisper, tokenizer, encoded, min(frames, 3_000))


class Hearing:
    """One recording, heard once."""

    def __init__(
        self, whisper: WhisperModel, tokenizer: Tokenizer, encoded: ctranslate2.StorageView, frames: int
    ) -> None:
        self._whisper = whisper
        self._tokenizer = tokenizer
        self._encoded = encoded
        self._frames = frames

    def text(self) -> str:
        """What was heard."""
        before = self._tokens(PROMPTS.get(self._tokenizer.language_code, ""))
        prompt = self._whisper.get_prompt(self._tokenizer, before, without_timestamps=True)
        (found,) = self._whisper.model.generate(
            self._encoded, [prompt], beam_size=BEAMS, max_length=MAX_TOKENS + len(prompt)
        )
        return self._tokenizer.decode(found.sequences_ids[0]).strip()

    def log_probability(self, text: str) -> tuple[float, int]:
        """The natural logarithm of the probability of a text, and how many tokens it has."""
        tokens = self._tokens(text)
        model: Any = self._whisper.model
        (aligned,) = model.align(self._encoded, self._tokenizer.sot_sequence, [tokens], self._frames)
        return float(np.log(np.maximum(aligned.text_token_probs, 1e-10)).sum()), len(tokens)

    def likelier(self, texts: Sequence[str], before: "Hearing | None" = None) -> int:
        """The index of the text that is most probable.

        Args:
            texts: Among which to choose.
            before: Of silence: how probable each text is before anything is heard, which then does not count.
        """
        expected = [before.log_probability(text)[0] if before else 0.0 for text in texts]
        heard = [self.log_probability(text)[0] for text in texts]
        return int(np.argmax(np.subtract(heard, expected)))

    def _tokens(self, text: str) -> list[int]:
        """Whisper's words begin with a space, the first too."""
        return list(self._tokenizer.encode(f" {text.strip()}")) if text.strip() else []
