"""``/admin``: tenants, for the operator; members, keys and the audit log, for a tenant's admins.

An admin manages its own tenant and never names one. The operator may name another with ``org_id``.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.config import QuotaLimits, RetentionConfig
from services.errors import ErrorAnswer
from services.routers.auth import ANSWERS as AUTH_ANSWERS
from services.routers.fields import (
    After,
    Email,
    Id,
    Limit,
    Name,
    OrgId,
    Password,
    Plan,
    Storable,
    WholeNumbers,
)
from services.state import GatewayState, State
from services.tenancy.administration import Administration, not_found
from services.tenancy.caller import Caller
from services.tenancy.origin import Origin
from services.tenancy.principal import Principal
from services.tenancy.scopes import ROLES, Scope, access
from storage.objects.erase import erase_org
from storage.repositories.audit import AuditRepository
from storage.repositories.keys import KeyRepository
from storage.repositories.orgs import OrgRepository
from storage.repositories.users import Member, MemberRepository
from storage.tables import ApiKey, AuditEvent, Org

router = APIRouter(prefix="/admin", tags=["admin"])

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    **{status: AUTH_ANSWERS[status] for status in (400, 401, 413, 503)},
    403: {"model": ErrorAnswer, "description": "The key or role may not do this."},
    404: {"model": ErrorAnswer, "description": "There is no such thing in this organisation."},
    409: {"model": ErrorAnswer, "description": "It contradicts what is there already."},
}


class Body(BaseModel):
    """A request's body: unknown fields are mistakes, and errors don't repeat secrets."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewOrg(Body):
    """A tenant to be made."""

    name: Name
    plan: Plan | None = None
    limits: Annotated[QuotaLimits, WholeNumbers] = QuotaLimits()


class OrgChange(Body):
    """What changes of a tenant; what is left out stays. ``limits`` and ``retention`` replace the old."""

    name: Name | None = None
    plan: Plan | None = None
    limits: Annotated[QuotaLimits, WholeNumbers] | None = None
    retention: Annotated[RetentionConfig, WholeNumbers] | None = None
    disabled: bool | None = None


class NewMember(Body):
    """A user to be given a place."""

    email: Email
    name: Annotated[str, Field(max_length=200), Storable] = ""
    role: str = Field(default="member", max_length=20, description=f"{', '.join(ROLES)}.")
    password: Password | None = None


class MemberChange(Body):
    """What changes of a member."""

    role: Annotated[str, Field(max_length=20)] | None = None
    password: Password | None = None


class NewKey(Body):
    """A key to be made."""

    name: Name
    scopes: list[Scope] | None = Field(default=None, description="By default what applications need.")
    expires_at: AwareDatetime | None = None


@router.get("/orgs", operation_id="listOrgs", responses=ANSWERS)
@access(Scope.OPERATOR)
async def list_orgs(state: State, after: After = None, limit: Limit = 100) -> dict[str, Any]:
    """All organisations."""
    async with state.gate.read() as session:
        orgs = await OrgRepository(session).list(after=after, limit=limit)
    return _page([_org(org) for org in orgs], limit)


@router.post("/orgs", operation_id="createOrg", status_code=201, responses=ANSWERS)
@access(Scope.OPERATOR)
async def create_org(body: NewOrg, state: State, request: Request) -> dict[str, Any]:
    """Make an organisation."""
    async with _administration(state, request) as admin:
        limits = body.limits.model_dump(exclude_unset=True)
        return _org(await admin.create_org(body.name, plan=body.plan, limits=limits))


@router.get("/orgs/{org_id}", operation_id="getOrg", responses=ANSWERS)
@access(Scope.OPERATOR)
async def get_org(org_id: Id, state: State, request: Request) -> dict[str, Any]:
    """One organisation."""
    async with _administration(state, request) as admin:
        return _org(await admin.org(org_id))


@router.patch("/orgs/{org_id}", operation_id="changeOrg", responses=ANSWERS)
@access(Scope.OPERATOR)
async def change_org(org_id: Id, body: OrgChange, state: State, request: Request) -> dict[str, Any]:
    """Change an organisation, or lock it out and let it in again."""
    async with _administration(state, request) as admin:
        org = await admin.update_org(
            org_id,
            name=body.name,
            plan=body.plan,
            limits=None if body.limits is None else body.limits.model_dump(exclude_unset=True),
            retention=None if body.retention is None else body.retention.model_dump(exclude_unset=True),
            disabled=body.disabled,
        )
        return _org(org)


@router.delete("/orgs/{org_id}", operation_id="deleteOrg", status_code=204, responses=ANSWERS)
@access(Scope.OPERATOR)
async def delete_org(org_id: Id, state: State, request: Request) -> None:
    """Remove an organisation with everything that is its own; the audit log stays."""
    async with _administration(state, request) as admin:
        await admin.lock_for_good(org_id)
    # Between the two, so that whatever fails leaves an organisation that can be deleted again.
    await erase_org(state.objects, org_id)
    async with _administration(state, request) as admin:
        await admin.delete_org(org_id)


@router.get("/users", operation_id="listUsers", responses=ANSWERS)
@access(Scope.ADMIN)
async def list_users(
    state: State, caller: Caller, org_id: OrgId = None, after: After = None, limit: Limit = 100
) -> dict[str, Any]:
    """The members of an organisation."""
    async with state.gate.read() as session:
        members = await MemberRepository(session, _tenant(caller, org_id)).list(after=after, limit=limit)
    return _page([_member(member) for member in members], limit)


@router.post("/users", operation_id="createUser", status_code=201, responses=ANSWERS)
@access(Scope.ADMIN)
async def create_user(
    body: NewMember, state: State, caller: Caller, request: Request, org_id: OrgId = None
) -> dict[str, Any]:
    """Give a user a place, and make the user if there is none of that address."""
    async with _administration(state, request) as admin:
        tenant = (await admin.org(_tenant(caller, org_id))).id
        member = await admin.add_member(
            tenant,
            body.email,
            role=body.role,
            password=body.password,
            name=body.name,
            by_owner=_is_owner(caller),
            by_operator=caller.operator,
        )
        return _member(member)


@router.get("/users/{user_id}", operation_id="getUser", responses=ANSWERS)
@access(Scope.ADMIN)
async def get_user(
    user_id: Id, state: State, caller: Caller, request: Request, org_id: OrgId = None
) -> dict[str, Any]:
    """One member."""
    async with _administration(state, request) as admin:
        return _member(await admin.member(_tenant(caller, org_id), user_id))


@router.patch("/users/{user_id}", operation_id="changeUser", responses=ANSWERS)
@access(Scope.ADMIN)
async def change_user(
    user_id: Id, body: MemberChange, state: State, caller: Caller, request: Request, org_id: OrgId = None
) -> dict[str, Any]:
    """Change a member's role or password."""
    async with _administration(state, request) as admin:
        member = await admin.change_member(
            _tenant(caller, org_id),
            user_id,
            role=body.role,
            password=body.password,
            by_owner=_is_owner(caller),
            by_operator=caller.operator,
        )
        return _member(member)


@router.delete("/users/{user_id}", operation_id="deleteUser", status_code=204, responses=ANSWERS)
@access(Scope.ADMIN)
async def delete_user(
    user_id: Id, state: State, caller: Caller, request: Request, org_id: OrgId = None
) -> None:
    """Take a member's place away."""
    async with _administration(state, request) as admin:
        await admin.remove_member(_tenant(caller, org_id), user_id, by_owner=_is_owner(caller))


@router.get("/keys", operation_id="listKeys", responses=ANSWERS)
@access(Scope.ADMIN)
async def list_keys(
    state: State, caller: Caller, org_id: OrgId = None, after: After = None, limit: Limit = 100
) -> dict[str, Any]:
    """The keys of an organisation, revoked ones too; never their secrets."""
    async with state.gate.read() as session:
        keys = await KeyRepository(session, _tenant(caller, org_id)).list(after=after, limit=limit)
    return _page([_key(key) for key in keys], limit)


@router.post("/keys", operation_id="createKey", status_code=201, responses=ANSWERS)
@access(Scope.ADMIN)
async def create_key(
    body: NewKey, state: State, caller: Caller, request: Request, org_id: OrgId = None
) -> dict[str, Any]:
    """Make a key. ``key`` is shown here and never again."""
    async with _administration(state, request) as admin:
        tenant = (await admin.org(_tenant(caller, org_id))).id
        made = await admin.create_key(
            tenant,
            name=body.name,
            scopes=body.scopes,
            allowed=caller.scopes,
            user_id=caller.user_id if tenant == caller.org_id else None,
            expires_at=body.expires_at,
        )
        return {**_key(made.key), "key": made.text}


@router.get("/keys/{key_id}", operation_id="getKey", responses=ANSWERS)
@access(Scope.ADMIN)
async def get_key(
    key_id: Id, state: State, caller: Caller, request: Request, org_id: OrgId = None
) -> dict[str, Any]:
    """One key, without its secret."""
    async with _administration(state, request) as admin:
        return _key(await admin.key(_tenant(caller, org_id), key_id))


@router.delete("/keys/{key_id}", operation_id="revokeKey", responses=ANSWERS)
@access(Scope.ADMIN)
async def revoke_key(
    key_id: Id, state: State, caller: Caller, request: Request, org_id: OrgId = None
) -> dict[str, Any]:
    """Revoke a key. It stays in the list, with when that was."""
    async with _administration(state, request) as admin:
        return _key(await admin.revoke_key(_tenant(caller, org_id), key_id))


@router.get("/audit", operation_id="listAuditEvents", responses=ANSWERS)
@access(Scope.ADMIN)
async def list_audit_events(
    state: State,
    caller: Caller,
    org_id: OrgId = None,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="The last id of the page before.")
    ] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """The audit log, the newest event first."""
    async with state.gate.read() as session:
        events = await AuditRepository(session, _tenant(caller, org_id)).list(before=before, limit=limit)
    return _page([_event(event) for event in events], limit)


@asynccontextmanager
async def _administration(state: GatewayState, request: Request) -> AsyncGenerator[Administration, None]:
    async with state.gate.write() as session:
        yield Administration(session, state.settings.quota, state.passwords, Origin.of(request))


def _tenant(caller: Principal, org_id: str | None) -> str:
    """The tenant that is meant: one's own unless another is named.

    Raises:
        ApiError: 404, another one is named by somebody who does not run the server.
    """
    if org_id is None or org_id == caller.org_id:
        return caller.org_id
    if not caller.operator:
        raise not_found("organisation", org_id)
    return org_id


def _is_owner(caller: Principal) -> bool:
    return caller.operator or caller.role == "owner"


def _page(data: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": len(data) == limit}


def _org(org: Org) -> dict[str, Any]:
    return {
        "id": org.id,
        "object": "organization",
        "name": org.name,
        "plan": org.plan,
        "limits": org.limits,
        "retention": org.retention,
        "created_at": _time(org.created_at),
        "disabled_at": _time(org.disabled_at),
    }


def _member(member: Member) -> dict[str, Any]:
    user, role = member
    return {
        "id": user.id,
        "object": "user",
        "email": user.email,
        "name": user.name,
        "role": role,
        "operator": user.operator,
        "created_at": _time(user.created_at),
        "disabled_at": _time(user.disabled_at),
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "prefix": f"atk_{key.prefix}",
        "scopes": key.scopes,
        "user_id": key.user_id,
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "last_used_at": _time(key.last_used_at),
        "revoked_at": _time(key.revoked_at),
    }


def _event(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "object": "audit_event",
        "at": _time(event.at),
        "actor": event.actor,
        "action": event.action,
        "target": event.target,
        "address": event.address,
        "request_id": event.request_id,
        "details": event.details,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
