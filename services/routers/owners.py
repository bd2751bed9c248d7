"""The owner of a request's voices, as a route's parameter."""

from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from services.quota.allowed import Allowed
from services.tenancy.caller import Caller
from services.tenancy.origin import Origin
from services.voices.transaction import Owner


async def _owner(caller: Caller, allowed: Allowed, request: Request) -> Owner:
    return Owner(org_id=caller.org_id, limits=allowed.limits, origin=Origin.of(request))


VoiceOwner: TypeAlias = Annotated[Owner, Depends(_owner)]
"""Annotates a route's parameter as the tenant that owns the voices, and its caller."""
