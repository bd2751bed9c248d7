"""The settings: read from ``configuration.yaml``, its overlay, ``.env`` and the environment."""

from services.config.load import LoadedSettings, get_config, get_engine_configs, load_settings
from services.config.problems import ConfigError, Problem
from services.config.quota import PlanConfig, QuotaConfig, QuotaLimits
from services.config.sections import (
    AuthConfig,
    ConsentConfig,
    LimitsConfig,
    ModelsConfig,
    RetentionConfig,
    ServerConfig,
    TextConfig,
)
from services.config.settings import Settings

__all__ = [
    "AuthConfig",
    "ConfigError",
    "ConsentConfig",
    "LimitsConfig",
    "LoadedSettings",
    "ModelsConfig",
    "PlanConfig",
    "Problem",
    "QuotaConfig",
    "QuotaLimits",
    "RetentionConfig",
    "ServerConfig",
    "Settings",
    "TextConfig",
    "get_config",
    "get_engine_configs",
    "load_settings",
]
