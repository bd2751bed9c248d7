"""``/v1/voices``: the two routes of ElevenLabs' API with which its clients create and list voices."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from services.errors import answers, invalid
from services.routers.answers import BINARY
from services.routers.forms import checked, form_body, form_fields
from services.routers.owners import VoiceOwner
from services.routers.voice_bodies import NewVoice, described, fields_of, voice_fields
from services.state import State
from services.tenancy.caller import Caller
from services.tenancy.scopes import Scope, access
from services.uploads import read_form
from storage.repositories.voices import VoiceRepository

router = APIRouter(prefix="/v1/voices", tags=["voices"], responses=answers(404, 409, 429))

MOST_VOICES: Final = 10_000


@router.get("", operation_id="listElevenLabsVoices", summary="List ElevenLabs Voices")
@access(Scope.MODELS)
async def list_elevenlabs_voices(
    state: State,
    caller: Caller,
    show_legacy: Annotated[bool, Query(description="Accepted and ignored.")] = False,
) -> dict[str, Any]:
    """The voices that can speak now: the organisation's own, then the default engine's."""
    del show_legacy
    async with state.gate.read() as session:
        own = await VoiceRepository(session, caller.org_id).speakable(limit=MOST_VOICES)
    voices = [
        _voice(
            voice.id,
            voice.name,
            category="cloned",
            description=voice.description,
            labels={**({"language": voice.language} if voice.language else {}), **voice.labels},
        )
        for voice in own
    ]
    engine = await state.directory.describe(state.directory.default)
    for plain in engine.voices:
        labels = {
            **({"language": plain.languages[0]} if plain.languages else {}),
            **({"gender": plain.gender} if plain.gender else {}),
        }
        voices.append(_voice(plain.id, plain.name, category="premade", labels=labels))
    return {"voices": voices}


@router.post(
    "/add",
    operation_id="addElevenLabsVoice",
    summary="Add ElevenLabs Voice",
    openapi_extra=form_body(
        {
            **form_fields(NewVoice, "name", "description", "labels", "consent"),
            "files": {"type": "array", "items": BINARY},
        },
        required=["name", "files"],
    ),
)
@access(Scope.VOICES, upload=True)
async def add_elevenlabs_voice(state: State, owner: VoiceOwner, request: Request) -> dict[str, Any]:
    """Create a voice, as ElevenLabs' clients do. Preparation starts at once; speech requests wait for it."""
    async with read_form(
        request, state.uploads, max_files=state.settings.limits.max_samples_per_voice
    ) as form:
        body = checked(NewVoice, voice_fields(form))
        uploads = await described(form, ["files"])
        if not uploads:
            raise invalid("Send at least one recording, as the file 'files'.", "files", "missing")
        voice = await state.voices.create(owner, fields_of(body), uploads)
    return {"voice_id": voice.id, "requires_verification": voice.reason is not None}


def _voice(
    voice_id: str, name: str, *, category: str, description: str = "", labels: dict[str, Any]
) -> dict[str, Any]:
    return {
        "voice_id": voice_id,
        "name": name,
        "category": category,
        "description": description or None,
        "labels": labels,
        "samples": None,
        "preview_url": None,
        "settings": None,
        "available_for_tiers": [],
    }
