"""The caller of a request or a WebSocket, as a dependency of routes."""

from typing import Annotated, TypeAlias, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from services.tenancy.principal import Principal


async def _caller(connection: HTTPConnection) -> Principal:
    return cast("Principal", connection.state.principal)


Caller: TypeAlias = Annotated[Principal, Depends(_caller)]
"""Annotates a route's parameter as the caller, which the middleware has authenticated."""
