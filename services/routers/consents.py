"""``/consents``: the evidence that speakers consented, withdrawn ones too."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.errors import answers
from services.routers.answers import AUDIO
from services.routers.fields import After, Id, Limit, page
from services.routers.objects import send_object
from services.routers.owners import VoiceOwner
from services.state import State
from services.tenancy.scopes import Scope, access
from services.voices.shapes import consent_shape

router = APIRouter(prefix="/consents", tags=["voices"], responses=answers(404, 409, 429))


@router.get("", operation_id="listConsents")
@access(Scope.VOICES)
async def list_consents(
    state: State,
    owner: VoiceOwner,
    after: After = None,
    limit: Limit = 100,
    revoked: Annotated[bool, Query(description="Include withdrawn consents.")] = False,
) -> dict[str, Any]:
    """List the organisation's consents."""
    consents = await state.consents.list(owner, after=after, limit=limit, revoked=revoked)
    return page([consent_shape(consent) for consent in consents], limit)


@router.get("/{consent_id}", operation_id="getConsent")
@access(Scope.VOICES)
async def get_consent(
    consent_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """One consent with its evidence, even after its withdrawal."""
    return consent_shape(await state.consents.get(owner, consent_id, revoked=True))


@router.get(
    "/{consent_id}/recording",
    operation_id="getConsentRecording",
    response_class=Response,
    responses={
        200: {
            "description": "The recording.",
            "content": AUDIO,
        },
    },
)
@access(Scope.VOICES)
async def get_consent_recording(
    consent_id: Id,
    state: State,
    owner: VoiceOwner,
) -> Response:
    """The recording in which the speaker consented, even after the consent's withdrawal."""
    consent = await state.consents.get(owner, consent_id, revoked=True)
    return await send_object(state, consent.key, consent.content_type or "application/octet-stream")


@router.delete("/{consent_id}", operation_id="revokeConsent")
@access(Scope.VOICES)
async def revoke_consent(
    consent_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Withdraw a consent: its voices never speak again; their recordings and embeddings are erased."""
    return consent_shape(await state.consents.revoke(owner, consent_id))
