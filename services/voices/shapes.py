"""The API formats of voices, samples and consents."""

from collections.abc import Sequence
from typing import Any, Final

from storage.tables import AudioSample, VoiceAlias, VoiceConsent, VoiceEmbedding, VoiceProfile

UNDETERMINED: Final = "und"
"""BCP-47's tag for an undetermined language, since OpenAI's clients expect a tag."""

HIDDEN: Final = frozenset({"speaker", "fingerprint"})
"""Fields of a report that are not shown, because they identify a person."""


def voice_shape(
    voice: VoiceProfile, rows: Sequence[VoiceEmbedding], aliases: Sequence[VoiceAlias], samples: int
) -> dict[str, Any]:
    """Return a voice in this server's own format.

    Args:
        voice: The voice.
        rows: Embeddings, also of other voices.
        aliases: Aliases, also of other voices.
        samples: Number of the voice's samples.
    """
    return {
        "id": voice.id,
        "object": "voice",
        "name": voice.name,
        "language": voice.language,
        "description": voice.description,
        "labels": voice.labels,
        "aliases": [alias.alias for alias in aliases if alias.voice_id == voice.id],
        "state": voice.state,
        "reason": voice.reason,
        "engines": [_engine(row) for row in rows if row.voice_id == voice.id],
        "samples": samples,
        "quality": voice.report or None,
        "consent": None if voice.consent_id is None else {"id": voice.consent_id, **voice.consent_check},
        "created_at": int(voice.created_at.timestamp()),
        "updated_at": int(voice.updated_at.timestamp()),
    }


def openai_voice(voice: VoiceProfile) -> dict[str, Any]:
    """Return a voice in OpenAI's format."""
    return {
        "id": voice.id,
        "object": "audio.voice",
        "name": voice.name,
        "created_at": int(voice.created_at.timestamp()),
        "type": "audio_sample",
    }


def sample_shape(sample: AudioSample) -> dict[str, Any]:
    """Return a sample; ``recording_kept`` is whether its recording can still be downloaded."""
    return {
        "id": sample.id,
        "object": "voice.sample",
        "voice_id": sample.voice_id,
        "filename": sample.filename,
        "content_type": sample.content_type,
        "sha256": sample.sha256,
        "size": sample.size,
        "duration": sample.duration_ms / 1000,
        "transcript": sample.transcript,
        "language": sample.language,
        "quality": {name: value for name, value in sample.report.items() if name not in HIDDEN},
        "recording_kept": sample.original_key is not None,
        "created_at": int(sample.created_at.timestamp()),
    }


def openai_consent(consent: VoiceConsent) -> dict[str, Any]:
    """Return a consent in OpenAI's format."""
    return {
        "id": consent.id,
        "object": "audio.voice_consent",
        "name": consent.name,
        "language": consent.language or UNDETERMINED,
        "created_at": int(consent.created_at.timestamp()),
    }


def consent_shape(consent: VoiceConsent) -> dict[str, Any]:
    """Return a consent with its evidence, in this server's own format."""
    revoked = consent.revoked_at
    return {
        **openai_consent(consent),
        "object": "voice.consent",
        "kind": consent.kind,
        "statement": consent.statement or None,
        "quality": {name: value for name, value in consent.report.items() if name not in HIDDEN} or None,
        "revoked_at": None if revoked is None else int(revoked.timestamp()),
    }


def _engine(row: VoiceEmbedding) -> dict[str, Any]:
    return {
        "engine": row.engine,
        "state": row.state,
        "reason": row.reason,
        "speaks": row.embedding_id is not None,
        "model": row.model,
        "prepared_at": None if row.prepared_at is None else int(row.prepared_at.timestamp()),
    }
