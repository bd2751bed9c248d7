"""The OpenAPI document and its page, with all assets served locally."""

from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from services.tenancy.scopes import access

router = APIRouter(include_in_schema=False)

OPENAPI: Final = "/openapi.json"

ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-light-32x32.png": "image/png",
}
"""Files of Swagger UI in BentoML's package; external ones would not load on an offline machine."""


@router.get("/docs")
@access(everyone=True)
async def docs(request: Request) -> Response:
    """Return the page of the API, to read and try it."""
    app = request.app
    return get_swagger_ui_html(
        openapi_url=OPENAPI,
        title=app.title,
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon-light-32x32.png",
    )


@router.get(OPENAPI)
@access(everyone=True)
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs/{name}")
@access(everyone=True)
async def asset(name: str) -> Response:
    """Return a file of the page."""
    if name not in ASSETS:
        raise HTTPException(404)
    return Response(_asset(name), media_type=ASSETS[name], headers={"cache-control": "max-age=86400"})


@cache
def _asset(name: str) -> bytes:
    return (files("bentoml._internal.server") / "static_content" / name).read_bytes()
