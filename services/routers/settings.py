"""``GET /config``: the effective settings, read-only, secrets masked."""

from typing import Any

from fastapi import APIRouter

from services.state import State
from services.tenancy.scopes import Scope, access

router = APIRouter(tags=["settings"])


@router.get("/config", operation_id="getConfig")
@access(Scope.OPERATOR)
async def get_config(state: State) -> dict[str, Any]:
    """The effective settings and where each value came from."""
    return state.loaded.shown()
