"""Responses with objects from the object store."""

from starlette.responses import Response, StreamingResponse

from services.errors import ApiError
from services.state import GatewayState
from storage.objects.contract import ObjectMissing


async def send_object(state: GatewayState, key: str | None, content_type: str) -> Response:
    """Return a response that streams a recording from the object store.

    Raises:
        ApiError: 404, the recording is no longer kept.
    """
    if key is None:
        raise ApiError(404, "The recording is no longer kept.", code="recording_not_kept")
    try:
        reader = await state.objects.open(key)
    except ObjectMissing as error:
        raise ApiError(404, "The recording is no longer kept.", code="recording_not_kept") from error
    headers = {"content-length": str(reader.length), "cache-control": "private, no-store"}
    return StreamingResponse(reader.chunks, 200, headers, media_type=content_type)
