"""Tables of voices that tenants created from recordings, and of consents."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.columns import new_id, now
from storage.tables.base import ID, NAME, NAME_KEY, Base


class VoiceState(StrEnum):
    """The state of a voice, overall or in one engine."""

    PENDING = "pending"
    """Waiting for samples, a consent, or a worker."""
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    REVOKED = "revoked"
    """The consent was withdrawn; samples and embeddings are erased."""


class VoiceConsent(Base):
    """A speaker's consent to the use of their voice. As evidence, it is kept when it is withdrawn.

    Attributes:
        kind: ``recording`` or ``attestation``.
        name: The tenant's name for it.
        language: BCP-47 tag of the recording.
        statement: For an attestation: by whom, from where, when, and its text.
        key: Key of the recording in the object store.
        size: Size of the recording in bytes.
        report: Findings about the recording.
    """

    __tablename__ = "voice_consents"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("cons"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(NAME)
    language: Mapped[str | None] = mapped_column(String(35))
    statement: Mapped[dict[str, Any]] = mapped_column(default=dict)
    key: Mapped[str | None] = mapped_column(String(512))
    content_type: Mapped[str | None] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    revoked_at: Mapped[datetime | None]


class VoiceProfile(Base):
    """A voice that a tenant created.

    Attributes:
        name: Display name; unique in the tenant case-insensitively, see ``name_key``.
        language: BCP-47 tag of its samples, and default language of its speech.
        labels: The tenant's labels.
        consent_id: ID of the consent.
        consent_check: Comparison of the consent's recording with the samples.
        state: Overall state in all engines.
        reason: Reason why it is not ready.
        report: Quality report of all samples together.
        generation: Number of changes of its samples.
    """

    __tablename__ = "voices"
    __table_args__ = (UniqueConstraint("org_id", "name_key"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("voice"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(NAME)
    name_key: Mapped[str] = mapped_column(NAME_KEY)
    language: Mapped[str | None] = mapped_column(String(35))
    description: Mapped[str] = mapped_column(Text, default="")
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    consent_id: Mapped[str | None] = mapped_column(
        ForeignKey("voice_consents.id", ondelete="SET NULL"), index=True
    )
    consent_check: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(20), default=VoiceState.PENDING)
    reason: Mapped[str | None] = mapped_column(Text)
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    generation: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class VoiceAlias(Base):
    """Another name of a voice, such as one of OpenAI's; unique in the tenant, case-insensitively."""

    __tablename__ = "voice_aliases"

    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    alias_key: Mapped[str] = mapped_column(NAME_KEY, primary_key=True)
    alias: Mapped[str] = mapped_column(NAME)
    voice_id: Mapped[str] = mapped_column(ForeignKey("voices.id", ondelete="CASCADE"), index=True)


class AudioSample(Base):
    """A recording from which a voice is prepared.

    Attributes:
        filename: Name of the uploaded file, for display; never used in a path.
        original_key: Key of the unchanged upload; ``None`` after retention has deleted it.
        audio_key: Key of the 16-bit mono WAV for preparation; ``None`` after retention has deleted it.
        sha256: SHA-256 of the upload.
        size: Total size of both in bytes.
        transcript: Text of the recording.
        report: Quality report.
    """

    __tablename__ = "audio_samples"
    __table_args__ = (Index(None, "org_id", "created_at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=lambda: new_id("sample"))
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    voice_id: Mapped[str] = mapped_column(ForeignKey("voices.id", ondelete="CASCADE"), index=True)
    filename: Mapped[str] = mapped_column(NAME)
    content_type: Mapped[str] = mapped_column(String(100))
    original_key: Mapped[str | None] = mapped_column(String(512))
    audio_key: Mapped[str | None] = mapped_column(String(512))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    transcript: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(String(35))
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class VoiceEmbedding(Base):
    """A voice in one engine: the state of its preparation, and its latest embedding.

    Attributes:
        engine: Configured name of the engine.
        state: State of the latest preparation.
        reason: Reason why it failed.
        wanted: Generation of the voice that is prepared, or is to be prepared.
        attempts: Number of consecutive failures of the engine; invalid samples do not count.
        due_at: Time at which a worker may claim it: at once, after a backoff, or when a lease expires.
        lease: ID of the lease of the worker that prepares it.
        embedding_id: ID of the embedding in the engine; never reused.
        model: Identifier of the model that the embedding was computed with.
        key: Key of the embedding in the object store.
        generation: Generation of the voice that the embedding was computed from.
    """

    __tablename__ = "voice_embeddings"

    voice_id: Mapped[str] = mapped_column(ForeignKey("voices.id", ondelete="CASCADE"), primary_key=True)
    engine: Mapped[str] = mapped_column(String(63), primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(20), default=VoiceState.PENDING)
    reason: Mapped[str | None] = mapped_column(Text)
    wanted: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    lease: Mapped[str | None] = mapped_column(ID)
    embedding_id: Mapped[str | None] = mapped_column(ID)
    model: Mapped[str | None] = mapped_column(NAME)
    key: Mapped[str | None] = mapped_column(String(512))
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    generation: Mapped[int | None]
    prepared_at: Mapped[datetime | None]


class DoomedObject(Base):
    """An object, or all objects with a prefix, that no row references any more, or not yet.

    The row is added in the transaction that deletes the last reference, or before the object is stored; the
    transaction that adds a reference deletes it. So a crash never leaves an unreferenced object behind.

    Attributes:
        key: Key of the object; a key that ends with ``/`` means all objects below it.
        due_at: Time from which it is deleted.
    """

    __tablename__ = "doomed_objects"

    key: Mapped[str] = mapped_column(String(512), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(index=True)
