"""The eSpeak NG library, bound with ctypes. Only a worker process loads it.

It is not thread-safe and has global state: use one instance per process, in one thread. Text is passed
without the flags ``espeakSSML`` and ``espeakPHONEMES``: malicious SSML crashes the library, and ``[[`` would
switch to phoneme input. Names and values are those of ``speak_lib.h``.
"""

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from engines.espeak.wire import Mark, Request

if TYPE_CHECKING:
    from ctypes import _Pointer  # pyright: ignore[reportPrivateUsage] - ctypes has no public name for it

    _Samples: TypeAlias = "_Pointer[ctypes.c_short]"
    _Events: TypeAlias = "_Pointer[Event]"

Sink: TypeAlias = Callable[[bytes], bool]
"""Receives the next PCM, 16-bit mono; returns true to stop the library."""

_OUTPUT_SYNCHRONOUS: Final = 2
_INITIALIZE_PHONEME_EVENTS: Final = 0x0001
_INITIALIZE_DONT_EXIT: Final = 0x8000
_CHARS_UTF8: Final = 1
_END_PAUSE: Final = 0x1000
_POS_CHARACTER: Final = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_EVENT_LIST_END, _EVENT_WORD, _EVENT_END, _EVENT_PHONEME = 0, 1, 5, 7
_VOLUME_FULL: Final = 100

BUFFER_MS: Final = 200
"""Milliseconds of audio per callback. It takes 0.2 ms to compute, which limits the time to stop."""


class LibraryError(Exception):
    """The library cannot be loaded, or reported an error."""


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class Event(ctypes.Structure):
    """``espeak_EVENT``."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )
    type: int
    text_position: int
    length: int
    audio_position: int
    id: _EventId


class Espeak:
    """The loaded library.

    Args:
        library: Path of the shared library.
        data: Folder that contains ``espeak-ng-data``; the library rejects paths of 160 bytes or more.

    Raises:
        LibraryError: The library or its data cannot be loaded; the message says why.
    """

    def __init__(self, library: str, data: str) -> None:
        try:
            lib = ctypes.CDLL(library)
        except OSError as error:
            raise LibraryError(f"the library {library} does not load: {error}") from error
        lib.espeak_Info.restype = ctypes.c_char_p
        lib.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.POINTER(ctypes.c_uint),
            ctypes.c_void_p,
        ]
        callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
        )
        options = _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_DONT_EXIT
        rate = int(lib.espeak_Initialize(_OUTPUT_SYNCHRONOUS, BUFFER_MS, data.encode(), options))
        if rate <= 0:
            raise LibraryError(f"the data in {data} cannot be read (espeak_Initialize gave {rate})")
        self.sample_rate = rate
        self.version = bytes(lib.espeak_Info(None) or b"unknown").decode()
        self._lib = lib
        self._callback = callback(self._on_audio)  # kept alive, because the library has a bare pointer to it
        lib.espeak_SetSynthCallback(self._callback)
        self._voice = ""
        self._sink: Sink = _discard
        self._stopped = False
        self._words: list[list[int]] = []
        self._open = False

    def speak(self, request: Request, sink: Sink) -> list[Mark]:
        """Speak, passing PCM to ``sink``, until the end or until ``sink`` returns true.

        Returns:
            The spoken words.

        Raises:
            LibraryError: The voice does not exist, or the library failed.
        """
        if request.voice != self._voice:
            self._voice = ""
            self._check(self._lib.espeak_SetVoiceByName(request.voice.encode()), f"voice {request.voice}")
            self._voice = request.voice
        for parameter, value in (
            (_RATE, request.rate),
            (_VOLUME, _VOLUME_FULL),
            (_PITCH, request.pitch),
            (_RANGE, request.pitch_range),
        ):
            self._check(self._lib.espeak_SetParameter(parameter, value, 0), f"parameter {parameter}")
        self._sink, self._stopped = sink, False
        self._words, self._open = [], False
        text = request.text.encode()
        result = self._lib.espeak_Synth(
            text, len(text) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8 | _END_PAUSE, None, None
        )
        self._sink = _discard
        if not self._stopped:
            self._check(result, "speaking")
        return [Mark(*word) for word in self._words]

    def _on_audio(self, samples: "_Samples", count: int, events: "_Events") -> int:
        if self._stopped:
            return 1
        self._read(events)
        if samples and count > 0:
            self._stopped = self._sink(ctypes.string_at(samples, count * 2))
        return int(self._stopped)

    def _read(self, events: "_Events") -> None:
        """Record the words of events; a word ends at the next word, a pause or the end of its clause."""
        if not events:
            return
        index = 0
        while (event := events[index]).type != _EVENT_LIST_END:
            index += 1
            at = event.audio_position
            pause = event.type == _EVENT_PHONEME and bytes(event.id.string).startswith(b"_")
            if event.type in (_EVENT_WORD, _EVENT_END) or pause:
                if self._open:
                    self._words[-1][1] = at
                self._open = False
            if event.type == _EVENT_WORD:
                self._words.append([at, at, event.text_position, event.length])
                self._open = True

    @staticmethod
    def _check(result: int, doing: str) -> None:
        if result:
            raise LibraryError(f"{doing}: error {result}")


def _discard(pcm: bytes) -> bool:
    del pcm
    return False
