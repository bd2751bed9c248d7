"""Voices that tenants made from recordings, and what allows them to."""

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
    """It waits: for samples, for a consent, or for its turn."""
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    REVOKED = "revoked"
    """Its consent was withdrawn; samples and embeddings are erased."""


class VoiceConsent(Base):
    """Somebody's consent to be spoken like. It stays when it is withdrawn: it is evidence.

    Attributes:
        kind: ``recording`` or ``attestation``.
        name: What the tenant calls it.
        language: BCP-47 tag of what is said.
        statement: Of an attestation: who, from where, when, and the words.
        key: Of the recording in the object store.
        size: Bytes of the recording.
        report: What was heard in the recording.
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
    """A voice of a tenant's own.

    Attributes:
        name: Unique in the tenant without case, see ``name_key``.
        language: BCP-47 tag of its samples, and of what it speaks when nothing else says.
        labels: What its tenant wants to find it by.
        consent_id: What allows it.
        consent_check: How the consent's recording compares with the samples.
        state: In all engines together.
        reason: Why it is not ready.
        report: Of all samples together.
        generation: Counts the changes of its samples.
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
    """Another name of a voice, such as one of OpenAI's; unique in the tenant without case."""

    __tablename__ = "voice_aliases"

    org_id: Mapped[str] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    alias_key: Mapped[str] = mapped_column(NAME_KEY, primary_key=True)
    alias: Mapped[str] = mapped_column(NAME)
    voice_id: Mapped[str] = mapped_column(ForeignKey("voices.id", ondelete="CASCADE"), index=True)


class AudioSample(Base):
    """A recording that a voice is made from.

    Attributes:
        filename: As it was uploaded, for people; never part of a path.
        original_key: The upload as it came; ``None`` when retention has taken it.
        audio_key: What is prepared from: 16-bit mono WAV; ``None`` when retention has taken it.
        sha256: Of the upload.
        size: Bytes of both.
        transcript: What is said in it.
        report: Its quality.
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
    """A voice in one engine: the work of preparing it, and the last embedding that came of it.

    Attributes:
        engine: By its configured name.
        state: Of the latest work.
        reason: Why that failed.
        wanted: The voice's generation that is, or is to be, prepared.
        attempts: Failures of the engine, not of the samples, in a row.
        due_at: When somebody should work on it: at once, after a pause, or when a worker's lease ends.
        lease: Of the process that works on it.
        embedding_id: What the engine knows it by; never means another one.
        model: What it was made with.
        key: In the object store.
        generation: It was made of.
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
    """An object, or all whose keys begin so, that nothing points to any more, or not yet.

    It is written in the transaction that takes the last pointer away, or before the object itself; whoever
    makes a pointer takes it out. So no crash leaves an object behind.

    Attributes:
        key: Of the object; one that ends with ``/`` means all below it.
        due_at: When it may go.
    """

    __tablename__ = "doomed_objects"

    key: Mapped[str] = mapped_column(String(512), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(index=True)
