"""The engine's handle of one worker process."""

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
"""Timeout of a start in seconds. It takes 0.05 s, except on an overloaded machine."""
STOP_SECONDS: Final = 2.0
FLUSH_SECONDS: Final = 1.0
HIGH_WATER: Final = 1 << 20
"""Bytes of buffered PCM above which the worker waits for a slow reader; 23 s of audio."""
_STDIN, _STDOUT = 0, 1
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from engines.espeak.worker import main; main(*sys.argv[2:])"
)


class WorkerLost(Exception):  # noqa: N818 - named for what happened
    """The worker exited, or violated the protocol."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """A running worker. Created by :meth:`start`; used by one batch at a time."""

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
        """Start a worker, and wait until it has spoken once.

        Args:
            library: Path of the shared library.
            folder: Folder that contains ``espeak-ng-data``.

        Raises:
            EngineUnavailable: The worker does not start; the message says why.
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
                    # isolated, and without site-packages: it needs only the standard library
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
        """Process ID."""
        return self._transport.get_pid() if self._transport else 0

    @property
    def alive(self) -> bool:
        """Whether the process is running and has not been given up."""
        return not self._lost and self._transport is not None and self._transport.get_returncode() is None

    @property
    def busy(self) -> bool:
        """Whether requests are unfinished."""
        return self._outstanding > 0

    def speak(self, request: Request) -> int:
        """Queue a request; return the ID of its frames."""
        self._last_id += 1
        self._outstanding += 1
        self._send(pack_frame(MessageKind.SPEAK, self._last_id, request.pack()))
        return self._last_id

    def abort(self, request_id: int) -> None:
        """Abort one request; it still ends with a closing frame."""
        self._send(pack_frame(MessageKind.ABORT, request_id))

    async def receive(self, timeout: float) -> Frame:  # noqa: ASYNC109 - callers poll with it, a scope each would cost more
        """Return the next frame.

        Raises:
            WorkerLost: The worker exited, and all of its output has been received.
            TimeoutError: No frame arrived within ``timeout`` seconds; retry, or kill the worker.
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
        """Abort all requests, and discard their frames.

        Raises:
            WorkerLost: The worker exited, or did not stop in time and was killed.
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
        """Kill the process, without waiting for its exit."""
        self._lost = True
        self._changed.set()
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
            self._transport.close()

    async def stop(self) -> None:
        """End the process and wait for its exit: close its input, and kill it if that does not suffice."""
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
        """Pause or resume reading; the worker waits while its pipe is full."""
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
        """Handle the start of the process."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Handle output of the process."""
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
        """Handle the end of a pipe: the process closes it only by exiting."""
        del exc
        if fd == _STDOUT:
            self._lost = True
            self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the exit of the process, after its pipes are closed."""
        del exc
        self._lost = True
        self._changed.set()
        self._gone.set()
