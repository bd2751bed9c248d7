"""Bodies about voices that several routes share, and their conversion for the library."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.errors import invalid
from services.routers.fields import Name, Storable
from services.routers.forms import Language, Paragraphs, checked
from services.uploads import Form
from services.voices.intake import Described
from services.voices.library import VoiceFields

LabelName = Annotated[str, Field(min_length=1, max_length=63), Storable]
LabelValue = Annotated[str, Field(max_length=200), Storable]


def _one_part(value: str) -> str:
    """Reject a name that cannot be a segment of a path."""
    if "/" in value:
        raise ValueError("'/' is not allowed")
    return value


AliasName = Annotated[Name, AfterValidator(_one_part)]


class VoiceBody(BaseModel):
    """A voice's properties; omitted ones are unchanged."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    language: Language | None = Field(default=None, description="BCP-47 tag of the samples' language.")
    description: Annotated[str, Field(max_length=2_000), Paragraphs] | None = None
    labels: dict[LabelName, LabelValue] | None = Field(
        default=None, max_length=50, description="Labels to find the voice by."
    )
    aliases: list[AliasName] | None = Field(
        default=None, max_length=100, description="Aliases, such as OpenAI's `alloy`."
    )
    consent: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_-]+$")] | None = Field(
        default=None, description="The id of the consent for this voice."
    )


class Transcripts(BaseModel):
    """The transcripts of uploads."""

    transcripts: list[Annotated[str, Field(max_length=5_000), Paragraphs]] = Field(
        description="Transcript of each recording, in order; nothing improves the likeness more."
    )


class NewVoice(VoiceBody):
    """A voice to create."""

    name: Name = Field()  # pyright: ignore[reportIncompatibleVariableOverride] - a name is not left out here


def voice_fields(form: Form) -> dict[str, Any]:
    """Return the fields of :class:`VoiceBody` in a form: lists as repeated fields, labels as JSON.

    Raises:
        ApiError: 400, the labels are not valid JSON.
    """
    given: dict[str, Any] = {
        name: value
        for name in ("name", "language", "description", "consent")
        if (value := form.text(name)) is not None
    }
    if aliases := form.texts("aliases"):
        given["aliases"] = [alias for alias in aliases if alias]
    if (labels := form.text("labels")) is not None:
        try:
            given["labels"] = json.loads(labels)
        except (ValueError, RecursionError) as error:
            raise invalid("'labels' must map names to texts in JSON.", "labels", "invalid_json") from error
    return given


def fields_of(body: VoiceBody) -> VoiceFields:
    """Convert a body to the fields of a voice."""
    return VoiceFields(
        name=body.name,
        language=body.language,
        description=body.description,
        labels=body.labels,
        consent_id=body.consent,
        aliases=body.aliases,
    )


async def described(form: Form, names: Sequence[str]) -> list[Described]:
    """Return the recordings of a form, each with its transcript, if any.

    Raises:
        ApiError: 400, the number of transcripts differs from that of recordings.
    """
    uploads = await form.files(*names)
    texts = checked(Transcripts, {"transcripts": form.texts("transcript")}).transcripts
    if texts and len(texts) != len(uploads):
        message = (
            f"There are {len(uploads)} recordings and {len(texts)} transcripts; "
            "send one for each; it can be empty."
        )
        raise invalid(message, "transcript", "transcripts_do_not_match")
    texts = texts or [""] * len(uploads)
    return [Described(upload, text.strip() or None) for upload, text in zip(uploads, texts, strict=True)]
