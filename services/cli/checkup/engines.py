"""The configured engines of this host: whether they can be created and loaded."""

from collections.abc import Iterator

from engines.acceptance import accepted, notice_of
from engines.config import EngineConfig
from engines.contract import EngineAdapter, Fetched
from engines.registry import UnknownEngineType, get_engine_adapter
from services.cli.checkup.finding import CheckResult, Level, ok, problem, skipped, warning
from services.cli.requirements import missing
from services.config import Settings
from services.models.catalogue import catalogue
from services.models.errors import ModelError
from services.models.folder import ModelFolder
from services.models.placing import weights_of
from services.models.weights import Weights


def engines(settings: Settings) -> Iterator[CheckResult]:
    """Check each enabled engine of this host, without loading it."""
    if missing():
        yield skipped("Engines", "not needed by a client; the server's packages are not installed")
        return
    try:
        models, folder = catalogue(settings), ModelFolder(settings.models.folder)
    except ModelError as error:
        yield problem("Models", error.message, error.hint or "Correct the manifest, or remove it.")
        return
    for engine in settings.enabled_engines:
        if engine.url is None:
            yield _engine(engine, weights_of(engine, models, folder))


def _engine(config: EngineConfig, weights: Weights | None) -> CheckResult:
    subject = f"Engine {config.name}"
    if weights is not None:
        config = weights.placed(config)
    try:
        engine = get_engine_adapter(config.type, config)
    except UnknownEngineType as error:
        return problem(subject, str(error), f"Correct engines.{config.name}.type, or install its plug-in.")
    except ImportError as error:
        return problem(subject, f"a dependency is not installed: {error}", "Install this engine's extra.")
    except Exception as error:  # noqa: BLE001 - a plug-in's defect is a finding, whatever it raises
        return problem(subject, f"cannot be created: {error}", f"Correct the settings engines.{config.name}.")
    found = _license(subject, engine, config.accept_license)
    fetched = weights or (engine if isinstance(engine, Fetched) else None)
    if found.level is Level.OK and fetched is not None and (missing := fetched.missing) is not None:
        return warning(subject, missing, "`awaaztwin models list` shows which models are installed.")
    return found


def _license(subject: str, engine: EngineAdapter, accept: str | None) -> CheckResult:
    may = accepted(engine, accept)
    if may is False:
        message = f"it does not load until you accept its licence, {engine.license}: {notice_of(engine)}"
        remedy = f"To accept it, add `accept_license: {engine.license}` to it in configuration.yaml."
        return warning(subject, message, remedy)
    return ok(subject, f"under {engine.license}{', which you have accepted' if may else ''}")
