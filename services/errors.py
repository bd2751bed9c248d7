"""Error responses in OpenAI's format.

Bodies are ``{"error": {"message", "type", "param", "code"}}``, with the status for which the official SDK
raises the right exception. Errors of engines and storage are converted; FastAPI's own bodies (404, 405, 422)
are replaced, since the SDK finds no message, type and code in ``{"detail": …}``.
"""

import http
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from engines.contract import (
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    LicenseNotAccepted,
    UnsupportedUtterance,
)
from services.asgi import method_of, refuse
from storage.errors import Conflict, StorageError, StorageUnavailable

logger = logging.getLogger(__name__)

DESCRIPTIONS: Final[Mapping[int, str]] = {
    400: "The request is invalid; `param` names the field.",
    401: "The API key, token or password is missing or invalid.",
    403: "The caller may not do this; in local mode, the request came from another site's page.",
    404: "The resource does not exist in this organisation.",
    408: "The request's body did not arrive in time.",
    409: "The request conflicts with something that already exists.",
    413: "The request's body is too large.",
    416: "The range begins after the end.",
    429: "The server or the organisation is at a limit; see `Retry-After`.",
    503: "A part of the server is unavailable; see `Retry-After`.",
}
"""Descriptions of error statuses in the OpenAPI document."""


class ErrorBody(BaseModel):
    """What went wrong: a message for the developer, and a code for the program."""

    model_config = ConfigDict(frozen=True)

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorAnswer(BaseModel):
    """The body of every error response."""

    model_config = ConfigDict(frozen=True)

    error: ErrorBody


class ApiError(Exception):
    """An error response.

    Args:
        status: HTTP status.
        message: For the developer who reads the log.
        kind: OpenAI's ``type``.
        param: The request field at fault.
        code: OpenAI's ``code``.
        headers: More headers, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(message=_printable(message), type=kind, param=param, code=code)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Build the HTTP response."""
        return JSONResponse(self.content(), self.status, self.headers)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the error as the response to a request, or refuse a WebSocket that is not accepted yet."""
        await refuse(self.response(), self.body.message, scope, receive, send)

    def content(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {"error": self.body.model_dump()}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Build FastAPI's ``responses`` for a route's errors; the OpenAPI document adds those of all routes."""
    return {status: {"model": ErrorAnswer, "description": DESCRIPTIONS[status]} for status in statuses}


def not_found(what: str, given: str) -> ApiError:
    """Build a 404 for something that does not exist in the caller's organisation."""
    return ApiError(404, f"There is no {what} '{given}'.", code=f"{what}_not_found")


def invalid(message: str, param: str | None, code: str | None = None) -> ApiError:
    """Build a 400 that names the invalid field."""
    return ApiError(400, message, param=param, code=code)


def retry_headers(seconds: float) -> dict[str, str]:
    """Build a ``Retry-After`` header in whole seconds, at least 1."""
    return {"retry-after": str(max(1, math.ceil(seconds)))}


def from_engine(error: EngineError) -> ApiError:
    """Convert an engine's error to an error response."""
    match error:
        case UnsupportedUtterance():
            return invalid(error.message, error.param, error.code)
        case EngineOverloaded():
            headers = retry_headers(error.retry_after)
            return ApiError(429, error.message, kind="rate_limit_exceeded", code=error.code, headers=headers)
        case LicenseNotAccepted():
            # Only the operator can change this, so clients should not retry.
            headers = {"x-should-retry": "false"}
            return ApiError(503, error.message, kind="server_error", code=error.code, headers=headers)
        case EngineUnavailable():
            headers = retry_headers(error.retry_after)
            return ApiError(503, error.message, kind="server_error", code=error.code, headers=headers)
        case _:
            return ApiError(500, error.message, kind="server_error", code=error.code)


def from_storage(error: StorageError) -> ApiError:
    """Convert a storage error to an error response, without the reason, which is only for the operator."""
    match error:
        case Conflict():
            return ApiError(409, error.message, param=error.param, code="conflict")
        case StorageUnavailable():
            message = f"The server's {error.part} is unreachable; try again shortly."
            headers = retry_headers(error.retry_after)
            return ApiError(503, message, kind="server_error", code="storage_unavailable", headers=headers)
        case _:
            return unexpected()


def install_error_handlers(app: FastAPI) -> None:
    """Make ``app`` send every error in OpenAI's format."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(EngineError, _engine_error)
    app.add_exception_handler(StorageError, _storage_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class only
    return error.response()


async def _engine_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, EngineError)  # noqa: S101 - registered for this class only
    return from_engine(error).response()


async def _storage_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StorageError)  # noqa: S101 - registered for this class only
    if not isinstance(error, Conflict):
        logger.error("a request failed: %s", error)
    return from_storage(error).response()


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    return invalid_request(error.errors()).response()


def invalid_request(problems: Sequence[Mapping[str, Any]]) -> ApiError:
    """Build a 400 that names the invalid field from pydantic's errors, which must not be empty."""
    first = problems[0]
    kind = str(first["type"])
    where = [str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"}]
    if kind == "json_invalid":
        return invalid("The request's body is not valid JSON.", None, "invalid_json")
    if kind == "missing" and not where:
        return invalid("The request's body is missing; send a JSON object.", None, "missing_body")
    param = where[0] if where else None
    name = ".".join(where) or "the body"
    return invalid(f"Invalid value for '{name}': {first['msg']}.", param, kind)


async def _http_error(request: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    headers, method = error.headers, method_of(request.scope)
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        message = f"Unknown request URL: {method} {request.url.path}."
        return ApiError(404, message, code="unknown_url", headers=headers).response()
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"The method {method} is not allowed for {request.url.path}."
        return ApiError(405, message, code="method_not_allowed", headers=headers).response()
    if error.status_code == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ApiError(413, str(error.detail), code="body_too_large", headers=headers).response()
    if error.status_code == http.HTTPStatus.REQUEST_TIMEOUT:
        return ApiError(408, str(error.detail), code="request_timeout", headers=headers).response()
    return ApiError(error.status_code, str(error.detail), headers=headers).response()


def unexpected() -> ApiError:
    """Build a 500 that reveals no internals."""
    return ApiError(500, "The server had an error while processing the request.", kind="server_error")


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return unexpected().response()


def _printable(message: str) -> str:
    """Replace lone surrogates in a message, which cannot be encoded as UTF-8."""
    return message.encode("utf-8", "replace").decode("utf-8")
