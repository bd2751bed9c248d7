"""The allowance of the caller's tenant, as a dependency of routes."""

from typing import Annotated, TypeAlias, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from services.quota.limits import Allowance


async def _allowed(connection: HTTPConnection) -> Allowance:
    return cast("Allowance", connection.state.allowance)


Allowed: TypeAlias = Annotated[Allowance, Depends(_allowed)]
"""Annotates a route's parameter as the allowance of the caller's tenant."""
