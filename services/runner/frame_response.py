"""The response that sends frames to the Gateway."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.tasks import until_hangup
from services.wire.frames import MEDIA_TYPE, SAMPLE_RATE_HEADER


class FrameResponse(Response):
    """Streams frames until they end or the Gateway disconnects.

    Args:
        frames: The frames to send; closed at the end in any case.
        sample_rate: Sample rate of their audio in Hz.
    """

    def __init__(self, frames: AsyncGenerator[bytes, None], sample_rate: int) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers={SAMPLE_RATE_HEADER: str(sample_rate)})
        del self.headers["content-length"]
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames."""
        del scope
        await until_hangup(self._send(send), receive)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(self._frames) as frames:
            async for data in frames:
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
