"""``/auth``: logging in, refreshing, logging out, and the caller's identity."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from services.errors import answers, invalid
from services.quota.allowed import Allowed
from services.routers.fields import Body, Email, Name, Password, Secret
from services.state import State
from services.tenancy.caller import Caller
from services.tenancy.origin import Origin
from services.tenancy.scopes import access
from services.tenancy.sessions import Issued

router = APIRouter(prefix="/auth", tags=["auth"])


class Login(Body):
    """A user's credentials."""

    email: Email
    password: Password
    org: Name | None = Field(
        default=None, description="The organisation's id or name; by default the user's first."
    )


class TokenRequest(Body):
    """The credential to exchange for an access token."""

    grant_type: Literal["refresh_token", "api_key"]
    refresh_token: Secret | None = None
    api_key: Secret | None = None


class TokenAnswer(BaseModel):
    """Tokens, in OAuth 2's format (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind
    expires_in: int = Field(description="Seconds.")
    refresh_token: str | None = None
    org_id: str


class Me(BaseModel):
    """The caller's identity."""

    org_id: str
    org: str
    plan: str
    user_id: str | None
    key_id: str | None
    role: str | None
    scopes: list[str]
    limits: dict[str, Any]


@router.post("/login", operation_id="login", summary="Log In", responses=answers(401, 429))
@access(everyone=True)
async def login(body: Login, state: State, request: Request, response: Response) -> TokenAnswer:
    """Log in with a password."""
    response.headers["cache-control"] = "no-store"
    return _answer(await state.sessions.login(body.email, body.password, body.org, Origin.of(request)))


@router.post("/token", operation_id="token", summary="Get Access Token", responses=answers(401, 429))
@access(everyone=True)
async def token(body: TokenRequest, state: State, request: Request, response: Response) -> TokenAnswer:
    """Exchange a refresh token (good for one use) or an API key for an access token."""
    response.headers["cache-control"] = "no-store"
    if body.grant_type == "api_key":
        if body.api_key is None:
            raise invalid("The grant 'api_key' requires the field 'api_key'.", "api_key")
        return _answer(await state.sessions.exchange(body.api_key, Origin.of(request)))
    if body.refresh_token is None:
        raise invalid("The grant 'refresh_token' requires the field 'refresh_token'.", "refresh_token")
    return _answer(await state.sessions.refresh(body.refresh_token, Origin.of(request)))


@router.post(
    "/logout", operation_id="logout", summary="Log Out", status_code=204, responses=answers(401, 429)
)
@access()
async def logout(caller: Caller, state: State, request: Request) -> None:
    """End the session of the access token; does nothing for an API key."""
    if caller.family is not None:
        await state.sessions.logout(caller.family, caller.org_id, caller.actor, Origin.of(request))


@router.get("/me", operation_id="me", summary="Get Caller")
@access()
async def me(caller: Caller, allowed: Allowed) -> Me:
    """The caller that the key or token identifies, and its scopes."""
    return Me(
        org_id=caller.org_id,
        org=caller.org_name,
        plan=caller.plan,
        user_id=caller.user_id,
        key_id=caller.key_id,
        role=caller.role,
        scopes=sorted(caller.scopes),
        limits=allowed.limits.model_dump(),
    )


def _answer(issued: Issued) -> TokenAnswer:
    return TokenAnswer(
        access_token=issued.access_token,
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        org_id=issued.org_id,
    )
