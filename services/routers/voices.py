"""``/voices``: the organisation's own voices, their samples, and their preparation."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from engines.text.reading import reading_script
from services.errors import answers, invalid
from services.quota.allowed import Allowed
from services.routers.answers import AUDIO, BINARY, SPEECH, event_stream
from services.routers.fields import After, Id, Limit, Name, Storable, page
from services.routers.forms import Language, Paragraphs, checked, form_body, form_fields, read_json
from services.routers.objects import send_object
from services.routers.owners import VoiceOwner
from services.routers.voice_bodies import NewVoice, Transcripts, VoiceBody, described, fields_of, voice_fields
from services.sharing.places import take_place
from services.speech.response import respond
from services.speech.script import SpeechRequest
from services.speech.session import Reader
from services.state import GatewayState, State
from services.tenancy.caller import Caller
from services.tenancy.scopes import Scope, access
from services.uploads import is_json, read_form
from services.voices.intake import WAV
from services.voices.shapes import consent_shape, sample_shape
from services.voices.transaction import Owner
from services.voices.watching import WatchResponse
from storage.repositories.samples import SampleRepository
from storage.repositories.voices import VoiceRepository
from storage.tables import VoiceProfile, VoiceState

router = APIRouter(prefix="/voices", tags=["voices"])

ANSWERS: Final = answers(404, 409, 429)

FILES: Final = ("samples", "files", "file", "sample", "audio_sample")
"""Names of the form fields in which clients send recordings."""

SAMPLE_PROPERTIES: Final[dict[str, Any]] = {
    "samples": {
        "type": "array",
        "items": BINARY,
        "description": "Recordings: wav, mp3, flac, ogg, m4a, aac or webm.",
    },
    "transcript": form_fields(Transcripts)["transcripts"],
}


class Attestation(BaseModel):
    """A speaker's declaration of consent to the use of their voice."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="The speaker's name.")
    text: Annotated[str, Field(min_length=1, max_length=5_000, pattern=r"\S"), Paragraphs] = Field(
        description="The declaration, in the speaker's words."
    )
    language: Language | None = None


class Preview(BaseModel):
    """The parameters of a preview."""

    text: str | None = Field(
        default=None, min_length=1, max_length=500, description="Text to speak; by default a sentence."
    )
    response_format: str = Field(default="mp3", max_length=40, description="As in a speech request.")
    engine: str | None = Field(default=None, max_length=63, description="The engine that speaks.")


@router.post(
    "",
    operation_id="createVoice",
    status_code=201,
    responses=ANSWERS,
    openapi_extra=form_body(
        {**form_fields(NewVoice), **SAMPLE_PROPERTIES}, required=["name"], json_model=NewVoice
    ),
)
@access(Scope.VOICES, upload=True)
async def create_voice(state: State, owner: VoiceOwner, request: Request) -> dict[str, Any]:
    """Create a voice, from JSON, or from a form that includes recordings."""
    if is_json(request):
        body = await read_json(request, NewVoice, most=state.settings.limits.max_body_bytes)
        return await _shown(state, owner, await state.voices.create(owner, fields_of(body)))
    async with read_form(
        request, state.uploads, max_files=state.settings.limits.max_samples_per_voice
    ) as form:
        body = checked(NewVoice, voice_fields(form))
        uploads = await described(form, FILES)
        voice = await state.voices.create(owner, fields_of(body), uploads)
    return await _shown(state, owner, voice)


@router.get("", operation_id="searchVoices", responses=ANSWERS)
@access(Scope.MODELS)
async def search_voices(
    state: State,
    caller: Caller,
    after: After = None,
    limit: Limit = 100,
    search: Annotated[
        str | None, Query(max_length=200, description="Text to find in the name or description."), Storable
    ] = None,
    language: Annotated[str | None, Query(max_length=35, description="Only this language."), Storable] = None,
    status: Annotated[
        VoiceState | None, Query(alias="state", description="Only voices in this state.")
    ] = None,
) -> dict[str, Any]:
    """Search the organisation's own voices, sorted by name."""
    async with state.gate.read() as session:
        voices = await VoiceRepository(session, caller.org_id).list(
            after=after, limit=limit, search=search, language=language, state=status
        )
    return page(await state.voices.show(caller.org_id, voices), limit)


@router.get("/script", operation_id="getReadingScript")
@access(Scope.MODELS)
async def get_reading_script(
    language: Annotated[Language, Query(description="BCP-47 tag of the reader's language.")] = "en",
) -> dict[str, Any]:
    """Sentences to read aloud, so that the recording has a transcript."""
    sentences = reading_script(language)
    return {"object": "voice.script", "language": language, "sentences": sentences}


@router.get("/{voice_id}", operation_id="getVoice", responses=ANSWERS)
@access(Scope.MODELS)
async def get_voice(
    voice_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Get one voice: its state, overall and in each engine, and the quality of its samples."""
    voice = await state.voices.get(owner, voice_id)
    return await _shown(state, owner, voice)


@router.patch("/{voice_id}", operation_id="changeVoice", responses=ANSWERS)
@access(Scope.VOICES)
async def change_voice(
    voice_id: Id,
    body: VoiceBody,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Change a voice. ``labels`` and ``aliases`` are replaced as a whole."""
    return await _shown(state, owner, await state.voices.change(owner, voice_id, fields_of(body)))


@router.delete("/{voice_id}", operation_id="deleteVoice", status_code=204, responses=ANSWERS)
@access(Scope.VOICES)
async def delete_voice(
    voice_id: Id,
    state: State,
    owner: VoiceOwner,
) -> None:
    """Delete a voice, its recordings and everything derived from them; it stops speaking at once."""
    await state.voices.delete(owner, voice_id)


@router.post("/{voice_id}/prepare", operation_id="prepareVoice", status_code=202, responses=ANSWERS)
@access(Scope.VOICES)
async def prepare_voice(
    voice_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Prepare a voice again; until that is done, it speaks as before."""
    voice = await state.voices.prepare(owner, voice_id)
    return await _shown(state, owner, voice)


@router.get(
    "/{voice_id}/events",
    operation_id="watchVoice",
    response_class=Response,
    responses={
        **ANSWERS,
        200: {
            "description": "Server-sent events with the voice at every change, until it is ready or failed.",
            "content": {"text/event-stream": event_stream("voice", "error")},
        },
    },
)
@access(Scope.MODELS)
async def watch_voice(
    voice_id: Id,
    state: State,
    owner: VoiceOwner,
    allowed: Allowed,
) -> Response:
    """Follow a voice's preparation."""
    await state.voices.get(owner, voice_id)
    place = take_place(state.watchers, "watchers", owner.org_id, allowed.weight)
    patience = state.settings.limits.client_stall_timeout_seconds
    return WatchResponse(state.voices, owner, voice_id, place, state.stopping, patience)


@router.get(
    "/{voice_id}/preview",
    operation_id="previewVoice",
    response_class=Response,
    responses={**SPEECH, **answers(409)},
)
@access(Scope.SPEECH, metered=True)
async def preview_voice(
    voice_id: Id,
    state: State,
    owner: VoiceOwner,
    caller: Caller,
    allowed: Allowed,
    request: Request,
    wanted: Annotated[Preview, Query()],
) -> Response:
    """Hear the voice. It counts as usage, like any speech request."""
    voice = await state.voices.get(owner, voice_id)
    spoken = wanted.text or reading_script(voice.language or "en")[0]
    body = SpeechRequest(
        input=spoken, voice=voice.id, response_format=wanted.response_format, engine=wanted.engine
    )
    reader = Reader(caller=caller, allowed=allowed, request_id=request.state.request_id)
    return await respond(
        body, reader, state.speaker, request.receive, spool=state.spool, settings=state.settings
    )


@router.post(
    "/{voice_id}/samples",
    operation_id="addSamples",
    status_code=201,
    responses=ANSWERS,
    openapi_extra=form_body(SAMPLE_PROPERTIES, required=["samples"]),
)
@access(Scope.VOICES, upload=True)
async def add_samples(voice_id: Id, state: State, owner: VoiceOwner, request: Request) -> dict[str, Any]:
    """Add recordings: all of them are accepted, or none. The voice is prepared again."""
    await state.voices.get(owner, voice_id)
    async with read_form(
        request, state.uploads, max_files=state.settings.limits.max_samples_per_voice
    ) as form:
        uploads = await described(form, FILES)
        if not uploads:
            raise invalid("Send at least one recording, as the file 'samples'.", "samples", "missing")
        voice, samples = await state.voices.add_samples(owner, voice_id, uploads)
    return {
        "object": "list",
        "data": [sample_shape(sample) for sample in samples],
        "voice": await _shown(state, owner, voice),
    }


@router.get("/{voice_id}/samples", operation_id="listSamples", responses=ANSWERS)
@access(Scope.VOICES)
async def list_samples(
    voice_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """List a voice's recordings, with their quality."""
    voice = await state.voices.get(owner, voice_id)
    async with state.gate.read() as session:
        samples = await SampleRepository(session, owner.org_id).list(voice.id)
    return {"object": "list", "data": [sample_shape(sample) for sample in samples], "has_more": False}


@router.get("/{voice_id}/samples/{sample_id}", operation_id="getSample", responses=ANSWERS)
@access(Scope.VOICES)
async def get_sample(
    voice_id: Id,
    sample_id: Id,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """One recording and its quality."""
    return sample_shape(await state.voices.sample(owner, voice_id, sample_id))


@router.get(
    "/{voice_id}/samples/{sample_id}/audio",
    operation_id="getSampleAudio",
    response_class=Response,
    responses={
        **ANSWERS,
        200: {
            "description": "The recording.",
            "content": AUDIO,
        },
    },
)
@access(Scope.VOICES)
async def get_sample_audio(
    voice_id: Id,
    sample_id: Id,
    state: State,
    owner: VoiceOwner,
    original: Annotated[bool, Query(description="The upload instead of the audio that engines use.")] = False,
) -> Response:
    """Download a recording, as long as it is kept."""
    sample = await state.voices.sample(owner, voice_id, sample_id)
    key = sample.original_key if original else sample.audio_key
    return await send_object(state, key, sample.content_type if original else WAV)


@router.delete(
    "/{voice_id}/samples/{sample_id}", operation_id="deleteSample", status_code=204, responses=ANSWERS
)
@access(Scope.VOICES)
async def delete_sample(
    voice_id: Id,
    sample_id: Id,
    state: State,
    owner: VoiceOwner,
) -> None:
    """Delete a recording. The voice is prepared again from the others."""
    await state.voices.delete_sample(owner, voice_id, sample_id)


@router.post("/{voice_id}/consent", operation_id="attestConsent", status_code=201, responses=ANSWERS)
@access(Scope.VOICES)
async def attest_consent(
    voice_id: Id,
    body: Attestation,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Declare that the speaker consents. The time, the caller and their address are recorded."""
    consent = await state.consents.attest(
        owner, voice_id, name=body.name, text=body.text, language=body.language
    )
    return consent_shape(consent)


@router.put(
    "/{voice_id}/aliases/{alias}", operation_id="setVoiceAlias", summary="Set Voice Alias", responses=ANSWERS
)
@access(Scope.VOICES)
async def set_alias(
    voice_id: Id,
    alias: Name,
    state: State,
    owner: VoiceOwner,
) -> dict[str, Any]:
    """Make a name, such as OpenAI's ``alloy``, an alias of this voice in the whole organisation."""
    return await _shown(state, owner, await state.voices.set_alias(owner, alias, voice_id))


@router.delete(
    "/{voice_id}/aliases/{alias}",
    operation_id="dropVoiceAlias",
    summary="Remove Voice Alias",
    status_code=204,
    responses=ANSWERS,
)
@access(Scope.VOICES)
async def drop_alias(
    voice_id: Id,
    alias: Name,
    state: State,
    owner: VoiceOwner,
) -> None:
    """Remove an alias; the name regains its usual meaning."""
    await state.voices.drop_alias(owner, alias, voice_id)


async def _shown(state: GatewayState, owner: Owner, voice: VoiceProfile) -> dict[str, Any]:
    return (await state.voices.show(owner.org_id, [voice]))[0]
