"""The list of models: OpenAI's names for the default engine, and each engine's own."""

from typing import Any

from fastapi import APIRouter

from engines.contract import EngineUnavailable
from services.directory import OPENAI_MODELS
from services.errors import ApiError, answers
from services.state import GatewayState, State
from services.tenancy.scopes import Scope, access
from services.wire.client import EngineClient

router = APIRouter(tags=["models"])


@router.get("/v1/models", operation_id="listModels")
@access(Scope.MODELS)
async def list_models(state: State) -> dict[str, Any]:
    """List all models, in OpenAI's format, with each engine's capabilities."""
    models = [await _model(state, client.name, client) for client in state.directory.clients]
    aliases = [await _model(state, name, state.directory.default) for name in OPENAI_MODELS]
    return {"object": "list", "data": [*models, *aliases]}


@router.get("/v1/models/{model}", operation_id="getModel", responses=answers(404))
@access(Scope.MODELS)
async def get_model(model: str, state: State) -> dict[str, Any]:
    """Get one model."""
    if (client := state.directory.find(model)) is None:
        message = f"The model '{model}' does not exist."
        raise ApiError(404, message, param="model", code="model_not_found")
    return await _model(state, model, client)


@router.get("/v1/audio/models", operation_id="listAudioModels")
@access(Scope.MODELS)
async def list_audio_models(state: State) -> dict[str, Any]:
    """List the ids of the models, in the format of other OpenAI-compatible servers."""
    names = [*(client.name for client in state.directory.clients), *OPENAI_MODELS]
    return {"models": [{"id": name, "name": name} for name in names]}


async def _model(state: GatewayState, name: str, client: EngineClient) -> dict[str, Any]:
    model: dict[str, Any] = {
        "id": name,
        "object": "model",
        "created": state.started,
        "owned_by": "awaaztwin",
        "engine": client.name,
    }
    try:
        engine = await state.directory.describe(client)
    except EngineUnavailable:
        return {**model, "state": "unreachable"}
    return {
        **model,
        "type": engine.type,
        "state": engine.state,
        "license": engine.license,
        **({} if engine.license_accepted is None else {"license_accepted": engine.license_accepted}),
        **({} if engine.missing is None else {"missing": engine.missing}),
        "languages": engine.languages,
        "sample_rate": engine.sample_rate,
        "capabilities": engine.capabilities,
    }
