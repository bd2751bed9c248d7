"""The protocol between the engine and its worker process, on two pipes.

A frame is a header (kind, request id, length of the payload) and its payload, little-endian::

    engine ──▶ worker   SPEAK(id)  ABORT(id)  FLUSH(id)
    worker ──▶ engine   READY | FAILED, then for each SPEAK in order
                        PCM(id)*  WORDS(id)?  DONE(id) | ABORTED(id) | REFUSED(id)
                        and FLUSHED(id) for each FLUSH

Used in the worker too, so it imports only the standard library.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

HEADER: Final = struct.Struct("<BII")
MAX_PAYLOAD: Final = 1 << 20
"""Bytes in a payload; a longer one means that the other side is broken."""

_SPEAK: Final = struct.Struct("<HBB?H")
_READY: Final = struct.Struct("<I")
_MARK: Final = struct.Struct("<IIII")


class MessageKind(IntEnum):
    """The type of a frame."""

    SPEAK = 1
    """Speak the payload's :class:`Request`."""
    ABORT = 2
    """The speech of this id is abandoned."""
    FLUSH = 3
    """Everything up to this id is abandoned; answer FLUSHED when past it."""
    READY = 16
    """The library is loaded and speaks; the payload is the rate and the version."""
    FAILED = 17
    """The library does not load; the payload says why, and the worker ends."""
    PCM = 18
    """The next samples: 16-bit mono."""
    WORDS = 19
    """The words' :class:`Mark` records."""
    DONE = 20
    """All of this id is spoken."""
    REFUSED = 21
    """The library reported an error, which the payload names."""
    ABORTED = 22
    """Stopped because of an ABORT or FLUSH."""
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
    """One spoken word: milliseconds from the start of the utterance, and characters in its text.

    ``position`` counts characters from 1, as eSpeak NG does.
    """

    start: int
    end: int
    position: int
    length: int


class ProtocolError(Exception):
    """The bytes are not a frame."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to speak, in eSpeak NG's own terms.

    Attributes:
        text: UTF-8 text without markup.
        voice: Voice file below ``lang/``, with ``+variant`` appended where there is one.
        rate: Words a minute.
        pitch: 0 to 99, 50 is the voice's own.
        pitch_range: 0 to 99, 50 is the voice's own.
        timings: Whether WORDS is wanted.
    """

    text: str
    voice: str
    rate: int
    pitch: int = 50
    pitch_range: int = 50
    timings: bool = False

    def pack(self) -> bytes:
        """The payload of a SPEAK frame."""
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
    """One frame as bytes."""
    return HEADER.pack(kind, request_id, len(payload)) + payload


def unpack_header(header: bytes | bytearray) -> tuple[MessageKind, int, int]:
    """Kind, request id and payload length of the frame that ``header`` starts.

    Raises:
        ProtocolError: There is no such kind, or the payload is too long.
    """
    kind, request_id, length = HEADER.unpack_from(header)
    if length > MAX_PAYLOAD:
        raise ProtocolError(f"a payload of {length} bytes")
    try:
        return MessageKind(kind), request_id, length
    except ValueError:
        raise ProtocolError(f"a frame of kind {kind}") from None


def take_frames(buffer: bytearray) -> Iterator[Frame]:
    """Take the whole frames off the front of ``buffer``.

    Raises:
        ProtocolError: The buffer holds no frame.
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
    """The payload of READY."""
    return _READY.pack(sample_rate) + version.encode()


def unpack_ready(payload: bytes) -> tuple[int, str]:
    """Sample rate in hertz and the library's version."""
    return _READY.unpack_from(payload)[0], payload[_READY.size :].decode()


def pack_marks(marks: Sequence[Mark]) -> bytes:
    """The payload of WORDS."""
    return b"".join(_MARK.pack(*mark) for mark in marks)


def unpack_marks(payload: bytes) -> list[Mark]:
    """Read the payload of WORDS."""
    return [Mark(*record) for record in _MARK.iter_unpack(payload)]
