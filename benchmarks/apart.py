"""An object in a process of its own: measured alone, and what it leaves behind goes with it."""

import logging
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Self

from services.host.parent import end_with_parent

CALL_TIMEOUT: Final = 1_200.0
STOP_TIMEOUT: Final = 20.0


class Apart:
    """Makes an object in a new process and calls its methods there, one at a time; ``close`` last, if it has one.

    Args:
        make: Gives the object; a class or a function of a module, so that the process finds it.
        arguments: For ``make``; like arguments and results of calls, they are pickled.
    """

    def __init__(self, make: Callable[..., object], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, make, arguments))
        self._process.start()
        theirs.close()
        self._receive(CALL_TIMEOUT)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def call(self, method: str, *arguments: object, timeout: float = CALL_TIMEOUT) -> Any:  # noqa: ANN401 - as the method
        """Call a method and wait for what it gives.

        Raises:
            RuntimeError: It raised, with its traceback, or its process died.
            TimeoutError: It took longer than ``timeout`` seconds; the process is ended.
        """
        self._pipe.send((method, arguments))
        return self._receive(timeout)

    def close(self) -> None:
        """End the process, by force when it does not by itself."""
        try:
            self._pipe.send(None)
            self._process.join(STOP_TIMEOUT)
        except (BrokenPipeError, OSError):
            pass
        if self._process.is_alive():
            self._process.kill()
        self._process.join(STOP_TIMEOUT)
        self._pipe.close()

    def _receive(self, timeout: float) -> Any:  # noqa: ANN401 - what a method gave
        if not self._pipe.poll(timeout):
            self._process.kill()
            raise TimeoutError(f"no answer within {timeout:g} s")
        try:
            fine, value = self._pipe.recv()
        except EOFError:
            self._process.join(STOP_TIMEOUT)
            raise RuntimeError(f"the process ended with {self._process.exitcode}") from None
        if not fine:
            raise RuntimeError(value)
        return value


def _work(pipe: Connection, make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """The other process: answer calls until there is nobody to answer."""
    end_with_parent()  # also where the benchmark is killed
    os.dup2(2, 1)  # libraries print; the benchmark's standard output is its report
    sys.stdout = sys.stderr
    warnings.simplefilter("ignore")
    for noisy in ("TTS", "transformers"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    thing: Any = None
    order: tuple[str, tuple[object, ...]] | None = ("", ())
    while order is not None:
        method, values = order
        try:
            if method:
                answer = (True, getattr(thing, method)(*values))
            else:
                thing = make(*arguments)
                answer = (True, None)
        except Exception:  # noqa: BLE001 - told to the other side, whatever it is
            answer = (False, traceback.format_exc())
        pipe.send(answer)
        try:
            order = pipe.recv()
        except EOFError:
            order = None
    if hasattr(thing, "close"):
        thing.close()
