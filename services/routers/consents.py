"""``/consents``: the evidence that speakers consented, withdrawn ones too."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.routers.fields import After, Id, Limit
from services.routers.owners import VoiceOwner
from services.routers.voices import ANSWERS, send_object
from services.state import State
from services.tenancy.scopes import Scope, access
from services.voices.shapes import consent_shape

router = APIRouter(prefix="/consents", tags=["voices"])


@router.get("", operation_id="listConsents", responses=ANSWERS)
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
    return {
        "object": "list",
        "data": [consent_shape(consent) for consent in consents],
        "has_more": len(consents) == limit,
    }


@router.get("/{consent_id}", operation_id="getConsent", responses=ANSWERS)
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
        **ANSWERS,
        200: {
            "description": "The recording.",
            "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
@access(Scope.VOICES)
async def get_consent_recording(
    consent_id: Id,
    state: State,
    owner: VoiceOwner,
) -> Response:
    """The recording in which the speaker consented, even after its withdrawal."""
    consent = await state.consents.get(owner, consent_id, revoked=True)
    return await send_object(state, consent.key, consent.content_type or "application/octet-stream")


@router.delete("/{consent_id}", operation_id="revokeConsent", responses=ANSWERS)
@access(Scope.VOICES)
async def revoke_consent(
    consent_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Withdraw a consent: its voices never speak again; their recordings and embeddings are erased."""
    return consent_shape(await state.consents.revoke(owner, consent_id))
