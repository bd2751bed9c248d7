"""Validation and description of bodies that are forms or JSON."""

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
    """Reject text that a database would not accept; line breaks and tabs are allowed."""
    value.encode()
    if any(ord(letter) < ord(" ") and letter not in "\n\r\t" for letter in value):
        raise ValueError("control characters are not allowed")
    return value


Paragraphs = AfterValidator(_paragraphs)


def checked(model: type[Model], given: Mapping[str, Any]) -> Model:
    """Return the validated fields of a form.

    Raises:
        ApiError: 400 that names the invalid field.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False)) from error


async def read_json(request: Request, model: type[Model], *, most: int) -> Model:
    """Read and validate a JSON body, on routes that also accept forms, which can be larger.

    Args:
        request: The request.
        model: Model of the body.
        most: Maximum size of the body in bytes.

    Raises:
        ApiError: 400 that names the invalid field, or 413 if the body is too large.
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
    """Describe the request body of a route that reads its form itself, for the OpenAPI document.

    Args:
        properties: JSON schemas of the form's fields; see :func:`form_fields`.
        required: Names of the required fields.
        json_model: Model of the JSON body, if the route accepts one.
    """
    schema = {"type": "object", "properties": {**properties}, "required": [*required]}
    content: dict[str, Any] = {"multipart/form-data": {"schema": schema}}
    if json_model is not None:
        content["application/json"] = {"schema": json_model.model_json_schema()}
    return {"requestBody": {"required": True, "content": content}}


def form_fields(model: type[BaseModel], *names: str) -> dict[str, Any]:
    """Return a model's fields as JSON schemas of form fields: never null, with objects as JSON text.

    Args:
        model: The model.
        names: Names of the fields; by default all.
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
