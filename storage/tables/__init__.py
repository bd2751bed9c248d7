"""The database tables. Rows that belong to a tenant have its ``org_id`` and are deleted with it."""

from storage.tables.base import Base
from storage.tables.tenants import (
    ApiKey,
    AuditEvent,
    Invitation,
    LedgerAccount,
    Membership,
    Org,
    Output,
    PasswordReset,
    RefreshToken,
    Reservation,
    ServerSecret,
    UsageRecord,
    User,
)
from storage.tables.voices import (
    AudioSample,
    DoomedObject,
    VoiceAlias,
    VoiceConsent,
    VoiceEmbedding,
    VoiceProfile,
    VoiceState,
)

__all__ = [
    "ApiKey",
    "AudioSample",
    "AuditEvent",
    "Base",
    "DoomedObject",
    "Invitation",
    "LedgerAccount",
    "Membership",
    "Org",
    "Output",
    "PasswordReset",
    "RefreshToken",
    "Reservation",
    "ServerSecret",
    "UsageRecord",
    "User",
    "VoiceAlias",
    "VoiceConsent",
    "VoiceEmbedding",
    "VoiceProfile",
    "VoiceState",
]
