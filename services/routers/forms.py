"""Bodies that are forms or JSON: checked by the same models, described in the OpenAPI document."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request

from services.errors import ApiError, invalid, invalid_request
from services.routers.fields import Name, Storable
from services.uploads import Form

Model = TypeVar("Model", bound=BaseModel)

BINARY = {"type": "string", "format": "binary"}

AUDIO: Final = {"audio/*": {"schema": BINARY}}
"""The content of an answer that is a recording."""

Language = Annotated[
    str,
    Field(min_length=2, max_length=35, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$"),
    AfterValidator(lambda tag: tag.replace("_", "-")),
]
"""A BCP-47 tag."""


def _paragraphs(value: str) -> str:
    """Text of several lines that every database takes."""
    value.encode()
    if any(ord(letter) < ord(" ") and letter not in "\n\r\t" for letter in value):
        raise ValueError("control characters are not allowed")
    return value


Paragraphs = AfterValidator(_paragraphs)

LabelName = Annotated[str, Field(min_length=1, max_length=63), Storable]
LabelValue = Annotated[str, Field(max_length=200), Storable]


def _one_part(value: str) -> str:
    """A name that can be a part of a path."""
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
    """What is said in uploads."""

    transcripts: list[Annotated[str, Field(max_length=5_000), Paragraphs]] = Field(
        description="What is said in each recording, in their order; improves the likeness most."
    )


def checked(model: type[Model], given: Mapping[str, Any]) -> Model:
    """Fields of a form, checked.

    Raises:
        ApiError: 400 that names the field at fault.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False)) from error


async def read_json(request: Request, model: type[Model], *, most: int) -> Model:
    """A JSON body, checked; for routes that take forms too, which may be longer.

    Args:
        request: The request.
        model: What is checked by.
        most: Bytes of the body.

    Raises:
        ApiError: 400 that names the field at fault, 413.
    """
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                message = f"The request's body is larger than {most} bytes."
                raise ApiError(413, message, code="body_too_large")
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("The request's body is not valid JSON.", None, "invalid_json") from error
    except ClientDisconnect as error:
        raise invalid("The request's body is incomplete.", None, "incomplete_body") from error
    return checked(model, given)


def voice_fields(form: Form) -> dict[str, Any]:
    """The fields of :class:`VoiceBody` in a form: lists repeated, labels as JSON.

    Raises:
        ApiError: 400, the labels are no JSON.
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


def form_body(
    properties: Mapping[str, Any], *, required: Sequence[str], json_model: type[BaseModel] | None = None
) -> dict[str, Any]:
    """The request body of a route that reads its form itself, for the OpenAPI document.

    Args:
        properties: The form's fields, see :func:`form_fields`.
        required: Names of fields.
        json_model: The same as JSON, if the route takes that too.
    """
    schema = {"type": "object", "properties": {**properties}, "required": [*required]}
    content: dict[str, Any] = {"multipart/form-data": {"schema": schema}}
    if json_model is not None:
        content["application/json"] = {"schema": json_model.model_json_schema()}
    return {"requestBody": {"required": True, "content": content}}


def form_fields(model: type[BaseModel], *names: str) -> dict[str, Any]:
    """A model's fields as JSON schemas of a form's: never null, and objects as JSON text.

    Args:
        model: What checks them.
        names: Which fields; by default all.
    """
    properties = model.model_json_schema()["properties"]
    return {name: _form_field(properties[name]) for name in names or properties}


def _form_field(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    told = {name: value for name, value in schema.items() if name not in {"anyOf", "default", "title"}}
    told |= {name: value for kind in kinds for name, value in kind.items()}
    if told["type"] != "object":
        return told
    described = {"description": told.pop("description")} if "description" in told else {}
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": told, **described}
