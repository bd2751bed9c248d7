"""Where a voice is, from everything that is known of it."""

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
    """The state of a voice and why it is not ready.

    Args:
        voice: The voice; its report is that of its present samples.
        rows: What it is in each engine.
        consent: What allows it.
        required: Whether it needs a consent.
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
    """Set a voice's state anew, after something that it depends on has changed."""
    rows = await EmbeddingRepository(session, voice.org_id).list([voice.id])
    consent = await _consent(session, voice)
    voice.state, voice.reason = standing(voice, rows, consent, required=settings.consent_required)
    touch(voice)
    await session.flush()


async def renew(
    session: AsyncSession, voice: VoiceProfile, settings: Settings, engines: Collection[str]
) -> None:
    """After a change of samples or of the consent: judge the samples anew, and have the voice prepared.

    What was prepared before stays until the next is ready, unless nothing can be prepared any more.

    Args:
        session: A transaction that holds the voice's lock.
        voice: The voice.
        settings: The settings.
        engines: Those that clone.
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
    """Why nothing can be prepared from samples, if so."""
    for finding in report.get("findings", ()):
        if finding["severity"] == "error":
            return f"{finding['message']} {finding['advice']}".strip()
    return None


def check_consent(
    consent: VoiceConsent | None, samples: Sequence[AudioSample], *, least: float
) -> dict[str, Any]:
    """How the recording of a consent compares with samples: ``same``, ``different`` or ``not_compared``."""
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
    # The least alike decides: one sample of somebody else is enough to speak like them.
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
