"""``/auth``: accepting an invitation, and one's own password."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.errors import answers
from services.routers.fields import Body, Password, PersonName, Secret
from services.state import State
from services.tenancy.caller import Caller
from services.tenancy.credentials import credential
from services.tenancy.origin import Origin
from services.tenancy.scopes import access

router = APIRouter(prefix="/auth", tags=["auth"], responses=answers(401, 409, 429))


class Acceptance(Body):
    """Accepts an invitation."""

    token: Secret
    password: Password | None = Field(
        default=None,
        description="A new password; for an address with an account, that account's. A user with an account "
        "can send the access token of a login as `Authorization` in its place.",
    )
    name: PersonName | None = Field(default=None, description="The name of a new user.")


class Membership(BaseModel):
    """A membership in an organisation."""

    user_id: str
    email: str
    org_id: str
    org: str
    role: str


class PasswordChange(Body):
    """The current password and the new one."""

    old_password: Password
    password: Password = Field(description="The new password.")


class PasswordChoice(Body):
    """A new password, with the reset token that the operator issued."""

    token: Secret
    password: Password


@router.post("/invitations/accept", operation_id="acceptInvitation", status_code=201)
@access(everyone=True)
async def accept_invitation(body: Acceptance, state: State, request: Request) -> Membership:
    """Accept an invitation."""
    accepted = await state.accounts.accept(
        body.token,
        password=body.password,
        name=body.name,
        credential=credential(request.headers.raw),
        origin=Origin.of(request),
    )
    return Membership(**asdict(accepted))


@router.post("/password", operation_id="changePassword", status_code=204)
@access()
async def change_password(body: PasswordChange, state: State, caller: Caller, request: Request) -> None:
    """Change your own password; requires a login. Your other sessions end; keys stay valid."""
    await state.accounts.change_password(caller, body.old_password, body.password, Origin.of(request))


@router.post("/password/reset", operation_id="resetPassword", status_code=204)
@access(everyone=True)
async def reset_password(body: PasswordChoice, state: State, request: Request) -> None:
    """Set a new password with a reset token. All the user's sessions end; keys stay valid."""
    await state.accounts.reset_password(body.token, body.password, Origin.of(request))
