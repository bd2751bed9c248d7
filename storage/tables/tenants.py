"""Tables of tenants, their users and credentials, their usage and their finished audio."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.columns import new_id, now
from storage.tables.base import BIG_ID, ID, NAME, NAME_KEY, Base


class Org(Base):
    """A tenant.

    Attributes:
        name: Display name; unique case-insensitively, see ``name_key``.
        plan: Name of a plan in ``quota.plans``.
        limits: Limits that override the plan's; see ``services.quota.limits``.
        retention: Retention periods in days that override the configured ones.
        disabled_at: Time since which access is denied.
    """

    __tablename__ = "orgs"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("org"))
    name: Mapped[str] = mapped_column(NAME)
    name_key: Mapped[str] = mapped_column(NAME_KEY, unique=True)
    plan: Mapped[str] = mapped_column(String(63))
    limits: Mapped[dict[str, Any]] = mapped_column(default=dict)
    retention: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    disabled_at: Mapped[datetime | None]


class User(Base):
    """A person or service; may be a member of several orgs.

    Attributes:
        email: Address in the form of :func:`storage.columns.address_key`.
        password_hash: argon2id hash; ``None`` if the user cannot log in with a password.
        operator: Whether the user runs this server, and may see and change every org.
    """

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("user"))
    email: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(NAME, default="")
    password_hash: Mapped[str | None] = mapped_column(String(300))
    operator: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    disabled_at: Mapped[datetime | None]


class Membership(Base):
    """A user's membership in an org. ``role`` is owner, admin, member or service."""

    __tablename__ = "memberships"

    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(default=now)


class ApiKey(Base):
    """An API key. Its secret is shown once and stored as a hash.

    Attributes:
        prefix: Public part, by which the key is looked up.
        secret_hash: SHA-256 in hexadecimal; with 256 random bits, the secret needs no slow hash.
        scopes: Permissions; never more than those of the org's members.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("key"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(NAME)
    prefix: Mapped[str] = mapped_column(String(32), unique=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class RefreshToken(Base):
    """A refresh token, stored as a hash. The tokens that came from one login form a family."""

    __tablename__ = "refresh_tokens"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("rt"))
    family: Mapped[str] = mapped_column(ID, index=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Invitation(Base):
    """An offer of membership to the holder of its token; an existing user must also authenticate.

    Attributes:
        email: Address in the form of :func:`storage.columns.address_key`.
        role: Role of the new member.
        token_hash: SHA-256 in hexadecimal.
        made_by: ID of the user or key that made it, or ``cli``; revoked when the maker loses the right to it.
    """

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("inv"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(320))
    role: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    made_by: Mapped[str] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class PasswordReset(Base):
    """A one-time token with which a user's password can be set.

    Attributes:
        token_hash: SHA-256 in hexadecimal.
    """

    __tablename__ = "password_resets"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("reset"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuditEvent(Base):
    """An entry of the audit log. A trigger prevents changes; entries outlive their subjects.

    Attributes:
        org_id: ID of the tenant; not a foreign key, so that the entry remains when the tenant is deleted.
        actor: ID of a user or key, or ``cli``, ``anonymous`` or ``system``.
        action: Name of the action, such as ``key.revoked``.
        target: ID of the object that was changed.
        address: IP address of the client.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "org_id", "id"),)

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    org_id: Mapped[str | None] = mapped_column(ID)
    actor: Mapped[str] = mapped_column(ID)
    action: Mapped[str] = mapped_column(String(63))
    target: Mapped[str | None] = mapped_column(String(320))
    address: Mapped[str | None] = mapped_column(String(63))
    request_id: Mapped[str | None] = mapped_column(String(100))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)


class UsageRecord(Base):
    """The usage of one request or job.

    Attributes:
        day: Day in UTC.
        kind: ``speech`` or ``job``.
        outcome: ``ok``, ``failed`` or ``hangup``.
        audio_ms: Duration of the generated audio in milliseconds.
        latency_ms: Time from the request to the first audio in milliseconds.
        external_user: ID of the client's own user on whose behalf it called (``X-OpenWebUI-User-Id``).
    """

    __tablename__ = "usage_records"
    __table_args__ = (Index(None, "org_id", "day"),)

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(default=now)
    day: Mapped[date]
    kind: Mapped[str] = mapped_column(String(20))
    outcome: Mapped[str] = mapped_column(String(20))
    request_id: Mapped[str | None] = mapped_column(String(100))
    engine: Mapped[str] = mapped_column(String(63))
    voice: Mapped[str] = mapped_column(NAME)
    characters: Mapped[int] = mapped_column(BigInteger)
    audio_ms: Mapped[int] = mapped_column(BigInteger)
    latency_ms: Mapped[int | None]
    user_id: Mapped[str | None] = mapped_column(ID)
    key_id: Mapped[str | None] = mapped_column(ID)
    external_user: Mapped[str | None] = mapped_column(NAME)


class LedgerAccount(Base):
    """The spent and reserved amount of a quota; see :mod:`storage.repositories.ledger`.

    Attributes:
        account: ``<meter>/<period>``, such as ``characters/2026-11``.
    """

    __tablename__ = "ledger"

    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    account: Mapped[str] = mapped_column(String(63), primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)


class Reservation(Base):
    """The reserved amounts of a request in progress. It expires if the process dies.

    Attributes:
        amounts: Reserved amount by account.
    """

    __tablename__ = "reservations"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("res"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    amounts: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Output(Base):
    """Finished audio in the object store.

    Attributes:
        key: Key in the object store.
        size: Size in bytes.
        expires_at: Time at which retention ends; ``None`` to keep it.
    """

    __tablename__ = "outputs"
    __table_args__ = (UniqueConstraint("key"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("audio"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(512))
    content_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(BigInteger)
    etag: Mapped[str] = mapped_column(String(100))
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None] = mapped_column(index=True)


class ServerSecret(Base):
    """A secret that the server generated for itself, shared by all of its processes."""

    __tablename__ = "server_secrets"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
