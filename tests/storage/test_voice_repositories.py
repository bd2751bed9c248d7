"""Voices, their other names, samples, consents and embeddings, on both databases."""

import asyncio
from datetime import timedelta

import pytest

from storage.columns import new_id, now
from storage.database import Database
from storage.errors import Conflict, OverQuota
from storage.repositories.consents import ConsentRepository
from storage.repositories.doomed import DoomedObjects
from storage.repositories.embeddings import (
    EmbeddingRepository,
    Prepared,
    claim_preparation,
    fail_claim,
    finish_claim,
    models_are_current,
    renew_claim,
    want_current_models,
)
from storage.repositories.orgs import OrgRepository
from storage.repositories.samples import SampleRepository, expired_samples, sample_orgs
from storage.repositories.stored import stored_bytes
from storage.repositories.voices import VoiceRepository
from storage.tables import AudioSample, VoiceConsent, VoiceProfile, VoiceState


async def two_orgs(database: Database) -> tuple[str, str]:
    async with database.write() as session:
        orgs = OrgRepository(session)
        return (await orgs.create("A", plan="default")).id, (await orgs.create("B", plan="default")).id


async def make(database: Database, org: str, name: str, **fields: object) -> VoiceProfile:
    async with database.write() as session:
        return await VoiceRepository(session, org).create(name, **fields)  # pyright: ignore[reportArgumentType] - by name


def prepared(number: int) -> Prepared:
    return Prepared(embedding_id=f"emb_{number}", model="m/1", key=f"org/o/e{number}", size=10)


def sample(org: str, voice: str, size: int = 5) -> AudioSample:
    sample_id = new_id("sample")
    return AudioSample(
        id=sample_id,
        org_id=org,
        voice_id=voice,
        filename="a.wav",
        content_type="audio/wav",
        original_key=f"org/{org}/{sample_id}.orig",
        audio_key=f"org/{org}/{sample_id}.wav",
        sha256="0" * 64,
        size=size,
        duration_ms=1_000,
    )


async def test_names_are_unique_in_a_tenant_without_case(database: Database):
    a, b = await two_orgs(database)
    await make(database, a, "Asha  Rao")
    await make(database, b, "Asha Rao")
    with pytest.raises(Conflict, match="already"):
        await make(database, a, "ASHA RAO")
    long = "ΐ" * 200  # three letters each without case
    assert (await make(database, a, long)).name == long


async def test_a_voice_is_found_by_id_name_and_alias_of_its_own_tenant_only(database: Database):
    a, b = await two_orgs(database)
    voice = await make(database, a, "Asha")
    other = await make(database, a, "Bina")
    async with database.write() as session:
        await VoiceRepository(session, a).set_alias("Alloy", voice)
        await EmbeddingRepository(session, a).want(voice, ["X", "Y"])
    async with database.read() as session:
        mine, theirs = VoiceRepository(session, a), VoiceRepository(session, b)
        for wanted in (voice.id, "asha", "ALLOY"):
            found = await mine.find(wanted)
            assert found is not None
            assert found.voice.id == voice.id
            assert sorted(row.engine for row in found.embeddings) == ["X", "Y"]
            assert await theirs.find(wanted) is None
        found = await mine.find("bina")
        assert found is not None
        assert (found.voice.id, list(found.embeddings)) == (other.id, [])
        assert await mine.find("nobody") is None
        assert sorted(await mine.names()) == ["Alloy", "Asha", "Bina"]


async def test_names_and_aliases_are_kept_apart(database: Database):
    a, _ = await two_orgs(database)
    voice = await make(database, a, "Asha")
    other = await make(database, a, "Bina")
    async with database.write() as session:
        voices = VoiceRepository(session, a)
        await voices.set_alias("nova", voice)
        assert (await voices.set_alias("Nova", other)).voice_id == other.id
        with pytest.raises(Conflict):
            await voices.set_alias("BINA", voice)
        with pytest.raises(Conflict, match="alias"):
            await voices.create("NOVA")
        await voices.rename(other, "Nova")
        assert not await voices.drop_alias("nova", voice)
        assert await voices.drop_alias("nova", other)
        assert not await voices.drop_alias("nova", other)
        await voices.set_aliases(["a", "b"], voice)
        await voices.set_aliases(["B", "c"], other)
        await voices.set_aliases(["d", "d"], voice)
        names = {alias.alias: alias.voice_id for alias in await voices.aliases()}
        assert names == {"B": other.id, "c": other.id, "d": voice.id}


async def test_pages_and_searches(database: Database):
    a, b = await two_orgs(database)
    await make(database, b, "Theirs")
    for number in range(7):
        language = "hi-IN" if number % 2 else "en"
        await make(database, a, f"Voice {number}", language=language, description=f"Teller_{number}")
    async with database.read() as session:
        voices = VoiceRepository(session, a)
        pages, after = [], None
        while page := await voices.list(after=after, limit=3):
            pages.append([voice.name for voice in page])
            after = page[-1].id
        assert pages == [[f"Voice {n}" for n in range(start, min(start + 3, 7))] for start in (0, 3, 6)]
        assert [v.name for v in await voices.list(search="VOICE 4")] == ["Voice 4"]
        assert [v.name for v in await voices.list(search="teller_5")] == ["Voice 5"]
        assert await voices.list(search="teller%") == []
        assert [v.name for v in await voices.list(language="hi")] == ["Voice 1", "Voice 3", "Voice 5"]
        assert await voices.list(state="ready") == []
        assert await voices.count() == 7


async def test_no_more_voices_than_allowed_even_at_once(database: Database):
    a, _ = await two_orgs(database)
    results = await asyncio.gather(
        *(make(database, a, f"Voice {n}", most=3) for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(result, OverQuota) for result in results) == 5
    async with database.read() as session:
        assert await VoiceRepository(session, a).count() == 3


async def test_a_voice_takes_everything_of_it_along(database: Database):
    a, _ = await two_orgs(database)
    voice = await make(database, a, "Asha")
    async with database.write() as session:
        voices = VoiceRepository(session, a)
        await SampleRepository(session, a).add(sample(a, voice.id))
        await voices.set_alias("nova", voice)
        await EmbeddingRepository(session, a).want(voice, ["X"])
        assert await stored_bytes(session, a) == 5
    async with database.write() as session:
        await VoiceRepository(session, a).delete(voice)
    async with database.read() as session:
        assert await SampleRepository(session, a).list(voice.id) == []
        assert await EmbeddingRepository(session, a).list([voice.id]) == []
        assert await VoiceRepository(session, a).aliases() == []
        assert await stored_bytes(session, a) == 0


async def test_samples_belong_to_their_voice_and_tenant(database: Database):
    a, b = await two_orgs(database)
    voice, other = await make(database, a, "Asha"), await make(database, a, "Bina")
    async with database.write() as session:
        kept = await SampleRepository(session, a).add(sample(a, voice.id))
        with pytest.raises(ValueError, match="another tenant"):
            await SampleRepository(session, b).add(sample(a, voice.id))
    async with database.read() as session:
        mine = SampleRepository(session, a)
        assert await mine.get(voice.id, kept.id) is not None
        assert await mine.get(other.id, kept.id) is None
        assert await SampleRepository(session, b).get(voice.id, kept.id) is None
        assert await mine.counts([voice.id, other.id]) == {voice.id: 1}
        assert [row.id for row in await expired_samples(session, a, now() + timedelta(1))] == [kept.id]
        assert await expired_samples(session, a, now() - timedelta(1)) == []
        assert await expired_samples(session, b, now() + timedelta(1)) == []
        assert [org for org, _ in await sample_orgs(session)] == [a]


async def test_consents_stay_when_they_are_revoked(database: Database):
    a, b = await two_orgs(database)
    async with database.write() as session:
        consents = ConsentRepository(session, a)
        consent = await consents.add(VoiceConsent(org_id=a, kind="attestation", name="Asha"))
        assert await ConsentRepository(session, b).get(consent.id) is None
        voice = await VoiceRepository(session, a).create("Asha", consent_id=consent.id)
        await consents.revoke(consent)
    async with database.read() as session:
        consents = ConsentRepository(session, a)
        assert await consents.get(consent.id) is None
        assert await consents.get(consent.id, revoked=True) is not None
        assert await consents.list() == []
        assert len(await consents.list(revoked=True)) == 1
        assert [v.id for v in await VoiceRepository(session, a).of_consent(consent.id)] == [voice.id]


async def test_work_is_claimed_once_and_by_the_longest_wait(database: Database):
    a, b = await two_orgs(database)
    first, second = await make(database, a, "First"), await make(database, b, "Second")
    async with database.write() as session:
        await EmbeddingRepository(session, a).want(first, ["X", "Y"])
    async with database.write() as session:
        await EmbeddingRepository(session, b).want(second, ["X"])

    async def claim(lease: str) -> str | None:
        async with database.write() as session:
            claimed = await claim_preparation(session, ["X"], lease=lease, seconds=60)
            return None if claimed is None else claimed.voice_id

    claimed = await asyncio.gather(*(claim(f"lease_{n}") for n in range(5)))
    assert sorted(c for c in claimed if c) == sorted([first.id, second.id])


async def test_work_on_a_voice_that_is_being_changed_is_left_for_later(database: Database):
    """A change locks the voice, then its row; the other way round would be a deadlock."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    a, _ = await two_orgs(database)
    voice = await make(database, a, "Asha")
    async with database.write() as session:
        await EmbeddingRepository(session, a).want(voice, ["X"])
    async with database.write() as change:
        assert await VoiceRepository(change, a).lock(voice.id) is not None
        async with database.write() as session:
            assert await claim_preparation(session, ["X"], lease="lease", seconds=60) is None
        await EmbeddingRepository(change, a).want(voice, ["X"])
    async with database.write() as session:
        assert await claim_preparation(session, ["X"], lease="lease", seconds=60) is not None


async def test_work_of_a_process_that_died_goes_on_elsewhere(database: Database):
    a, _ = await two_orgs(database)
    voice = await make(database, a, "Asha")
    async with database.write() as session:
        await EmbeddingRepository(session, a).want(voice, ["X"])
        dead = await claim_preparation(session, ["X"], lease="dead", seconds=-1)
    assert dead is not None
    async with database.write() as session:
        taken = await claim_preparation(session, ["X"], lease="alive", seconds=60)
        assert taken is not None
        assert await claim_preparation(session, ["X"], lease="third", seconds=60) is None
        assert not await renew_claim(session, dead, seconds=60)
        assert await finish_claim(session, dead, prepared(1)) == (False, None)
        assert await renew_claim(session, taken, seconds=60)
        assert await finish_claim(session, taken, prepared(2)) == (True, None)
    async with database.read() as session:
        (row,) = await EmbeddingRepository(session, a).list([voice.id])
        assert (row.state, row.embedding_id, row.lease, row.due_at) == ("ready", "emb_2", None, None)


async def test_what_is_ready_stays_until_the_next_is(database: Database):
    a, _ = await two_orgs(database)
    voice = await make(database, a, "Asha")
    async with database.write() as session:
        embeddings = EmbeddingRepository(session, a)
        await embeddings.want(voice, ["X"])
        claim = await claim_preparation(session, ["X"], lease="1", seconds=60)
        assert claim is not None
        await finish_claim(session, claim, prepared(1))
        voice.generation = 1
        await embeddings.want(voice, ["X"])
        (row,) = await embeddings.list([voice.id])
        assert (row.state, row.embedding_id, row.generation) == ("pending", "emb_1", 0)
        claim = await claim_preparation(session, ["X"], lease="2", seconds=60)
        assert claim is not None
        later = now() + timedelta(seconds=60)
        assert await fail_claim(session, claim, "busy", retry_at=later)
        assert not await fail_claim(session, claim, "again", retry_at=None)
        await session.refresh(row)
        assert (row.state, row.reason, row.attempts, row.embedding_id) == ("pending", "busy", 1, "emb_1")
        assert await claim_preparation(session, ["X"], lease="3", seconds=60) is None
        await embeddings.want(voice, ["X"])
        claim = await claim_preparation(session, ["X"], lease="4", seconds=60)
        assert claim is not None
        assert await finish_claim(session, claim, prepared(2)) == (True, prepared(1))
        assert await embeddings.stop(voice.id) == ("org/o/e2",)
        assert await embeddings.list([voice.id]) == []


async def test_a_new_model_has_ready_voices_prepared_again(database: Database):
    a, _ = await two_orgs(database)
    kept, bare = await make(database, a, "Kept"), await make(database, a, "Bare")
    async with database.write() as session:
        await SampleRepository(session, a).add(sample(a, kept.id))
        for voice in (kept, bare):
            found = await VoiceRepository(session, a).lock(voice.id)
            assert found is not None
            found.state = VoiceState.READY
            await EmbeddingRepository(session, a).put_prepared(found, "X", prepared(int(voice is bare)))
    async with database.write() as session:
        for models, wanted in (({"X": "m/1"}, 0), ({"X": "m/2"}, 1), ({"X": "m/2"}, 0), ({"NEW": "n/1"}, 1)):
            # Of X, the one without recordings is lost to the first look at another model.
            assert await models_are_current(session, models) == (wanted == 0)
            assert await want_current_models(session, models) == wanted
        rows = await EmbeddingRepository(session, a).list([kept.id])
        assert [(row.engine, row.state) for row in rows] == [("NEW", "pending"), ("X", "pending")]


async def test_doomed_objects_are_due_unless_they_are_spared(database: Database):
    async with database.write() as session:
        doomed = DoomedObjects(session)
        await doomed.doom(["a", "b", "c"])
        await doomed.doom(["later", "a"], due_at=now() + timedelta(hours=1))
    async with database.write() as session:
        doomed = DoomedObjects(session)
        assert sorted(await doomed.due()) == ["a", "b", "c"]
        assert await doomed.spare(["b", "later"])
        assert not await doomed.spare(["b"])
        await doomed.gone(["a"])
        assert await doomed.due() == ["c"]
        await doomed.doom(["soon"], due_at=now() + timedelta(hours=1))
        await doomed.hasten(["soon", "b"])
        assert await doomed.due() == ["c", "soon"]


async def test_the_same_is_doomed_by_many_at_once(database: Database):
    async def doom(hours: float) -> None:
        async with database.write() as session:
            await DoomedObjects(session).doom(["a"], due_at=now() + timedelta(hours=hours))

    await asyncio.gather(*(doom(hours) for hours in (3, -1, 2, 1)))
    async with database.read() as session:
        assert await DoomedObjects(session).due() == ["a"]
