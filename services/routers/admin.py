"""``/admin``: tenants, for the operator; members, keys and the audit log, for a tenant's admins.

Invitations are in :mod:`services.routers.invitations`.

An admin manages its own tenant and never names one. The operator may name another with ``org_id``.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, Field

from services.config import QuotaLimits, RetentionConfig
from services.errors import answers
from services.routers.administering import Tenant, administration, consulting, one_time, time_text
from services.routers.fields import (
    After,
    Body,
    Email,
    Id,
    Limit,
    Name,
    Password,
    PersonName,
    Plan,
    Role,
    WholeNumbers,
    page,
)
from services.state import State
from services.tenancy.caller import Caller
from services.tenancy.origin import Origin
from services.tenancy.scopes import Scope, access
from storage.objects.erase import erase_org
from storage.repositories.audit import AuditRepository
from storage.repositories.keys import KeyRepository
from storage.repositories.orgs import OrgRepository
from storage.repositories.users import Member, MemberRepository
from storage.tables import ApiKey, AuditEvent, Org

router = APIRouter(prefix="/admin", tags=["admin"], responses=answers(404, 409, 429))

RESET_PATH: Final = "/auth/password/reset"


class NewOrg(Body):
    """An organisation to create."""

    name: Name
    plan: Plan | None = None
    limits: Annotated[QuotaLimits, WholeNumbers] = QuotaLimits()


class OrgChange(Body):
    """Changes to an organisation; ``limits`` and ``retention`` are replaced as a whole.

    Omitted fields are unchanged.
    """

    name: Name | None = None
    plan: Plan | None = None
    limits: Annotated[QuotaLimits, WholeNumbers] | None = None
    retention: Annotated[RetentionConfig, WholeNumbers] | None = None
    disabled: bool | None = None


class NewMember(Body):
    """A user to create as a member."""

    email: Email
    name: PersonName = ""
    role: Role = "member"
    password: Password | None = Field(
        default=None, description="Without it, the user chooses one through a reset (`POST …/reset`)."
    )


class MemberChange(Body):
    """Changes to a member."""

    role: Role | None = None
    disabled: bool | None = Field(
        default=None, description="Lock the user out of every organisation; operator only."
    )


class NewKey(Body):
    """A key to create."""

    name: Name
    scopes: list[Scope] | None = Field(default=None, description="By default those that applications need.")
    expires_at: AwareDatetime | None = None


@router.get("/orgs", operation_id="listOrgs")
@access(Scope.OPERATOR)
async def list_orgs(state: State, after: After = None, limit: Limit = 100) -> dict[str, Any]:
    """List all organisations."""
    async with state.gate.read() as session:
        orgs = await OrgRepository(session).list(after=after, limit=limit)
    return page([_org(org) for org in orgs], limit)


@router.post("/orgs", operation_id="createOrg", status_code=201)
@access(Scope.OPERATOR)
async def create_org(body: NewOrg, state: State, request: Request) -> dict[str, Any]:
    """Create an organisation."""
    async with administration(state, request) as admin:
        limits = body.limits.model_dump(exclude_unset=True)
        return _org(await admin.create_org(body.name, plan=body.plan, limits=limits))


@router.get("/orgs/{org_id}", operation_id="getOrg")
@access(Scope.OPERATOR)
async def get_org(org_id: Id, state: State, request: Request) -> dict[str, Any]:
    """One organisation."""
    async with consulting(state, request) as admin:
        return _org(await admin.org(org_id))


@router.patch("/orgs/{org_id}", operation_id="changeOrg")
@access(Scope.OPERATOR)
async def change_org(org_id: Id, body: OrgChange, state: State, request: Request) -> dict[str, Any]:
    """Change an organisation, or lock or unlock it."""
    async with administration(state, request) as admin:
        org = await admin.update_org(
            org_id,
            name=body.name,
            plan=body.plan,
            limits=None if body.limits is None else body.limits.model_dump(exclude_unset=True),
            retention=None if body.retention is None else body.retention.model_dump(exclude_unset=True),
            disabled=body.disabled,
        )
        return _org(org)


@router.delete("/orgs/{org_id}", operation_id="deleteOrg", status_code=204)
@access(Scope.OPERATOR)
async def delete_org(org_id: Id, state: State, request: Request) -> None:
    """Delete an organisation and all its data; the audit log is kept."""
    async with administration(state, request) as admin:
        await admin.lock_for_good(org_id)
    # Between the two, so that after any failure the organisation can be deleted again.
    await erase_org(state.objects, org_id)
    async with administration(state, request) as admin:
        await admin.delete_org(org_id)


@router.get("/users", operation_id="listUsers")
@access(Scope.ADMIN)
async def list_users(state: State, tenant: Tenant, after: After = None, limit: Limit = 100) -> dict[str, Any]:
    """List the members of an organisation."""
    async with state.gate.read() as session:
        members = await MemberRepository(session, tenant).list(after=after, limit=limit)
    return page([_member(member) for member in members], limit)


@router.post("/users", operation_id="createUser", status_code=201)
@access(Scope.OPERATOR)
async def create_user(body: NewMember, state: State, tenant: Tenant, request: Request) -> dict[str, Any]:
    """Create a user as a member. Only for the operator, who vouches for the address; admins invite."""
    hashed = None
    if body.password is not None:
        address, about = Origin.of(request).address, [body.email, body.name]
        hashed = await state.passwords.hash(body.password, about=about, address=address)
    async with administration(state, request) as admin:
        member = await admin.add_member(
            tenant, body.email, role=body.role, password_hash=hashed, name=body.name
        )
        return {**_member(member), "vouched": True}


@router.get("/users/{user_id}", operation_id="getUser")
@access(Scope.ADMIN)
async def get_user(user_id: Id, state: State, tenant: Tenant, request: Request) -> dict[str, Any]:
    """One member."""
    async with consulting(state, request) as admin:
        return _member(await admin.member(tenant, user_id))


@router.patch("/users/{user_id}", operation_id="changeUser")
@access(Scope.ADMIN)
async def change_user(
    user_id: Id, body: MemberChange, state: State, tenant: Tenant, request: Request
) -> dict[str, Any]:
    """Change a member's role. The operator can also lock a user out, and unlock them."""
    async with administration(state, request) as admin:
        if body.role is not None:
            await admin.change_role(tenant, user_id, body.role)
        await admin.member(tenant, user_id)
        if body.disabled is not None:
            await admin.set_disabled(user_id, disabled=body.disabled)
        return _member(await admin.member(tenant, user_id))


@router.delete("/users/{user_id}", operation_id="deleteUser", status_code=204)
@access(Scope.ADMIN)
async def delete_user(user_id: Id, state: State, tenant: Tenant, request: Request) -> None:
    """Remove a member; their keys and sessions in the organisation end."""
    async with administration(state, request) as admin:
        await admin.remove_member(tenant, user_id)


@router.post(
    "/users/{user_id}/reset", operation_id="resetUser", summary="Issue Password Reset Token", status_code=201
)
@access(Scope.OPERATOR)
async def reset_user(user_id: Id, state: State, request: Request, response: Response) -> dict[str, Any]:
    """Issue a token for setting a new password, shown only once: give it to the user alone."""
    response.headers["cache-control"] = "no-store"
    async with administration(state, request) as admin:
        made = await admin.reset_password(user_id)
    return {
        "object": "password_reset",
        "user_id": made.user.id,
        "email": made.user.email,
        "expires_at": time_text(made.expires_at),
        **one_time(state, made.token, RESET_PATH),
    }


@router.get("/keys", operation_id="listKeys")
@access(Scope.ADMIN)
async def list_keys(state: State, tenant: Tenant, after: After = None, limit: Limit = 100) -> dict[str, Any]:
    """List the keys of an organisation, including revoked ones, without their secrets."""
    async with state.gate.read() as session:
        keys = await KeyRepository(session, tenant).list(after=after, limit=limit)
    return page([_key(key) for key in keys], limit)


@router.post("/keys", operation_id="createKey", status_code=201)
@access(Scope.ADMIN)
async def create_key(
    body: NewKey, state: State, caller: Caller, tenant: Tenant, request: Request
) -> dict[str, Any]:
    """Create a key. ``key`` is shown only once."""
    async with administration(state, request) as admin:
        made = await admin.create_key(
            tenant,
            name=body.name,
            scopes=body.scopes,
            user_id=caller.user_id if tenant == caller.org_id else None,
            expires_at=body.expires_at,
        )
        return {**_key(made.key), "key": made.text}


@router.get("/keys/{key_id}", operation_id="getKey")
@access(Scope.ADMIN)
async def get_key(key_id: Id, state: State, tenant: Tenant, request: Request) -> dict[str, Any]:
    """One key, without its secret."""
    async with consulting(state, request) as admin:
        return _key(await admin.key(tenant, key_id))


@router.delete("/keys/{key_id}", operation_id="revokeKey")
@access(Scope.ADMIN)
async def revoke_key(key_id: Id, state: State, tenant: Tenant, request: Request) -> dict[str, Any]:
    """Revoke a key. It stays in the list, with the time of its revocation."""
    async with administration(state, request) as admin:
        return _key(await admin.revoke_key(tenant, key_id))


@router.get("/audit", operation_id="listAuditEvents")
@access(Scope.ADMIN)
async def list_audit_events(
    state: State,
    tenant: Tenant,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="The last id of the previous page.")
    ] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """The audit log, the newest event first."""
    async with state.gate.read() as session:
        events = await AuditRepository(session, tenant).list(before=before, limit=limit)
    return page([_event(event) for event in events], limit)


def _org(org: Org) -> dict[str, Any]:
    return {
        "id": org.id,
        "object": "organization",
        "name": org.name,
        "plan": org.plan,
        "limits": org.limits,
        "retention": org.retention,
        "created_at": time_text(org.created_at),
        "disabled_at": time_text(org.disabled_at),
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
        "created_at": time_text(user.created_at),
        "disabled_at": time_text(user.disabled_at),
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "prefix": f"atk_{key.prefix}",
        "scopes": key.scopes,
        "user_id": key.user_id,
        "created_at": time_text(key.created_at),
        "expires_at": time_text(key.expires_at),
        "last_used_at": time_text(key.last_used_at),
        "revoked_at": time_text(key.revoked_at),
    }


def _event(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "object": "audit_event",
        "at": time_text(event.at),
        "actor": event.actor,
        "action": event.action,
        "target": event.target,
        "address": event.address,
        "request_id": event.request_id,
        "details": event.details,
    }
