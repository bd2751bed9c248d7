"""The sections of ``configuration.yaml`` that the Gateway itself reads."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from engines.config import EngineName, StrictModel

Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$", max_length=35)]
"""A BCP-47 tag, such as ``hi`` or ``en-IN``."""


def _network(text: str) -> str:
    """An IP address or a network of them, as it was written.

    Raises:
        ValueError: It is neither.
    """
    try:
        if "%" not in text:
            ipaddress.ip_network(text)
            return text
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{text} is one address of a network; leave out the `/…` or the rest") from error
    raise ValueError("should be an IP address or a network, such as 10.0.0.1 or 10.0.0.0/8")


class ServerConfig(StrictModel):
    """Where the Gateway listens and how it behaves towards its clients."""

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address the Gateway listens on; a loopback address."
    )
    port: int = Field(default=8000, ge=1, le=65_535, description="Port the Gateway listens on.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address clients reach the server by, where a proxy stands before it.",
    )
    trusted_proxies: list[Annotated[str, AfterValidator(_network)]] = Field(
        default_factory=list[str],
        max_length=100,
        description="Addresses and networks of the proxies whose `Forwarded` or `X-Forwarded-*` headers are "
        "believed: `10.0.0.0/8`. Nobody else's are, this machine's own neither.",
    )
    workers: int = Field(default=1, ge=1, le=64, description="Gateway processes; engines are not multiplied.")
    default_engine: EngineName | None = Field(
        default=None,
        description="The engine that OpenAI's model names mean; `null` is the first that is enabled. While "
        "its weights are missing, it is the next.",
    )
    request_timeout_seconds: float = Field(
        default=600.0, gt=0, le=86_400, description="The longest one request may take from start to end."
    )
    keep_alive_seconds: float = Field(
        default=75.0, ge=0, le=3_600, description="How long an idle connection stays open."
    )
    shutdown_grace_seconds: float = Field(
        default=30.0,
        ge=0,
        le=3_600,
        description="How long requests may go on once the server is told to stop.",
    )
    head_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="How long a client may take to send the head of a request: its line and its headers.",
    )
    max_connections: int = Field(
        default=2_048,
        ge=8,
        le=1_000_000,
        description="Connections of one process. For one more, the one that has waited the longest for its "
        "client is closed, of the address that has most of them.",
    )
    runtime_folder: Path | None = Field(
        default=None,
        description="Folder of locks and marks that the processes of one server share; `null`: one for this "
        "user and port, among the system's temporary files.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important messages that are logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="`text` for people, `json` lines for collectors."
    )
    docs_enabled: bool = Field(
        default=True, description="Whether `/docs` and the OpenAPI document are served."
    )
    cors_origins: list[Annotated[str, Field(pattern=r"^(\*|https?://[^\s/]+)$")]] = Field(
        default_factory=list[str],
        max_length=100,
        description="Web pages' origins that browsers let call this server: `https://app.example.com`.",
    )
    cors_credentials: bool = Field(
        default=False, description="Whether browsers send cookies along; not with the origin `*`."
    )


class AuthConfig(StrictModel):
    """Who may use the server."""

    mode: Literal["local", "required"] = Field(
        default="local",
        description="`local`: this machine's users, without a key, on a loopback address; `required`: "
        "a key or a token with every request.",
    )
    jwt_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs tokens and URLs, at least 32 characters, the same for all processes; without it "
        "the server makes one and keeps it in the database.",
    )
    access_token_minutes: float = Field(
        default=15.0, gt=0, le=1_440, description="How long an access token is good."
    )
    refresh_token_days: float = Field(
        default=30.0, gt=0, le=3_650, description="How long a refresh token is good."
    )
    cache_seconds: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="How long a key or token is believed without asking the database; the longest time "
        "that a revoked one still works.",
    )
    max_login_failures: int = Field(
        default=5,
        ge=1,
        le=1_000,
        description="Failed logins of one account from one address before it has to wait: 1 s, then twice as "
        "long after each further one. From anywhere it is four times as many, and ten times as many for all "
        "accounts of an address, where the account has not logged in at that address in the last 30 days.",
    )
    login_window_seconds: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="The time in which that many failed logins are forgotten, and the longest an account "
        "has to wait at one address.",
    )


class MemoryConfig(StrictModel):
    """What the engines of this host may take together; for one more, the least recently used goes."""

    ram_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Main memory that loaded engines take together, at most; `null` is no limit.",
    )
    vram_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Memory of the GPU that loaded engines take together, at most; `null` is no limit.",
    )
    wait_seconds: float = Field(
        default=30.0,
        ge=0,
        le=600,
        description="How long an engine waits to be loaded while those that have the memory are busy.",
    )


class ModelsConfig(StrictModel):
    """Weights of engines, as `awaaztwin models` fetches them."""

    folder: Path = Field(
        default=Path("data/models"),
        description="Folder with a folder for each model; `AWAAZTWIN_MODELS` is another name of this key.",
    )
    manifests: Path | None = Field(
        default=None,
        description="Folder with manifests of models of your own; those in `manifests` below `folder` are "
        "read too.",
    )


class LimitsConfig(StrictModel):
    """What one request, and all of them together, may ask for."""

    max_input_chars: int = Field(
        default=4_096, ge=1, le=1_000_000, description="The longest `input`, in characters."
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1_024, le=1_073_741_824, description="The largest request body."
    )
    max_head_bytes: int = Field(
        default=65_536,
        ge=1_024,
        le=16_777_216,
        description="The longest head of a request, its URL and headers together.",
    )
    max_headers: int = Field(default=100, ge=10, le=10_000, description="Headers of one request.")
    body_stall_timeout_seconds: float = Field(
        default=20.0,
        gt=0,
        le=3_600,
        description="The longest wait for the next part of a request's body.",
    )
    min_body_bytes_per_second: int = Field(
        default=1_024,
        ge=0,
        le=1_073_741_824,
        description="The least rate at which a body comes, once it has been waited for as long as "
        "`body_stall_timeout_seconds`.",
    )
    max_concurrent_streams: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="Requests that one Gateway process speaks at once, shared by tenants; one more is "
        "refused with 429.",
    )
    max_errors_per_second: float | None = Field(
        default=10.0,
        gt=0,
        le=1_000_000,
        description="Errors that one Gateway process sends in a second to one organisation, or to one "
        "address that gave no good key, once it had twice as many; further ones wait, for 5 s at most. "
        "`null`: none waits.",
    )
    first_audio_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3_600,
        description="The longest wait for an engine's first audio, its loading included.",
    )
    stall_timeout_seconds: float = Field(
        default=30.0, gt=0, le=3_600, description="The longest wait for an engine's next audio."
    )
    client_stall_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        description="How long a client may leave its audio unread before it counts as gone, or keep a place "
        "that others need.",
    )
    max_lexicon_entries: int = Field(
        default=500, ge=0, le=100_000, description="Words in the `lexicon` of one request."
    )
    max_audio_seconds: float = Field(
        default=3_600.0, gt=0, le=86_400, description="The longest audio of one response."
    )
    max_upload_bytes: int = Field(
        default=67_108_864,
        ge=65_536,
        le=1_073_741_824,
        description="The largest request that uploads recordings or a voice.",
    )
    max_concurrent_upload_bytes: int = Field(
        default=1_073_741_824,
        ge=65_536,
        le=2**40,
        description="Uploads that one Gateway process takes in at once, shared by tenants; more are refused "
        "with 429. They need as much disk among the temporary files, and for one file of each twice.",
    )
    max_sample_seconds: float = Field(
        default=300.0, ge=1, le=3_600, description="The longest recording, in seconds of decoded audio."
    )
    max_samples_per_voice: int = Field(
        default=50, ge=1, le=1_000, description="Recordings that one voice is made from."
    )


class TextConfig(StrictModel):
    """How text is made ready to be spoken; a request's own fields win."""

    strip_markup: bool = Field(
        default=True, description="Whether Markdown and emoji are left out instead of read aloud."
    )
    normalize: bool = Field(
        default=True, description="Whether numbers, currency, dates and units are written out as words."
    )
    first_max_chars: int = Field(
        default=120,
        ge=10,
        le=10_000,
        description="Longest first chunk, in characters; a short one is heard sooner.",
    )
    lexicon: dict[
        Annotated[str, Field(min_length=1, max_length=200)], Annotated[str, Field(max_length=1_000)]
    ] = Field(
        default_factory=dict[str, str],
        max_length=10_000,
        description="Word → spoken form, for every request.",
    )
    default_language: Language | None = Field(
        default=None,
        description="BCP-47 tag of texts that don't say theirs; `null` lets each sentence's script decide.",
    )


class RetentionConfig(StrictModel):
    """How long things are kept, in days; ``null`` keeps them."""

    outputs_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Days that finished audio is kept; `null` keeps it."
    )
    uploads_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that uploaded recordings are kept; `null` keeps them.",
    )
    jobs_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Days that ended jobs are kept; `null` keeps them."
    )


class ConsentConfig(StrictModel):
    """What it takes to speak like somebody."""

    required: bool | None = Field(
        default=None,
        description="Whether a voice is ready only with a consent; `null`: unless `auth.mode` is `local`.",
    )
    min_similarity: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="How alike the consent's recording and the samples are at least, where an embedding "
        "model is installed to compare them.",
    )
