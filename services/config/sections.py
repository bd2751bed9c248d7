"""The sections of ``configuration.yaml`` that the Gateway itself reads."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from engines.config import EngineName, StrictModel

Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$", max_length=35)]
"""A BCP-47 tag, such as ``hi`` or ``en-IN``."""


def _network(text: str) -> str:
    """Check an IP address or network, and return it unchanged.

    Raises:
        ValueError: The text is neither.
    """
    try:
        if "%" not in text:
            ipaddress.ip_network(text)
            return text
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{text} is one address of a network; leave out the `/…` or the rest") from error
    raise ValueError("should be an IP address or a network, such as 10.0.0.1 or 10.0.0.0/8")


class Section(StrictModel):
    """A settings model whose fields are described by the docstrings below them."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class ServerConfig(Section):
    """Where the Gateway listens and how it behaves towards its clients."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address the Gateway listens on; with `auth.mode: local`, a loopback address only."""
    port: int = Field(default=8000, ge=1, le=65_535)
    """Port the Gateway listens on."""
    public_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """Address that clients use to reach the server, where it runs behind a proxy."""
    trusted_proxies: list[Annotated[str, AfterValidator(_network)]] = Field(
        default_factory=list[str], max_length=100
    )
    """Addresses and networks of the proxies whose `Forwarded` or `X-Forwarded-*` headers are believed:
    `10.0.0.0/8`. All others are ignored, this machine's included."""
    workers: int = Field(default=1, ge=1, le=64)
    """Gateway processes; engines are not multiplied."""
    default_engine: EngineName | None = None
    """The engine for OpenAI's model names; `null`: the first that is enabled. While its weights are missing,
    the next one is used."""
    request_timeout_seconds: float = Field(default=600.0, gt=0, le=86_400)
    """The longest duration of one request."""
    keep_alive_seconds: float = Field(default=75.0, ge=0, le=3_600)
    """How long an idle connection stays open."""
    shutdown_grace_seconds: float = Field(default=30.0, ge=0, le=3_600)
    """How long running requests may continue after the server is told to stop."""
    head_timeout_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long a client may take to send a request's headers."""
    max_connections: int = Field(default=2_048, ge=8, le=1_000_000)
    """Connections of one process. At the limit, a new one closes the one waiting longest for its client, of
    the address that has the most."""
    runtime_folder: Path | None = None
    """Folder for locks and state shared by one server's processes; `null`: one per user and port, in the
    system's temporary folder."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    log_format: Literal["text", "json"] = "text"
    """`text` for people, `json` for log collectors."""
    docs_enabled: bool = True
    """Whether `/docs` and the OpenAPI document are served."""
    cors_origins: list[Annotated[str, Field(pattern=r"^(\*|https?://[^\s/]+)$")]] = Field(
        default_factory=list[str], max_length=100
    )
    """Origins of web pages that may call this server from browsers: `https://app.example.com`."""
    cors_credentials: bool = False
    """Whether browsers may send cookies; not with the origin `*`."""


class AuthConfig(Section):
    """Who may use the server."""

    mode: Literal["local", "required"] = "local"
    """`local`: users of this machine only, without keys, on a loopback address; `required`: every request
    needs a key or a token."""
    jwt_secret: SecretStr | None = Field(default=None, min_length=32)
    """Signs tokens and URLs, at least 32 characters, the same for all processes; without it the server
    generates one and stores it in the database."""
    access_token_minutes: float = Field(default=15.0, gt=0, le=1_440)
    """Lifetime of an access token."""
    refresh_token_days: float = Field(default=30.0, gt=0, le=3_650)
    """Lifetime of a refresh token."""
    cache_seconds: float = Field(default=2.0, ge=0, le=60)
    """How long a key or token is cached before the database is asked again; the longest time a revoked one
    still works."""
    max_login_failures: int = Field(default=5, ge=1, le=1_000)
    """Failed logins of one account from one address before the next waits: 1 s, then twice as long after each
    failure. More are allowed in all: see docs/tenants.md, "Guessing"."""
    login_window_seconds: float = Field(default=300.0, gt=0, le=86_400)
    """The time after which failed logins are forgotten, and the longest an account must wait at one
    address."""


class MemoryConfig(Section):
    """Memory limits for all engines of this host; beyond them the least recently used is unloaded."""

    ram_bytes: int | None = Field(default=None, ge=1)
    """Most main memory for all loaded engines together; `null`: no limit."""
    vram_bytes: int | None = Field(default=None, ge=1)
    """Most GPU memory for all loaded engines together; `null`: no limit."""
    wait_seconds: float = Field(default=30.0, ge=0, le=600)
    """How long an engine waits to load while the engines that hold the memory are busy."""


class ModelsConfig(Section):
    """Engines' weights, as `awaaztwin models` fetches them."""

    folder: Path = Path("data/models")
    """Folder that holds one folder per model; `AWAAZTWIN_MODELS` also sets it."""
    manifests: Path | None = None
    """Folder with manifests of your own models; those in `manifests` below `folder` are read too."""


class LimitsConfig(Section):
    """Limits of one request, and of all requests together."""

    max_input_chars: int = Field(default=4_096, ge=1, le=1_000_000)
    """The longest `input`, in characters."""
    max_body_bytes: int = Field(default=1_048_576, ge=1_024, le=1_073_741_824)
    """The largest request body."""
    max_head_bytes: int = Field(default=65_536, ge=1_024, le=16_777_216)
    """The largest request head: URL and headers together."""
    max_headers: int = Field(default=100, ge=10, le=10_000)
    """Most headers in one request."""
    body_stall_timeout_seconds: float = Field(default=20.0, gt=0, le=3_600)
    """How long a request's body may stall."""
    min_body_bytes_per_second: int = Field(default=1_024, ge=0, le=1_073_741_824)
    """The lowest rate at which a body may arrive, measured after `body_stall_timeout_seconds` of waiting."""
    max_concurrent_streams: int = Field(default=128, ge=1, le=100_000)
    """Concurrent speech requests of one Gateway process, shared by tenants; more are refused with 429."""
    max_errors_per_second: float | None = Field(default=10.0, gt=0, le=1_000_000)
    """Errors per second that one Gateway process sends to one organisation, or to one address without a valid
    key, after a burst of twice as many; more are delayed by up to 5 s. `null`: no delay."""
    first_audio_timeout_seconds: float = Field(default=60.0, gt=0, le=3_600)
    """How long to wait for an engine's first audio, loading included."""
    stall_timeout_seconds: float = Field(default=30.0, gt=0, le=3_600)
    """How long to wait for an engine's next audio."""
    client_stall_timeout_seconds: float = Field(default=30.0, gt=0, le=3_600)
    """How long a client may leave audio unread before it is disconnected, or hold a slot that others need."""
    max_lexicon_entries: int = Field(default=500, ge=0, le=100_000)
    """Most words in the `lexicon` of one request."""
    max_audio_seconds: float = Field(default=3_600.0, gt=0, le=86_400)
    """The longest audio of one response."""
    max_upload_bytes: int = Field(default=67_108_864, ge=65_536, le=1_073_741_824)
    """The largest request that uploads recordings or a voice."""
    max_concurrent_upload_bytes: int = Field(default=1_073_741_824, ge=65_536, le=2**40)
    """Bytes of concurrent uploads of one Gateway process, shared by tenants; more are refused with 429. They
    take as much temporary disk space, and twice as much for one file of each."""
    max_sample_seconds: float = Field(default=300.0, ge=1, le=3_600)
    """The longest recording, in seconds of decoded audio."""
    max_samples_per_voice: int = Field(default=50, ge=1, le=1_000)
    """Most recordings per voice."""


class TextConfig(Section):
    """How text is prepared for speech; a request's fields override it."""

    strip_markup: bool = True
    """Whether Markdown and emoji are left out instead of read aloud."""
    normalize: bool = True
    """Whether numbers, currency, dates and units are written out as words."""
    first_max_chars: int = Field(default=120, ge=10, le=10_000)
    """Longest first chunk, in characters; a shorter one starts sooner."""
    lexicon: dict[
        Annotated[str, Field(min_length=1, max_length=200)], Annotated[str, Field(max_length=1_000)]
    ] = Field(default_factory=dict[str, str], max_length=10_000)
    """Spoken forms of words, for every request."""
    default_language: Language | None = None
    """BCP-47 tag for texts without one; `null`: each sentence's script decides."""


class RetentionConfig(Section):
    """How long data is kept, in days; ``null``: forever."""

    outputs_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days to keep finished audio; `null`: forever."""
    uploads_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days to keep uploaded recordings; `null`: forever."""
    jobs_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days to keep finished jobs; `null`: forever."""


class ConsentConfig(Section):
    """What a cloned voice requires."""

    required: bool | None = None
    """Whether a voice needs a consent; `null`: yes, unless `auth.mode` is `local`."""
    min_similarity: float = Field(default=0.7, ge=0, le=1)
    """Lowest speaker similarity of consent recording and samples, where an embedding model is installed to
    compare them."""
