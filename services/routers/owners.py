"""The owner of a request's voices, as a dependency of routes."""

from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from services.quota.allowed import Allowed
from services.tenancy.caller import Caller
from services.tenancy.origin import Origin
from services.voices.transaction import Owner


async def _owner(caller: Caller, allowed: Allowed, request: Request) -> Owner:
    return Owner(org_id=caller.org_id, limits=allowed.limits, origin=Origin.of(request))


VoiceOwner: TypeAlias = Annotated[Owner, Depends(_owner)]
"""Annotation of a route's parameter: the tenant that owns the voices, with its limits, and the caller."""
