"""The tables. What belongs to a tenant has its ``org_id`` and goes with it."""

from storage.tables.base import Base
from storage.tables.tenants import (
    ApiKey,
    AuditEvent,
    LedgerAccount,
    Membership,
    Org,
    Output,
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
    "LedgerAccount",
    "Membership",
    "Org",
    "Output",
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
