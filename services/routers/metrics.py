"""``GET /metrics``: metrics for Prometheus; requires the operator's key."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from engines.contract import EngineUnavailable
from services.metrics import CONTENT_TYPE
from services.state import State
from services.tenancy.scopes import Scope, access
from services.wire.client import EngineClient
from services.wire.frames import EngineDescription

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
@access(Scope.OPERATOR)
async def get_metrics(state: State) -> Response:
    """Metrics of this Gateway process and its runners."""
    described = await asyncio.gather(*(_described(client) for client in state.directory.clients))
    body = state.metrics.exposed(engine for engine in described if engine is not None)
    return Response(body, media_type=CONTENT_TYPE)


async def _described(client: EngineClient) -> EngineDescription | None:
    try:
        return await client.describe()
    except EngineUnavailable:
        return None
