"""The state of a voice, derived from its samples, its consent and its embeddings."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.config import Settings
from services.samples.report import SampleReport, voice_findings
from services.samples.speaker import compare
from storage.repositories.consents import ConsentRepository
from storage.repositories.doomed import DoomedObjects
from storage.repositories.embeddings import EmbeddingRepository
from storage.repositories.samples import SampleRepository
from storage.repositories.voices import touch
from storage.tables import AudioSample, VoiceConsent, VoiceEmbedding, VoiceProfile, VoiceState

NO_SAMPLES = "It has no samples yet."
NO_CONSENT = "It is waiting for a consent."


def standing(
    voice: VoiceProfile, rows: Sequence[VoiceEmbedding], consent: VoiceConsent | None, *, required: bool
) -> tuple[VoiceState, str | None]:
    """Return the state of a voice, and the reason if it is not ready.

    Args:
        voice: The voice, with the report on its current samples.
        rows: The voice's embeddings, one for each engine.
        consent: The voice's consent, if any.
        required: Whether a consent is required.
    """
    if voice.state == VoiceState.REVOKED:
        return VoiceState.REVOKED, voice.reason
    if problem := _consent_problem(voice, consent, required=required):
        return VoiceState.PENDING, problem
    if any(row.embedding_id is not None for row in rows):
        return VoiceState.READY, None
    if not voice.report:
        return VoiceState.PENDING, NO_SAMPLES
    if problem := defect(voice.report):
        return VoiceState.FAILED, problem
    return _progress(rows)


def _progress(rows: Sequence[VoiceEmbedding]) -> tuple[VoiceState, str | None]:
    states = {row.state for row in rows}
    if VoiceState.PROCESSING in states:
        return VoiceState.PROCESSING, None
    if states == {VoiceState.FAILED}:
        return VoiceState.FAILED, "; ".join(f"{row.engine}: {row.reason}" for row in rows)
    return VoiceState.PENDING, None


async def restate(session: AsyncSession, voice: VoiceProfile, settings: Settings) -> None:
    """Update a voice's state, after something that it depends on has changed."""
    rows = await EmbeddingRepository(session, voice.org_id).list([voice.id])
    consent = await _consent(session, voice)
    voice.state, voice.reason = standing(voice, rows, consent, required=settings.consent_required)
    touch(voice)
    await session.flush()


async def renew(
    session: AsyncSession, voice: VoiceProfile, settings: Settings, engines: Collection[str]
) -> None:
    """Update a voice's report after a change of its samples or consent, and queue its preparation.

    Old embeddings are kept until the new ones are ready, unless the samples are missing or unusable.

    Args:
        session: A transaction that holds the voice's lock.
        voice: The voice.
        settings: The settings.
        engines: Names of the engines to prepare it for.
    """
    samples = await SampleRepository(session, voice.org_id).list(voice.id)
    consent = await _consent(session, voice)
    voice.report = await _judge(samples)
    voice.consent_check = check_consent(consent, samples, least=settings.consent.min_similarity)
    voice.generation += 1
    embeddings = EmbeddingRepository(session, voice.org_id)
    if not samples or defect(voice.report) is not None:
        keys = await embeddings.stop(voice.id)
        await DoomedObjects(session).doom(keys)
    elif _consent_problem(voice, consent, required=settings.consent_required) is None:
        await embeddings.want(voice, engines)
    await restate(session, voice, settings)


def defect(report: dict[str, Any]) -> str | None:
    """Return why no voice can be prepared from samples; ``None`` if one can."""
    for finding in report.get("findings", ()):
        if finding["severity"] == "error":
            return f"{finding['message']} {finding['advice']}".strip()
    return None


def check_consent(
    consent: VoiceConsent | None, samples: Sequence[AudioSample], *, least: float
) -> dict[str, Any]:
    """Compare the speaker of a consent's recording with those of samples.

    Args:
        consent: The consent, if any.
        samples: The voice's samples.
        least: Minimum similarity of the same speaker.

    Returns:
        A ``verdict`` of ``same``, ``different`` or ``not_compared``, with the similarity or the reason; empty
        without a consent.
    """
    if consent is None:
        return {}
    if consent.kind != "recording":
        return {"verdict": "not_compared", "reason": "The consent is an attestation, without a recording."}
    recorded = SampleReport.model_validate(consent.report).speaker
    heard = [SampleReport.model_validate(sample.report).speaker for sample in samples]
    found = [
        similarity
        for speaker in heard
        if recorded is not None
        and speaker is not None
        and (similarity := compare(recorded, speaker)) is not None
    ]
    if not found:
        return {"verdict": "not_compared", "reason": "No embedding model is installed to compare speakers."}
    # The lowest similarity decides: a single sample of another person is enough to imitate them.
    similarity = min(found)
    return {
        "verdict": "same" if similarity >= least else "different",
        "similarity": round(similarity, 4),
        "least": least,
    }


def _consent_problem(voice: VoiceProfile, consent: VoiceConsent | None, *, required: bool) -> str | None:
    if not required:
        return None
    if consent is None or consent.revoked_at is not None:
        return NO_CONSENT
    check = voice.consent_check
    if check.get("verdict") == "different":
        return (
            "The consent's recording does not sound like the samples: "
            f"similarity {check['similarity']:.2f}, at least {check['least']:.2f} is needed."
        )
    return None


async def _judge(samples: Sequence[AudioSample]) -> dict[str, Any]:
    if not samples:
        return {}
    reports = [SampleReport.model_validate(sample.report) for sample in samples]
    return voice_findings(reports).model_dump(mode="json")


async def _consent(session: AsyncSession, voice: VoiceProfile) -> VoiceConsent | None:
    if voice.consent_id is None:
        return None
    return await ConsentRepository(session, voice.org_id).get(voice.consent_id, revoked=True)
