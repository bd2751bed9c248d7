"""The protocol between the engine and a worker process, over two pipes.

A frame is a header (kind, request ID, length of the payload) and the payload, in little-endian order::

    engine ──▶ worker   SPEAK(id)  ABORT(id)  FLUSH(id)
    worker ──▶ engine   READY | FAILED, then for each SPEAK in order
                        PCM(id)*  WORDS(id)?  DONE(id) | ABORTED(id) | REFUSED(id)
                        and FLUSHED(id) for each FLUSH

The worker uses this module as well, so it imports only the standard library.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

HEADER: Final = struct.Struct("<BII")
MAX_PAYLOAD: Final = 1 << 20
"""Maximum size of a payload in bytes; a larger one is a protocol error."""

_SPEAK: Final = struct.Struct("<HBB?H")
_READY: Final = struct.Struct("<I")
_MARK: Final = struct.Struct("<IIII")


class MessageKind(IntEnum):
    """The type of a frame."""

    SPEAK = 1
    """Speak the payload's :class:`Request`."""
    ABORT = 2
    """The request of this ID is abandoned."""
    FLUSH = 3
    """All requests up to this ID are abandoned; answered by FLUSHED once they have ended."""
    READY = 16
    """The library is loaded and has spoken; the payload is its sample rate and version."""
    FAILED = 17
    """The library cannot be loaded; the payload says why, and the worker exits."""
    PCM = 18
    """The next samples: 16-bit mono."""
    WORDS = 19
    """The words' :class:`Mark` records."""
    DONE = 20
    """The request is completely spoken."""
    REFUSED = 21
    """The library reported the error in the payload."""
    ABORTED = 22
    """The request was stopped by ABORT or FLUSH."""
    FLUSHED = 23
    """Answer to FLUSH."""


CLOSING: Final = frozenset({MessageKind.DONE, MessageKind.REFUSED, MessageKind.ABORTED})
"""The frames that end a request."""


class Frame(NamedTuple):
    """One frame."""

    kind: MessageKind
    id: int
    payload: bytes


class Mark(NamedTuple):
    """A spoken word: times in milliseconds from the start of the utterance, and its place in the text.

    ``position`` and ``length`` are in characters; ``position`` is 1-based, as in eSpeak NG.
    """

    start: int
    end: int
    position: int
    length: int


class ProtocolError(Exception):
    """The bytes are not a valid frame."""


@dataclass(frozen=True, slots=True)
class Request:
    """A text to speak, with eSpeak NG's parameters.

    Attributes:
        text: Text without markup.
        voice: Voice file below ``lang/``, with ``+<variant>`` appended, if any.
        rate: Words per minute.
        pitch: Pitch from 0 to 99; 50 is the voice's own.
        pitch_range: Pitch range from 0 to 99; 50 is the voice's own.
        timings: Whether to send WORDS.
    """

    text: str
    voice: str
    rate: int
    pitch: int = 50
    pitch_range: int = 50
    timings: bool = False

    def pack(self) -> bytes:
        """Return the payload of a SPEAK frame."""
        voice = self.voice.encode()
        head = _SPEAK.pack(self.rate, self.pitch, self.pitch_range, self.timings, len(voice))
        return head + voice + self.text.encode()

    @classmethod
    def unpack(cls, payload: bytes) -> "Request":
        """Read the payload of a SPEAK frame."""
        rate, pitch, pitch_range, timings, length = _SPEAK.unpack_from(payload)
        end = _SPEAK.size + length
        return cls(
            payload[end:].decode(),
            payload[_SPEAK.size : end].decode(),
            rate,
            pitch,
            pitch_range,
            timings,
        )


def pack_frame(kind: MessageKind, request_id: int, payload: bytes = b"") -> bytes:
    """Return a frame as bytes."""
    return HEADER.pack(kind, request_id, len(payload)) + payload


def unpack_header(header: bytes | bytearray) -> tuple[MessageKind, int, int]:
    """Return the kind, request ID and payload length of a header.

    Raises:
        ProtocolError: The kind is unknown, or the payload is too long.
    """
    kind, request_id, length = HEADER.unpack_from(header)
    if length > MAX_PAYLOAD:
        raise ProtocolError(f"a payload of {length} bytes")
    try:
        return MessageKind(kind), request_id, length
    except ValueError:
        raise ProtocolError(f"a frame of kind {kind}") from None


def take_frames(buffer: bytearray) -> Iterator[Frame]:
    """Remove complete frames from the start of ``buffer``, and yield them.

    Raises:
        ProtocolError: The buffer does not start with a valid frame.
    """
    while len(buffer) >= HEADER.size:
        kind, request_id, length = unpack_header(buffer)
        end = HEADER.size + length
        if len(buffer) < end:
            return
        payload = bytes(buffer[HEADER.size : end])
        del buffer[:end]
        yield Frame(kind, request_id, payload)


def pack_ready(sample_rate: int, version: str) -> bytes:
    """Return the payload of READY."""
    return _READY.pack(sample_rate) + version.encode()


def unpack_ready(payload: bytes) -> tuple[int, str]:
    """Return the sample rate in hertz and the library's version from the payload of READY."""
    return _READY.unpack_from(payload)[0], payload[_READY.size :].decode()


def pack_marks(marks: Sequence[Mark]) -> bytes:
    """Return the payload of WORDS."""
    return b"".join(_MARK.pack(*mark) for mark in marks)


def unpack_marks(payload: bytes) -> list[Mark]:
    """Read the payload of WORDS."""
    return [Mark(*record) for record in _MARK.iter_unpack(payload)]
