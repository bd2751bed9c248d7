"""The process that converts text to IPA with eSpeak NG: a line of JSON in, a line of JSON out.

The library is GPL-3.0-or-later and has global state, so it is loaded in this process only, which imports just
the standard library. The process exits when its standard input is closed and, on Linux, with its parent.
"""

import ctypes
import json
import os
from typing import Final

from engines.child import claim_pipes, confine, send

_OUTPUT_SYNCHRONOUS: Final = 2
_INITIALIZE_DONT_EXIT: Final = 0x8000
_CHARS_UTF8: Final = 1
_IPA: Final = 0x02
_SEPARATOR: Final = ord("_") << 8
_CONTROLS: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
"""Control characters become spaces: U+0001 would start a command, and U+0000 end the text."""


class EspeakLibrary:
    """The loaded library; see ``espeak_TextToPhonemes`` in ``speak_lib.h``.

    Args:
        library: Path of the shared library.

    Raises:
        OSError: The library cannot be loaded, or its data in the working directory cannot be read.
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
            raise OSError("eSpeak NG cannot read its data")
        self._voice = ""

    def ipa(self, voice: str, text: str) -> str:
        """Return the IPA of a text, with ``_`` between phonemes and spaces between words.

        Raises:
            ValueError: The voice does not exist.
        """
        if voice != self._voice:
            self._voice = ""
            if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ValueError(f"eSpeak NG has no voice {voice}")
            self._voice = voice
        rest = ctypes.c_char_p(text.translate(_CONTROLS).encode(errors="replace"))
        clauses: list[str] = []
        while rest.value:
            said = self._lib.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, _IPA | _SEPARATOR)
            clauses.append((said or b"").decode(errors="replace"))
        return " ".join(clauses)


def main(library: str, folder: str, parent: str) -> None:
    """Load the library, and answer questions until the standard input is closed.

    A question is ``{"id": 1, "texts": [[voice, text], …]}``, its answer ``{"id": 1, "ipa": […]}`` or
    ``{"id": 1, "error": …}``. The first line, ``{"id": 0, …}``, reports whether the library could be loaded.

    Args:
        library: Path of the shared library.
        folder: Folder that contains ``espeak-ng-data``.
        parent: Process ID of the parent.
    """
    confine(int(parent))
    requests, out = claim_pipes()
    try:
        os.chdir(folder)  # the library rejects paths of 160 bytes or more
        espeak = EspeakLibrary(library)
    except OSError as error:
        send(out, _line({"id": 0, "error": str(error)}))
        return
    send(out, _line({"id": 0, "ipa": []}))
    for line in requests:
        question = json.loads(line)
        try:
            said = [espeak.ipa(voice, text) for voice, text in question["texts"]]
        except ValueError as error:
            send(out, _line({"id": question["id"], "error": str(error)}))
        else:
            send(out, _line({"id": question["id"], "ipa": said}))


def _line(answer: dict[str, object]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode() + b"\n"
