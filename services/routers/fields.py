"""Bodies, field types and list pages that several routes share."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, cast

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.tenancy import texts
from services.tenancy.scopes import ROLES


class Body(BaseModel):
    """Base class of request bodies: unknown fields are errors, and errors do not repeat secrets."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


Storable = AfterValidator(texts.storable)
"""Validator of text that is stored, or searched for, in the database."""

ID = r"^[A-Za-z0-9_-]+$"

Id: TypeAlias = Annotated[str, Path(max_length=40, pattern=ID)]
"""An ID in a path."""

OrgId: TypeAlias = Annotated[
    str | None,
    Query(max_length=40, pattern=ID, description="An organisation other than your own; operator only."),
]

After: TypeAlias = Annotated[
    str | None, Query(max_length=40, pattern=ID, description="The last id of the previous page.")
]

Limit: TypeAlias = Annotated[int, Query(ge=1, le=1_000, description="Entries per page.")]

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), Storable]

PersonName: TypeAlias = Annotated[str, Field(max_length=200), Storable]

Role: TypeAlias = Annotated[str, Field(max_length=20, description=f"{', '.join(ROLES)}.")]

Plan: TypeAlias = Annotated[str, Field(max_length=63), Storable]

Email: TypeAlias = Annotated[
    str,
    Field(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$"),
    AfterValidator(texts.email_address),
]
"""An e-mail address in its stored form."""

Password: TypeAlias = Annotated[str, Field(min_length=1, max_length=256), Storable]

Secret: TypeAlias = Annotated[str, Field(min_length=1, max_length=4_096), Storable]
"""A token or key in a body."""


def _whole_numbers(value: Any) -> Any:  # noqa: ANN401 - whatever a client sent
    """Reject values that are not integers, such as ``true``, ``"5"`` and 5.0."""
    if isinstance(value, Mapping):
        for name, number in cast("Mapping[str, object]", value).items():
            if number is not None and type(number) is not int:
                raise ValueError(f"'{name[:40]}' must be a whole number or null")
    return cast("Any", value)


WholeNumbers = BeforeValidator(_whole_numbers)
"""Validator of an object of integers or nulls."""


def page(data: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """Return a page of a list, in OpenAI's format."""
    return {"object": "list", "data": data, "has_more": len(data) == limit}
