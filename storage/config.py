"""Settings of the ``storage`` section of ``configuration.yaml``."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

DATABASE_SCHEMES: Final = ("sqlite", "sqlite+aiosqlite", "postgresql", "postgresql+asyncpg")
REDIS_SCHEMES: Final = ("redis", "rediss", "unix")


class StorageModel(BaseModel):
    """A settings model: immutable, unknown keys are errors, and errors do not contain values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ObjectStoreConfig(StorageModel):
    """Where recordings and finished audio are stored."""

    type: Literal["folder", "s3"] = Field(
        default="folder", description="`folder` on this machine, or `s3` (Amazon S3, MinIO and the like)."
    )
    path: Path = Field(default=Path("data/objects"), description="The folder, if `type` is `folder`.")
    bucket: str | None = Field(
        default=None, min_length=3, max_length=63, description="The bucket; required if `type` is `s3`."
    )
    endpoint_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address of an S3 service that is not Amazon's, such as MinIO.",
    )
    region: str | None = Field(default=None, min_length=1, description="Region of the bucket, for `s3`.")
    access_key: SecretStr | None = Field(
        default=None, description="Key id for `s3`; without it the machine's own credentials are used."
    )
    secret_key: SecretStr | None = Field(default=None, description="Secret that belongs to `access_key`.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type == "s3" and self.bucket is None:
            raise ValueError("`type: s3` needs a `bucket`")
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("`access_key` and `secret_key` are given together, or not at all")
        return self


class StorageConfig(StorageModel):
    """Storage of everything that outlives a request."""

    db_url: SecretStr = Field(
        default=SecretStr("sqlite+aiosqlite:///data/awaaztwin.db"),
        description="The database: SQLite, or PostgreSQL (`postgresql+asyncpg://user:password@host/name`).",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis for queues and caches shared between machines; without it they are in-process.",
    )
    object_store: ObjectStoreConfig = Field(
        default=ObjectStoreConfig(), description="Where recordings and finished audio are stored."
    )

    @field_validator("db_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        return _checked(value, DATABASE_SCHEMES)

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else _checked(value, REDIS_SCHEMES)


def _checked(url: SecretStr, schemes: tuple[str, ...]) -> SecretStr:
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator or scheme not in schemes or not rest:
        expected = ", ".join(f"{name}://" for name in schemes)
        raise ValueError(f"should be an address that starts with one of {expected}")
    return url
