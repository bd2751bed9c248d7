"""The Gateway's ASGI app."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Scope as Connection

from services import __version__
from services.config import LoadedSettings, Settings
from services.doors import Doors
from services.errors import install_error_handlers
from services.gateway import open_gateway
from services.http.body_pace import BodyPace
from services.http.error_pace import ErrorPace
from services.http.proxies import TrustedProxies
from services.middleware import BodyLimit, Closing, RequestId, Unexpected
from services.openapi import document
from services.quota.middleware import Quotas
from services.routers import (
    accounts,
    admin,
    audio,
    audio_voices,
    auth,
    bundles,
    consents,
    docs,
    elevenlabs,
    health,
    invitations,
    metrics,
    models,
    settings,
    speech,
    usage,
    voices,
)
from services.sharing.turns import Turns
from services.state import AddressOf, GatewayState
from services.stopping import Stopping
from services.tenancy.middleware import Tenancy
from services.tenancy.scopes import Access
from services.tenancy.watch import Watched

DESCRIPTION: Final = """An OpenAI-compatible speech server: `POST /v1/audio/speech` and related endpoints."""

PREFLIGHT_SECONDS: Final = 600
"""Seconds for which a browser caches a preflight response."""

EXPOSED: Final = (
    "x-audio-id",
    "x-request-id",
    "retry-after",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
)
"""Response headers that scripts of other origins may read."""


def routers(config: Settings) -> list[APIRouter]:
    """Return the routers of all of the Gateway's routes."""
    always = [
        speech.router,
        models.router,
        audio_voices.router,
        elevenlabs.router,
        bundles.router,
        voices.router,
        consents.router,
        health.router,
        metrics.router,
        settings.router,
        auth.router,
        accounts.router,
        admin.router,
        invitations.router,
        usage.router,
        audio.router,
    ]
    return [*always, *([docs.router] if config.server.docs_enabled else [])]


def create_app(loaded: LoadedSettings, address_of: AddressOf, stopping: Stopping | None = None) -> FastAPI:
    """Create the Gateway's app, whose lifespan opens and closes the Gateway's parts.

    Args:
        loaded: The settings.
        address_of: Returns the address of an engine's runner.
        stopping: Begins when the process is told to stop.
    """
    config = loaded.settings
    stopping = stopping or Stopping()
    turns = Turns()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        async with open_gateway(loaded, address_of, stopping, turns) as state:
            app.state.gateway = state
            yield

    app = FastAPI(
        title="AwaazTwin",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # The docs' router serves it, as a route with a declared access.
        openapi_url=None,
        # Redirects would lead to any host that the client names.
        redirect_slashes=False,
    )
    install_error_handlers(app)
    for router in routers(config):
        # Not by include_router: FastAPI would keep each router as one route, which hides its own routes.
        app.router.routes.extend(router.routes)
    doors = Doors(app.router.routes, Access)

    def state() -> GatewayState:
        return app.state.gateway

    # The last one added is the outermost.
    app.add_middleware(Watched, watch=lambda: state().watch)
    app.add_middleware(Quotas, config=config.quota, keepers=state)
    app.add_middleware(Tenancy, doors=doors, settings=config, authenticator=lambda: state().authenticator)
    limits = config.limits

    def more(connection: Connection) -> int | None:
        access = doors.peek(connection)
        return limits.max_upload_bytes if access is not None and access.upload else None

    app.add_middleware(BodyLimit, max_bytes=limits.max_body_bytes, more=more)
    app.add_middleware(Closing, stopping=stopping)
    app.add_middleware(
        BodyPace,
        stall_seconds=limits.body_stall_timeout_seconds,
        least_rate=limits.min_body_bytes_per_second,
        longest=config.server.request_timeout_seconds,
        turns=turns,
    )
    app.add_middleware(Unexpected)
    if limits.max_errors_per_second is not None:
        app.add_middleware(ErrorPace, rate=limits.max_errors_per_second)
    if config.server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.server.cors_origins,
            allow_credentials=config.server.cors_credentials,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_SECONDS,
        )
    app.add_middleware(RequestId)
    app.add_middleware(TrustedProxies, trusted=config.server.trusted_proxies)
    # The way that FastAPI documents for changing its OpenAPI document.
    app.openapi = partial(document, app, doors)  # pyright: ignore[reportAttributeAccessIssue]
    return app
