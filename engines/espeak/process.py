"""The engine's side of one worker process."""

import asyncio
import contextlib
import os
import sys
from collections import deque
from pathlib import Path
from typing import Final, cast

from engines.child import environment
from engines.contract import EngineUnavailable
from engines.espeak.wire import (
    CLOSING,
    Frame,
    MessageKind,
    ProtocolError,
    Request,
    pack_frame,
    take_frames,
    unpack_ready,
)

START_SECONDS: Final = 15.0
"""A start takes 0.05 s; this is for an overloaded machine."""
STOP_SECONDS: Final = 2.0
FLUSH_SECONDS: Final = 1.0
HIGH_WATER: Final = 1 << 20
"""Bytes of speech held for a slow reader; 23 s of audio. The worker waits while there are more."""
_STDIN, _STDOUT = 0, 1
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from engines.espeak.worker import main; main(*sys.argv[2:])"
)


class WorkerLost(Exception):  # noqa: N818 - named for what happened
    """The worker ended, or broke the protocol."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """A running worker. Made by :meth:`start`; used by one batch at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.SubprocessTransport | None = None
        self._buffer = bytearray()
        self._frames: deque[Frame] = deque()
        self._held = 0
        self._paused = False
        self._changed = asyncio.Event()
        self._lost = False
        self._gone = asyncio.Event()
        self._last_id = 0
        self._outstanding = 0
        self.sample_rate = 0
        self.version = ""

    @classmethod
    async def start(cls, library: Path, folder: Path) -> "WorkerProcess":
        """Start one and wait until it has spoken.

        Args:
            library: The shared library.
            folder: The folder that holds ``espeak-ng-data``.

        Raises:
            EngineUnavailable: It does not start; the message says why.
        """
        root = Path(__file__).parents[2]
        arguments = (str(root), str(library), str(folder), str(os.getpid()))
        loop = asyncio.get_running_loop()
        worker = cls()
        try:
            async with asyncio.timeout(START_SECONDS):
                await loop.subprocess_exec(
                    lambda: worker,
                    sys.executable,
                    # isolated, and without site-packages: it needs nothing but the standard library
                    *("-I", "-S", "-c", _PROGRAM, *arguments),
                    stderr=asyncio.subprocess.DEVNULL,
                    env=environment(os.environ),
                )
                await worker._greet()
        except (OSError, TimeoutError, WorkerLost) as error:
            await worker.stop()
            reason = str(error) or f"no answer within {START_SECONDS:g} s"
            raise EngineUnavailable(
                f"The eSpeak NG worker did not start: {reason}. Reinstall it with "
                "`pip install --force-reinstall espeakng-loader`; it has no build for musl (Alpine)."
            ) from error
        except BaseException:
            worker.kill()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._transport.get_pid() if self._transport else 0

    @property
    def alive(self) -> bool:
        """Whether it can be spoken to."""
        return not self._lost and self._transport is not None and self._transport.get_returncode() is None

    @property
    def busy(self) -> bool:
        """Whether it still works on abandoned requests."""
        return self._outstanding > 0

    def speak(self, request: Request) -> int:
        """Queue a request; returns the id of its frames."""
        self._last_id += 1
        self._outstanding += 1
        self._send(pack_frame(MessageKind.SPEAK, self._last_id, request.pack()))
        return self._last_id

    def abort(self, request_id: int) -> None:
        """Stop one request; it still ends with a closing frame."""
        self._send(pack_frame(MessageKind.ABORT, request_id))

    async def receive(self, timeout: float) -> Frame:  # noqa: ASYNC109 - callers poll with it, a scope each would cost more
        """The next frame.

        Raises:
            WorkerLost: It ended, and all of its output has been received.
            TimeoutError: Nothing came within ``timeout`` seconds; try again, or kill it.
        """
        if not self._frames:
            async with asyncio.timeout(timeout):
                await self._wait()
        frame = self._frames.popleft()
        self._held -= len(frame.payload)
        if self._paused and self._held < HIGH_WATER // 2:
            self._pause(paused=False)
        if frame.kind in CLOSING:
            self._outstanding -= 1
        return frame

    async def flush(self) -> None:
        """Stop and forget all requests.

        Raises:
            WorkerLost: It ended, or did not stop in time; it is killed then.
        """
        self._send(pack_frame(MessageKind.FLUSH, self._last_id))
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                while (await self.receive(FLUSH_SECONDS)).kind is not MessageKind.FLUSHED:
                    pass
        except TimeoutError:
            self.kill()
            raise WorkerLost("it did not stop") from None
        self._outstanding = 0

    def kill(self) -> None:
        """End it now."""
        self._lost = True
        self._changed.set()
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
            self._transport.close()

    async def stop(self) -> None:
        """End it, with its end of input first, and wait until nothing is left of it."""
        self._lost = True
        self._changed.set()
        if self._transport is None:
            return
        pipe = self._transport.get_pipe_transport(_STDIN)
        if pipe is not None:
            pipe.close()
        self._pause(paused=False)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._gone.wait()
        except TimeoutError:
            self.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._gone.wait()
        self._transport.close()

    async def _greet(self) -> None:
        frame = await self.receive(START_SECONDS)
        if frame.kind is not MessageKind.READY:
            raise WorkerLost(frame.payload.decode(errors="replace"))
        self.sample_rate, self.version = unpack_ready(frame.payload)

    async def _wait(self) -> None:
        while not self._frames:
            if self._lost:
                raise WorkerLost("it ended")
            self._changed.clear()
            await self._changed.wait()

    def _send(self, frame: bytes) -> None:
        pipe = self._transport.get_pipe_transport(_STDIN) if self._transport else None
        if pipe is not None and not pipe.is_closing():
            cast("asyncio.WriteTransport", pipe).write(frame)

    def _pause(self, *, paused: bool) -> None:
        """Stop or go on reading: a worker whose pipe is full waits."""
        pipe = self._transport.get_pipe_transport(_STDOUT) if self._transport else None
        if pipe is None or paused == self._paused:
            return
        reading = cast("asyncio.ReadTransport", pipe)
        if paused:
            reading.pause_reading()
        elif not reading.is_closing():
            reading.resume_reading()
        self._paused = paused

    # Callbacks of the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process has started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It wrote output."""
        if self._lost or fd != _STDOUT:
            return
        self._buffer += data
        try:
            for frame in take_frames(self._buffer):
                self._frames.append(frame)
                self._held += len(frame.payload)
        except ProtocolError:
            self.kill()
        if self._held > HIGH_WATER:
            self._pause(paused=True)
        self._changed.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It closed a pipe, which it only does by ending."""
        del exc
        if fd == _STDOUT:
            self._lost = True
            self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended and its pipes are closed."""
        del exc
        self._lost = True
        self._changed.set()
        self._gone.set()
