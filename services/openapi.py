"""The OpenAPI document: FastAPI's, with this app's errors, security schemes and scopes."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.doors import Doors
from services.errors import DESCRIPTIONS, ErrorAnswer
from services.tenancy.scopes import Access

SECURITY: Final = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key or an access token."},
    "xi-api-key": {"type": "apiKey", "in": "header", "name": "xi-api-key", "description": "An API key."},
}

EVERYWHERE: Final = (400, 403, 408, 413, 503)
"""Errors of every route."""

WITH_KEY: Final = (401,)

METERED: Final = (429,)


def document(app: FastAPI, doors: Doors[Access]) -> dict[str, Any]:
    """Build FastAPI's document, with the errors and the required access of each route.

    Args:
        app: The app.
        doors: Its routes, with their access.
    """
    told = FastAPI.openapi(app)
    components = told.setdefault("components", {})
    if "securitySchemes" in components:
        return told  # FastAPI caches the document, which was changed before
    components["securitySchemes"] = SECURITY
    components.setdefault("schemas", {}).setdefault(
        "ErrorAnswer", ErrorAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    )
    for route, access in doors:
        if not isinstance(route, APIRoute) or not route.include_in_schema or access is None:
            continue
        for method in route.methods or ():
            operation = told["paths"][route.path_format][method.lower()]
            answers = operation["responses"]
            # FastAPI answers invalid requests with 422, this app with 400.
            answers.pop("422", None)
            keyed = () if access.everyone else WITH_KEY
            for status in (*EVERYWHERE, *keyed, *(METERED if access.metered else ())):
                answers.setdefault(str(status), _error(DESCRIPTIONS[status]))
            operation["responses"] = dict(sorted(answers.items()))
            operation["security"] = [] if access.everyone else [{name: []} for name in SECURITY]
            if access.scope is not None:
                operation["x-scope"] = access.scope
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return told


def _error(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorAnswer"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
