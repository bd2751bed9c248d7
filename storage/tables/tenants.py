"""Tenants, who belongs to them, what they used and keep."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.columns import new_id, now
from storage.tables.base import BIG_ID, ID, NAME, NAME_KEY, Base


class Org(Base):
    """A tenant.

    Attributes:
        name: Unique without case, see ``name_key``.
        plan: Of ``quota.plans``.
        limits: What it may use, over its plan's; see ``services.quota.limits``.
        retention: Days that its things are kept, over the configured ones.
        disabled_at: Since when nobody gets in.
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
    """A person, or a service, that may belong to several orgs.

    Attributes:
        email: As :func:`storage.columns.address_key` makes it.
        password_hash: argon2id; ``None`` cannot log in with a password.
        operator: Runs this server: may see and change every org.
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
    """A user's place in an org. ``role`` is owner, admin, member or service."""

    __tablename__ = "memberships"

    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(default=now)


class ApiKey(Base):
    """A key. Its secret is shown once and kept as a hash.

    Attributes:
        prefix: The public half, by which it is found.
        secret_hash: SHA-256, hexadecimal: the secret has 256 random bits, which no slow hash would add to.
        scopes: What it may do; never more than its org's members may.
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
    """A refresh token, as a hash. All that came from one login are a family."""

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
    """A place in an org that is offered to whoever has its token and proves to be of its address.

    Attributes:
        email: As :func:`storage.columns.address_key` makes it.
        role: Of the place.
        token_hash: SHA-256, hexadecimal.
        made_by: The user or key that offers it, or ``cli``; it ends when they lose what they offer.
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
    """Lets whoever has its token choose a user's password, once.

    Attributes:
        token_hash: SHA-256, hexadecimal.
    """

    __tablename__ = "password_resets"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("reset"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuditEvent(Base):
    """Who did what, when, from where. A trigger refuses changes, and it outlives what it tells of.

    Attributes:
        org_id: The tenant it happened in; no foreign key, so that it stays when the tenant goes.
        actor: A user's or key's id, ``cli``, ``anonymous`` or ``system``.
        action: Such as ``key.revoked``.
        target: The id of what was changed.
        address: Of the client.
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
    """What one request or job used.

    Attributes:
        day: In UTC.
        kind: ``speech`` or ``job``.
        outcome: ``ok``, ``failed`` or ``hangup``.
        audio_ms: Milliseconds of audio that were spoken.
        latency_ms: From the request to its first audio.
        external_user: Whom the client spoke for (``X-OpenWebUI-User-Id``).
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
    """How much of a quota is spent or reserved; see :mod:`storage.repositories.ledger`.

    Attributes:
        account: ``<meter>/<period>``, such as ``characters/2026-11``.
    """

    __tablename__ = "ledger"

    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    account: Mapped[str] = mapped_column(String(63), primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger)


class Reservation(Base):
    """What a request in flight has reserved. One that expires belonged to a process that died.

    Attributes:
        amounts: Account → amount.
    """

    __tablename__ = "reservations"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("res"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    amounts: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Output(Base):
    """Finished audio in the object store.

    Attributes:
        key: In the object store.
        size: Bytes.
        expires_at: When retention takes it away.
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
    """A secret that the server made for itself, alike for all of its processes."""

    __tablename__ = "server_secrets"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
