"""The process that asks eSpeak NG how words are said: a line of JSON in, a line of JSON out.

The library is GPL-3.0-or-later and keeps global state, so it is loaded here and nowhere else. It imports the
standard library alone. It ends with its standard input, and on Linux with its parent.
"""

import ctypes
import json
import os
from typing import Final

from engines.espeak.worker import claim_pipes, confine, send

VOICE: Final = b"gmw/en-US"
LONGEST: Final = 100
"""Characters of a word; what is longer is no word."""
_OUTPUT_SYNCHRONOUS: Final = 2
_INITIALIZE_DONT_EXIT: Final = 0x8000
_CHARS_UTF8: Final = 1
_IPA: Final = 0x02
_SEPARATOR: Final = ord("_") << 8


class Phonemizer:
    """A loaded library, see ``espeak_TextToPhonemes`` in ``speak_lib.h``.

    Args:
        library: Path of the shared library.

    Raises:
        OSError: It does not load, or its data, in the working folder, cannot be read.
    """

    def __init__(self, library: str) -> None:
        self._lib = ctypes.CDLL(library)
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._lib.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int,
            ctypes.c_int,
        ]
        if self._lib.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, b".", _INITIALIZE_DONT_EXIT) <= 0:
            raise OSError("its data cannot be read")
        if self._lib.espeak_SetVoiceByName(VOICE) != 0:
            raise OSError("it has no American English")

    def ipa(self, word: str) -> str:
        """How a word is said, in IPA, ``_`` between phonemes."""
        text = ctypes.c_char_p(word[:LONGEST].encode())
        clauses: list[str] = []
        while text.value:
            said = self._lib.espeak_TextToPhonemes(ctypes.byref(text), _CHARS_UTF8, _IPA | _SEPARATOR)
            clauses.append((said or b"").decode())
        return " ".join(clauses)


def main(library: str, folder: str, parent: str) -> None:
    """Load the library and answer until the standard input ends.

    Args:
        library: Path of the shared library.
        folder: The folder that holds ``espeak-ng-data``.
        parent: Process id of the parent.
    """
    confine(int(parent))
    requests, out = claim_pipes()
    try:
        os.chdir(folder)  # the library refuses a path of 160 bytes; "." is shorter
        phonemizer = Phonemizer(library)
    except OSError as error:
        send(out, json.dumps({"error": str(error)}).encode() + b"\n")
        return
    send(out, json.dumps({"ready": True}).encode() + b"\n")
    for line in requests:
        send(out, json.dumps([phonemizer.ipa(word) for word in json.loads(line)]).encode() + b"\n")
