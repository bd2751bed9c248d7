"""Dependencies of the routes under ``/admin``: a request's tenant, and its administration."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, TypeAlias, cast

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import not_found
from services.routers.fields import OrgId
from services.state import GatewayState
from services.tenancy.administration import Administration
from services.tenancy.caller import Caller
from services.tenancy.origin import Origin
from services.tenancy.principal import Principal


async def _tenant(caller: Caller, org_id: OrgId = None) -> str:
    """Return the tenant of a request: the caller's own, unless the operator names another.

    Raises:
        ApiError: 404, a caller other than the operator names another tenant.
    """
    if org_id is None or org_id == caller.org_id:
        return caller.org_id
    if not caller.operator:
        raise not_found("organisation", org_id)
    return org_id


Tenant: TypeAlias = Annotated[str, Depends(_tenant)]
"""Annotation of a route's parameter: the ID of the request's tenant."""


@asynccontextmanager
async def administration(state: GatewayState, request: Request) -> AsyncGenerator[Administration, None]:
    """Open an administration in one write transaction, on behalf of the request's caller."""
    async with state.gate.write() as session:
        yield _by_caller(session, state, request)


@asynccontextmanager
async def consulting(state: GatewayState, request: Request) -> AsyncGenerator[Administration, None]:
    """Open a read-only administration, which does not block writers."""
    async with state.gate.read() as session:
        yield _by_caller(session, state, request)


def one_time(state: GatewayState, token: str, path: str) -> dict[str, Any]:
    """Return a one-time token, and the path and URL to send it to; never derived from the ``Host`` header."""
    public = state.settings.server.public_url
    return {"token": token, "path": path, "url": None if public is None else public.rstrip("/") + path}


def _by_caller(session: AsyncSession, state: GatewayState, request: Request) -> Administration:
    return Administration(
        session, state.settings.quota, Origin.of(request), by=cast("Principal", request.state.principal)
    )


def time_text(at: datetime | None) -> str | None:
    """Return a time in ISO 8601, to the second."""
    return None if at is None else at.isoformat(timespec="seconds")
