"""Settings of one engine, from the ``engines`` section of ``configuration.yaml``."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

Device = Literal["auto", "cuda", "mps", "cpu"]
EngineName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$")]


class StrictModel(BaseModel):
    """A settings model: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class BatchingConfig(StrictModel):
    """How the runner's batcher collects utterances from all callers."""

    max_batch_size: int = Field(
        default=16, ge=1, le=1024, description="Maximum number of utterances in one engine call."
    )
    max_queue: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Maximum number of utterances waiting for the engine; more are refused with 429.",
    )
    max_wait_ms: float = Field(
        default=50.0,
        ge=0,
        le=1_000,
        description="Maximum wait of a batch for more utterances, if they are likely to come. 0: never wait.",
    )


class EngineConfig(StrictModel):
    """One engine: which implementation, on which device, and how much of it.

    ``name`` is what clients select with ``model`` or ``engine``; ``type`` is the implementation
    that the registry makes.
    """

    name: EngineName = Field(description="The name that clients use; unique, case-insensitive.")
    type: str = Field(
        default="ESPEAK", description="The implementation: a built-in type, or a plug-in's entry point."
    )
    enabled: bool = Field(default=True, description="Whether the engine is available.")
    model_path: Path | None = Field(
        default=None, description="Folder with the model's files, for engines with weights."
    )
    accept_license: str | None = Field(
        default=None,
        description="Name of the licence you accept, for an engine whose licence restricts its use.",
    )
    device: Device = Field(default="auto", description="`auto`: CUDA, else MPS, else the CPU.")
    max_concurrent_jobs: int = Field(
        default=2,
        ge=1,
        le=256,
        description="Concurrent batches (ESPEAK: worker processes).",
    )
    warm: bool = Field(default=False, description="Load at start instead of at the first request.")
    idle_unload_seconds: float = Field(
        default=300.0, ge=0, description="Unload after this long without work. 0: never."
    )
    utterance_timeout_seconds: float = Field(
        default=60.0, gt=0, le=3_600, description="Maximum duration of a batch before it is abandoned."
    )
    voice_cache_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024 * 1024,
        description="Maximum size of the runner's cache of prepared voices, in memory.",
    )
    batching: BatchingConfig = Field(default=BatchingConfig())
    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address of a runner on another host; by default the runner starts on this one.",
    )
    token: SecretStr | None = Field(
        default=None,
        description="Shared secret between Gateway and runner; needed when the runner listens on a network.",
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue],
        description="Settings specific to this type of engine.",
    )
