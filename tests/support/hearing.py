"""Offline measures of speech: what an English recogniser hears, and how voiced a recording is."""

import math
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from pocketsphinx import Decoder

RATE = 16_000


def words(text: str) -> list[str]:
    """The words of a text, lower case."""
    return re.findall(r"[a-z']+", text.lower())


class Recogniser:
    """Pocketsphinx with its own acoustic model and a unigram model of the words that may be heard.

    Args:
        vocabulary: The words; all must be in the recogniser's dictionary.
        folder: For the language model's file.
    """

    def __init__(self, vocabulary: set[str], folder: Path) -> None:
        known = sorted(vocabulary)
        log = math.log10(1 / (len(known) + 1))
        lines = ["\\data\\", f"ngram 1={len(known) + 2}", "", "\\1-grams:"]
        lines += [f"{log:.4f} {word}" for word in ("<s>", "</s>", *known)]
        path = folder / "unigram.arpa"
        path.write_text("\n".join([*lines, "", "\\end\\", ""]), encoding="utf-8")
        self._decoder = Decoder(samprate=RATE, lm=str(path), loglevel="FATAL")
        missing = [word for word in known if self._decoder.lookup_word(word) is None]
        assert not missing, missing

    def hear(self, pcm: npt.NDArray[np.int16], rate: int) -> list[str]:
        """The words in a recording."""
        sound = soxr.resample(pcm, rate, RATE).astype("<i2")
        quiet = np.zeros(RATE // 5, "<i2")
        self._decoder.start_utt()
        self._decoder.process_raw(np.concatenate([quiet, sound, quiet]).tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return words(heard.hypstr) if heard else []


def word_errors(said: list[str], heard: list[str]) -> int:
    """Substitutions, insertions and deletions between two sequences (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]


def voicing(pcm: npt.NDArray[np.int16], rate: int) -> tuple[float, float]:
    """The share of 40 ms frames that are voiced, and their median pitch in hertz, by autocorrelation."""
    window, hop = int(0.04 * rate), int(0.02 * rate)
    low, high = int(rate / 400), int(rate / 65)
    loud = np.abs(pcm.astype(np.float64)).max() * 0.02
    pitches: list[float] = []
    frames = 0
    for at in range(0, pcm.size - window, hop):
        frame = pcm[at : at + window].astype(np.float64)
        frame -= frame.mean()
        frames += 1
        if np.sqrt((frame**2).mean()) < loud:
            continue
        spectrum = np.abs(np.fft.rfft(frame, 2 * window)) ** 2
        correlation = np.fft.irfft(spectrum)[: high + 1]
        peak = low + int(correlation[low:].argmax())
        if correlation[peak] > 0.5 * correlation[0]:
            pitches.append(rate / peak)
    return len(pitches) / max(1, frames), float(np.median(pitches)) if pitches else 0.0
