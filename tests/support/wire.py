"""A way to a server that can be cut."""

import socket
import threading
from contextlib import closing, suppress

from workers import free_port


class Wire:
    """A way to a server that can be cut: a TCP relay on a port of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.port = free_port()
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                for from_, to in ((near, far), (far, near)):
                    threading.Thread(target=_copy, args=(from_, to), daemon=True).start()


def _copy(from_: socket.socket, to: socket.socket) -> None:
    with suppress(OSError), closing(from_), closing(to):
        while data := from_.recv(65_536):
            to.sendall(data)
