"""Bodies that are forms or JSON: validated by the same models, described in the OpenAPI document."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect, Request

from services.errors import ApiError, invalid, invalid_request

Model = TypeVar("Model", bound=BaseModel)

Language = Annotated[
    str,
    Field(min_length=2, max_length=35, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$"),
    AfterValidator(lambda tag: tag.replace("_", "-")),
]
"""A BCP-47 tag."""


def _paragraphs(value: str) -> str:
    """Multi-line text that every database accepts."""
    value.encode()
    if any(ord(letter) < ord(" ") and letter not in "\n\r\t" for letter in value):
        raise ValueError("control characters are not allowed")
    return value


Paragraphs = AfterValidator(_paragraphs)


def checked(model: type[Model], given: Mapping[str, Any]) -> Model:
    """The validated fields of a form.

    Raises:
        ApiError: 400 that names the field at fault.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False)) from error


async def read_json(request: Request, model: type[Model], *, most: int) -> Model:
    """A validated JSON body; for routes that also accept forms, which can be larger.

    Args:
        request: The request.
        model: Validates the body.
        most: Most bytes of the body.

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


def form_body(
    properties: Mapping[str, Any], *, required: Sequence[str], json_model: type[BaseModel] | None = None
) -> dict[str, Any]:
    """The request body of a route that reads its form itself, for the OpenAPI document.

    Args:
        properties: The form's fields, see :func:`form_fields`.
        required: Names of fields.
        json_model: The model of the JSON body, if the route accepts one.
    """
    schema = {"type": "object", "properties": {**properties}, "required": [*required]}
    content: dict[str, Any] = {"multipart/form-data": {"schema": schema}}
    if json_model is not None:
        content["application/json"] = {"schema": json_model.model_json_schema()}
    return {"requestBody": {"required": True, "content": content}}


def form_fields(model: type[BaseModel], *names: str) -> dict[str, Any]:
    """A model's fields as JSON schemas of a form's: never null, with objects as JSON text.

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
