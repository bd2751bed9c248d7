"""The caller of a request, for its route."""

from typing import Annotated, TypeAlias, cast

from fastapi import Depends, Request

from services.quota.limits import Allowance
from services.tenancy.principal import Principal


async def _caller(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


async def _allowed(request: Request) -> Allowance:
    return cast("Allowance", request.state.allowance)


Caller: TypeAlias = Annotated[Principal, Depends(_caller)]
"""Declares a route's parameter as who calls it. The middleware has let them through."""

Allowed: TypeAlias = Annotated[Allowance, Depends(_allowed)]
"""Declares a route's parameter as what the caller's tenant may use."""
