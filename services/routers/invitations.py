"""``/admin/invitations``: invitations, for a tenant's admins.

No e-mail is sent: the admin passes the token on, and it is accepted at ``/auth/invitations/accept``.
"""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from services.errors import answers
from services.routers.administering import Tenant, administration, one_time, time_text
from services.routers.fields import After, Body, Email, Id, Limit, Role, page
from services.state import State
from services.tenancy.scopes import Scope, access
from storage.repositories.invitations import InvitationRepository
from storage.tables import Invitation

router = APIRouter(prefix="/admin/invitations", tags=["admin"], responses=answers(404, 409, 429))

ACCEPT_PATH: Final = "/auth/invitations/accept"


class NewInvitation(Body):
    """The address to invite, and its role."""

    email: Email
    role: Role = "member"


@router.get("", operation_id="listInvitations")
@access(Scope.ADMIN)
async def list_invitations(
    state: State, tenant: Tenant, after: After = None, limit: Limit = 100
) -> dict[str, Any]:
    """List an organisation's open invitations, without their tokens."""
    async with state.gate.read() as session:
        invitations = InvitationRepository(session, tenant)
        found = await invitations.list(after=after, limit=limit)
    return page([_invitation(invitation) for invitation in found], limit)


@router.post("", operation_id="createInvitation", status_code=201)
@access(Scope.ADMIN)
async def create_invitation(
    body: NewInvitation,
    state: State,
    tenant: Tenant,
    request: Request,
    response: Response,
) -> dict[str, Any]:
    """Invite an address to the organisation. ``token`` is shown only once: give it to that person alone.

    It replaces an open invitation of the same address.
    """
    response.headers["cache-control"] = "no-store"
    async with administration(state, request) as admin:
        made = await admin.invite(tenant, body.email, role=body.role)
    return {**_invitation(made.invitation), **one_time(state, made.token, ACCEPT_PATH)}


@router.delete("/{invitation_id}", operation_id="revokeInvitation")
@access(Scope.ADMIN)
async def revoke_invitation(
    invitation_id: Id, state: State, tenant: Tenant, request: Request
) -> dict[str, Any]:
    """Revoke an open invitation; an accepted one is unaffected."""
    async with administration(state, request) as admin:
        return _invitation(await admin.revoke_invitation(tenant, invitation_id))


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "object": "invitation",
        "email": invitation.email,
        "role": invitation.role,
        "made_by": invitation.made_by,
        "created_at": time_text(invitation.created_at),
        "expires_at": time_text(invitation.expires_at),
        "accepted_at": time_text(invitation.accepted_at),
        "revoked_at": time_text(invitation.revoked_at),
    }
