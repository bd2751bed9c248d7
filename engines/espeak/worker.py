"""The worker process: reads requests from standard input, and writes speech to standard output.

It imports only the standard library and the binding, so that it is small and starts in tens of milliseconds.
It exits when its standard input is closed and, on Linux, with its parent.
"""

import os
import queue
import sys
import threading
from typing import BinaryIO, Final

from engines.child import claim_pipes, confine, send
from engines.espeak.library import Espeak, LibraryError
from engines.espeak.wire import (
    HEADER,
    MessageKind,
    ProtocolError,
    Request,
    pack_frame,
    pack_marks,
    pack_ready,
    unpack_header,
)

QUEUE: Final = 64
"""Maximum number of queued requests; the engine sends fewer, see ``speaking.REQUESTS_AHEAD``."""


class Worker:
    """Serves requests with the library.

    Args:
        espeak: The library.
        requests: Pipe from which frames are read.
        out: File descriptor to which frames are written.
    """

    def __init__(self, espeak: Espeak, requests: BinaryIO, out: int) -> None:
        self._espeak = espeak
        self._requests = requests
        self._out = out
        self._queue: queue.Queue[tuple[MessageKind, int, bytes]] = queue.Queue(QUEUE)
        self._aborted: set[int] = set()
        self._flushed = 0

    def run(self) -> None:
        """Serve until the standard input is closed, which ends the process; never returns."""
        threading.Thread(target=self._listen, daemon=True).start()
        send(
            self._out,
            pack_frame(MessageKind.READY, 0, pack_ready(self._espeak.sample_rate, self._espeak.version)),
        )
        while True:
            kind, request_id, payload = self._queue.get()
            if kind is MessageKind.FLUSH:
                self._aborted.clear()
                send(self._out, pack_frame(MessageKind.FLUSHED, request_id))
            else:
                send(self._out, self._speak(request_id, payload))

    def _listen(self) -> None:
        """Read frames in a separate thread, so that an abort is noticed during speech."""
        while len(header := self._requests.read(HEADER.size)) == HEADER.size:
            try:
                kind, request_id, length = unpack_header(header)
            except ProtocolError:
                os._exit(os.EX_DATAERR if sys.platform != "win32" else 1)
            payload = self._requests.read(length)
            if kind is MessageKind.ABORT:
                self._aborted.add(request_id)
                continue
            if kind is MessageKind.FLUSH:
                self._flushed = request_id
            self._queue.put((kind, request_id, payload))
        os._exit(0)  # the parent closed the pipe or exited; do not wait for the speaking thread

    def _speak(self, request_id: int, payload: bytes) -> bytes:
        """Speak one request; return its closing frames."""
        if self._unwanted(request_id):
            return self._stopped(request_id)

        def sink(pcm: bytes) -> bool:
            if self._unwanted(request_id):
                return True
            send(self._out, pack_frame(MessageKind.PCM, request_id, pcm))
            return False

        request = Request.unpack(payload)
        try:
            marks = self._espeak.speak(request, sink)
        except LibraryError as error:
            return pack_frame(MessageKind.REFUSED, request_id, str(error).encode())
        if self._unwanted(request_id):
            return self._stopped(request_id)
        self._forget(request_id)
        words = pack_frame(MessageKind.WORDS, request_id, pack_marks(marks)) if request.timings else b""
        return words + pack_frame(MessageKind.DONE, request_id)

    def _unwanted(self, request_id: int) -> bool:
        return request_id in self._aborted or request_id <= self._flushed

    def _forget(self, request_id: int) -> None:
        """Remove aborts of finished requests, including late ones."""
        self._aborted.difference_update([late for late in tuple(self._aborted) if late <= request_id])

    def _stopped(self, request_id: int) -> bytes:
        self._forget(request_id)
        return pack_frame(MessageKind.ABORTED, request_id)


def main(library: str, folder: str, parent: str) -> None:
    """Load the library, check that it speaks, and serve.

    Args:
        library: Path of the shared library.
        folder: Folder that contains ``espeak-ng-data``.
        parent: Process ID of the parent.
    """
    confine(int(parent))
    requests, out = claim_pipes()
    heard: list[int] = []

    def sink(pcm: bytes) -> bool:
        heard.append(len(pcm))
        return False

    try:
        os.chdir(folder)  # the library rejects paths of 160 bytes or more
        espeak = Espeak(library, ".")
        espeak.speak(Request("a", "gmw/en", 175), sink)
    except (LibraryError, OSError) as error:
        send(out, pack_frame(MessageKind.FAILED, 0, str(error).encode()))
        sys.exit(1)
    if not sum(heard):
        send(out, pack_frame(MessageKind.FAILED, 0, b"it loads but says nothing"))
        sys.exit(1)
    Worker(espeak, requests, out).run()
