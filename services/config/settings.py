"""The model of all settings in ``configuration.yaml``."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engines.config import EngineConfig
from services.config.quota import QuotaConfig
from services.config.rules import broken_rules
from services.config.sections import (
    AuthConfig,
    ConsentConfig,
    LimitsConfig,
    MemoryConfig,
    ModelsConfig,
    RetentionConfig,
    Section,
    ServerConfig,
    TextConfig,
)
from storage.config import StorageConfig

Profile = Literal["local", "onprem", "cloud"]


class Settings(Section):
    """The settings of one server. Rules between sections are in :mod:`services.config.rules`."""

    env: Profile = "local"
    """The profile; `configuration.<env>.yaml` beside the file overrides it."""
    server: ServerConfig = ServerConfig()
    auth: AuthConfig = AuthConfig()
    storage: StorageConfig = StorageConfig()
    """Where persistent data is stored."""
    engines: list[EngineConfig] = Field(
        default=[EngineConfig(name="KOKORO", type="KOKORO"), EngineConfig(name="ESPEAK")], max_length=64
    )
    """The engines; the default is the first that is enabled and has its weights."""
    memory: MemoryConfig = MemoryConfig()
    models: ModelsConfig = ModelsConfig()
    limits: LimitsConfig = LimitsConfig()
    quota: QuotaConfig = QuotaConfig()
    text: TextConfig = TextConfig()
    consent: ConsentConfig = ConsentConfig()
    retention: RetentionConfig = RetentionConfig()

    @property
    def consent_required(self) -> bool:
        """Whether voices need a consent to be ready."""
        required = self.consent.required
        return self.auth.mode != "local" if required is None else required

    @property
    def enabled_engines(self) -> tuple[EngineConfig, ...]:
        """The enabled engines, in order; at least one."""
        return tuple(engine for engine in self.engines if engine.enabled)

    @property
    def default_engine_name(self) -> str:
        """Name of the engine for OpenAI's model names, as spelled in ``engines``."""
        wanted = self.server.default_engine
        names = [engine.name for engine in self.enabled_engines]
        return names[0] if wanted is None else next(n for n in names if n.lower() == wanted.lower())

    @model_validator(mode="after")
    def _keep_the_rules(self) -> Self:
        if broken := broken_rules(self):
            text = "; ".join(f"{'.'.join(path)}: {message}" for path, message in broken)
            raise PydanticCustomError("rules", "{text}", {"text": text, "broken": broken})
        return self
