"""``/v1/audio/voices`` and ``/v1/audio/voice_consents``: OpenAI's custom voices, and a list of all voices."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from engines.contract import EngineUnavailable
from services.errors import answers, invalid
from services.routers.answers import BINARY
from services.routers.fields import After, Id, Name
from services.routers.forms import Language, checked, form_body, form_fields
from services.routers.owners import VoiceOwner
from services.routers.voice_bodies import NewVoice, described, fields_of
from services.state import GatewayState, State
from services.tenancy.caller import Caller
from services.tenancy.principal import Principal
from services.tenancy.scopes import Scope, access
from services.uploads import read_form
from services.voices.shapes import openai_consent, openai_voice
from storage.errors import StorageUnavailable
from storage.repositories.voices import VoiceRepository

router = APIRouter(tags=["voices"])

ANSWERS: Final = answers(404, 409, 429)

MOST_VOICES: Final = 10_000
"""Maximum number of own voices in the list, which has no pages."""


class ConsentFields(BaseModel):
    """The fields that OpenAI's clients send for a consent."""

    name: Name
    language: Language


class ConsentChange(BaseModel):
    """Changes to a consent."""

    model_config = ConfigDict(extra="forbid")

    name: Name


@router.get(
    "/v1/audio/voices",
    operation_id="listVoices",
    responses=answers(404),
)
@access(Scope.MODELS)
async def list_voices(
    state: State,
    caller: Caller,
    model: Annotated[str | None, Query(max_length=200, description="Only voices of this model.")] = None,
    language: Annotated[str | None, Query(max_length=35, description="Only voices of this language.")] = None,
) -> Response:
    """All voices that can speak now: the organisation's own, then all engines', the default one's first."""
    directory = state.directory
    if model is not None:
        clients = [directory.select(model)]
    else:
        others = [client for client in directory.clients if client is not directory.default]
        clients = [directory.default, *others]
    names = {client.name for client in clients}
    voices = await _own(state, caller, names, language)
    for client in clients:
        try:
            engine = await directory.describe(client)
        except EngineUnavailable:
            if model is not None:
                raise
            continue
        for voice in engine.voices:
            languages = voice.languages or engine.languages
            if language is None or _speaks(languages, language):
                voices.append(
                    {
                        "id": voice.id,
                        "name": voice.name,
                        "engine": engine.name,
                        "languages": voice.languages,
                        "gender": voice.gender,
                        "aliases": voice.aliases,
                    }
                )
    # Plain data already; FastAPI would validate thousands of entries again.
    return JSONResponse({"voices": voices})


@router.post(
    "/v1/audio/voices",
    operation_id="createAudioVoice",
    responses=ANSWERS,
    openapi_extra=form_body(
        {
            **form_fields(NewVoice, "name", "consent"),
            "audio_sample": BINARY,
            "type": {"type": "string", "enum": ["audio_sample"]},
            "transcript": {"type": "string", "description": "What is said in the sample."},
            **form_fields(NewVoice, "language"),
        },
        required=["name", "audio_sample"],
    ),
)
@access(Scope.VOICES, upload=True)
async def create_audio_voice(state: State, owner: VoiceOwner, request: Request) -> dict[str, Any]:
    """Create a voice, as OpenAI's clients do. Preparation starts at once; speech requests wait for it."""
    async with read_form(request, state.uploads, max_files=1) as form:
        kind = form.text("type") or "audio_sample"
        if kind != "audio_sample":
            message = f"Voices are created from recordings ('audio_sample'), not from a '{kind[:40]}'."
            raise invalid(message, "type", "unsupported_voice_type")
        given = {name: form.text(name) for name in ("name", "consent", "language")}
        body = checked(NewVoice, {name: value for name, value in given.items() if value is not None})
        uploads = await described(form, ["audio_sample"])
        if not uploads:
            raise invalid("Send a recording as the file 'audio_sample'.", "audio_sample", "missing")
        voice = await state.voices.create(owner, fields_of(body), uploads)
    return openai_voice(voice)


@router.delete("/v1/audio/voices/{voice_id}", operation_id="deleteAudioVoice", responses=ANSWERS)
@access(Scope.VOICES)
async def delete_audio_voice(
    voice_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Delete a voice, as OpenAI's clients do."""
    await state.voices.delete(owner, voice_id)
    return {"id": voice_id, "object": "audio.voice.deleted", "deleted": True}


@router.post(
    "/v1/audio/voice_consents",
    operation_id="createVoiceConsent",
    responses=ANSWERS,
    openapi_extra=form_body(
        {**form_fields(ConsentFields), "recording": BINARY},
        required=["name", "language", "recording"],
    ),
)
@access(Scope.VOICES, upload=True)
async def create_voice_consent(state: State, owner: VoiceOwner, request: Request) -> dict[str, Any]:
    """Store a recording in which the speaker consents."""
    async with read_form(request, state.uploads, max_files=1) as form:
        given = {name: form.text(name) for name in ("name", "language")}
        fields = checked(ConsentFields, {name: value for name, value in given.items() if value is not None})
        uploads = await form.files("recording")
        if not uploads:
            raise invalid("Send the recording as the file 'recording'.", "recording", "missing")
        consent = await state.consents.record(owner, uploads[0], name=fields.name, language=fields.language)
    return openai_consent(consent)


@router.get("/v1/audio/voice_consents", operation_id="listVoiceConsents", responses=ANSWERS)
@access(Scope.VOICES)
async def list_voice_consents(
    state: State,
    owner: VoiceOwner,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Entries per page.")] = 20,
) -> dict[str, Any]:
    """The consents in force."""
    consents = await state.consents.list(owner, after=after, limit=limit + 1)
    data = [openai_consent(consent) for consent in consents[:limit]]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(consents) > limit,
    }


@router.get("/v1/audio/voice_consents/{consent_id}", operation_id="getVoiceConsent", responses=ANSWERS)
@access(Scope.VOICES)
async def get_voice_consent(
    consent_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """One consent in force."""
    return openai_consent(await state.consents.get(owner, consent_id))


@router.post("/v1/audio/voice_consents/{consent_id}", operation_id="renameVoiceConsent", responses=ANSWERS)
@access(Scope.VOICES)
async def rename_voice_consent(
    consent_id: Id,
    body: ConsentChange,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Rename a consent."""
    return openai_consent(await state.consents.rename(owner, consent_id, body.name))


@router.delete("/v1/audio/voice_consents/{consent_id}", operation_id="deleteVoiceConsent", responses=ANSWERS)
@access(Scope.VOICES)
async def delete_voice_consent(
    consent_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Withdraw a consent: its voices never speak again, their recordings and embeddings are erased."""
    await state.consents.revoke(owner, consent_id)
    return {"id": consent_id, "object": "audio.voice_consent", "deleted": True}


async def _own(
    state: GatewayState, caller: Principal, engines: set[str], language: str | None
) -> list[dict[str, Any]]:
    """Return the organisation's own voices that any of the engines speaks."""
    try:
        async with state.gate.read() as session:
            repository = VoiceRepository(session, caller.org_id)
            voices = await repository.speakable(limit=MOST_VOICES)
            others = await repository.aliases()
    except StorageUnavailable:
        return []  # without the database, only the engines' voices can speak
    aliases: dict[str, list[str]] = {}
    for alias in others:
        aliases.setdefault(alias.voice_id, []).append(alias.alias)
    return [
        {
            "id": voice.id,
            "name": voice.name,
            "engine": speaking[0],
            "languages": [] if voice.language is None else [voice.language],
            "gender": None,
            "aliases": aliases.get(voice.id, []),
        }
        for voice in voices
        if (speaking := [engine for engine in voice.engines if engine in engines])
        and (language is None or voice.language is None or _speaks((voice.language,), language))
    ]


def _speaks(languages: tuple[str, ...], wanted: str) -> bool:
    primary = wanted.replace("_", "-").lower().partition("-")[0]
    return any(tag.lower().partition("-")[0] == primary for tag in languages)
