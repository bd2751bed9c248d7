"""All settings, typed: what ``configuration.yaml`` becomes."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engines.config import EngineConfig, StrictModel
from services.config.quota import QuotaConfig
from services.config.rules import broken_rules
from services.config.sections import (
    AuthConfig,
    ConsentConfig,
    LimitsConfig,
    MemoryConfig,
    ModelsConfig,
    RetentionConfig,
    ServerConfig,
    TextConfig,
)
from storage.config import StorageConfig

Profile = Literal["local", "onprem", "cloud"]


class Settings(StrictModel):
    """The settings of one server. Rules between sections are in :mod:`services.config.rules`."""

    env: Profile = Field(
        default="local",
        description="The profile; `configuration.<env>.yaml` beside the file overrides it.",
    )
    server: ServerConfig = Field(
        default=ServerConfig(),
        description="Where the Gateway listens and how it behaves towards its clients.",
    )
    auth: AuthConfig = Field(default=AuthConfig(), description="Who may use the server.")
    storage: StorageConfig = Field(default=StorageConfig(), description="Where persistent data is stored.")
    engines: list[EngineConfig] = Field(
        default=[EngineConfig(name="KOKORO", type="KOKORO"), EngineConfig(name="ESPEAK")],
        max_length=64,
        description="The engines; the default is the first that is enabled and has its weights.",
    )
    memory: MemoryConfig = Field(
        default=MemoryConfig(), description="Memory limits for all engines of this host."
    )
    models: ModelsConfig = Field(
        default=ModelsConfig(), description="Engines' weights, as `awaaztwin models` fetches them."
    )
    limits: LimitsConfig = Field(
        default=LimitsConfig(), description="Limits of one request, and of all requests together."
    )
    quota: QuotaConfig = Field(
        default_factory=QuotaConfig,
        description="What tenants may use; a tenant's own limits override its plan's.",
    )
    text: TextConfig = Field(
        default=TextConfig(), description="How text is prepared for speech; a request's fields override it."
    )
    consent: ConsentConfig = Field(default=ConsentConfig(), description="What a cloned voice requires.")
    retention: RetentionConfig = Field(
        default=RetentionConfig(), description="How long data is kept, in days; `null`: forever."
    )

    @property
    def consent_required(self) -> bool:
        """Whether a voice is ready only with a consent."""
        required = self.consent.required
        return self.auth.mode != "local" if required is None else required

    @property
    def enabled_engines(self) -> tuple[EngineConfig, ...]:
        """The engines that are served, in order; at least one."""
        return tuple(engine for engine in self.engines if engine.enabled)

    @property
    def default_engine_name(self) -> str:
        """The name of the engine that OpenAI's model names mean, as ``engines`` spells it."""
        wanted = self.server.default_engine
        names = [engine.name for engine in self.enabled_engines]
        return names[0] if wanted is None else next(n for n in names if n.lower() == wanted.lower())

    @model_validator(mode="after")
    def _keep_the_rules(self) -> Self:
        if broken := broken_rules(self):
            text = "; ".join(f"{'.'.join(path)}: {message}" for path, message in broken)
            raise PydanticCustomError("rules", "{text}", {"text": text, "broken": broken})
        return self
