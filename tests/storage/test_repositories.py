"""Every repository, on SQLite and PostgreSQL."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.columns import now
from storage.database import Database
from storage.errors import Conflict
from storage.repositories.audit import AuditRepository
from storage.repositories.keys import KeyRepository, find_key, touch_keys
from storage.repositories.orgs import OrgRepository
from storage.repositories.outputs import OutputRepository, expired_outputs
from storage.repositories.secrets import make_secret, read_secret
from storage.repositories.stored import stored_bytes
from storage.repositories.tokens import TokenRepository
from storage.repositories.usage import Usage, UsageRepository, add_usage
from storage.repositories.users import MemberRepository, UserRepository


async def two_orgs(database: Database) -> tuple[str, str]:
    async with database.write() as session:
        orgs = OrgRepository(session)
        a = await orgs.create("A", plan="default")
        b = await orgs.create("B", plan="default")
        return a.id, b.id


async def test_an_org_is_found_by_id_and_by_name_without_case(database: Database):
    async with database.write() as session:
        org = await OrgRepository(session).create("Acme  India", plan="pro", limits={"voices": 3})
    async with database.read() as session:
        orgs = OrgRepository(session)
        for wanted in (org.id, "acme india", "ACME India"):
            found = await orgs.find(wanted)
            assert found is not None
            assert (found.id, found.plan, found.limits) == (org.id, "pro", {"voices": 3})
            assert found.created_at.tzinfo is not None
        assert await orgs.find("other") is None


async def test_a_taken_name_is_a_conflict_and_nothing_is_kept(database: Database):
    await two_orgs(database)
    with pytest.raises(Conflict, match="'a'"):
        async with database.write() as session:
            orgs = OrgRepository(session)
            await orgs.create("New", plan="default")
            await orgs.create("a", plan="default")
    async with database.read() as session:
        assert sorted(org.name for org in await OrgRepository(session).list()) == ["A", "B"]


async def test_orgs_are_paged(database: Database):
    async with database.write() as session:
        orgs = OrgRepository(session)
        made = sorted([(await orgs.create(f"Org {i}", plan="default")).id for i in range(7)])
    async with database.read() as session:
        orgs = OrgRepository(session)
        first = [org.id for org in await orgs.list(limit=3)]
        then = [org.id for org in await orgs.list(after=first[-1], limit=100)]
    assert first + then == made


async def test_an_org_changes_and_goes_with_all_its_rows_but_the_audit_log(database: Database):
    a, b = await two_orgs(database)
    async with database.write() as session:
        user = await UserRepository(session).create("U@example.com", password_hash="x")
        await MemberRepository(session, a).add(user, "owner")
        await KeyRepository(session, a).create(name="k", prefix="p", secret_hash="h", scopes=["speech"])
        await AuditRepository(session, a).add("key.created", actor=user.id)
        org = await OrgRepository(session).get(a)
        assert org is not None
        await OrgRepository(session).update(org, plan="pro", disabled=True, retention={"outputs_days": 3})
    async with database.write() as session:
        orgs = OrgRepository(session)
        org = await orgs.get(a)
        assert org is not None
        assert (org.plan, org.retention) == ("pro", {"outputs_days": 3})
        assert org.disabled_at is not None
        await orgs.delete(org)
    async with database.read() as session:
        assert await find_key(session, "p") is None
        assert await UserRepository(session).orgs_of(user.id) == []
        assert len(await AuditRepository(session, a).list()) == 1
        assert await AuditRepository(session, b).list() == []


async def test_members_are_seen_in_their_own_org_only(database: Database):
    a, b = await two_orgs(database)
    async with database.write() as session:
        user = await UserRepository(session).create("Asha@Example.com", password_hash=None, name="Asha")
        await MemberRepository(session, a).add(user, "admin")
    async with database.read() as session:
        found = await UserRepository(session).by_email("ASHA@example.COM")
        assert found is not None
        assert found.id == user.id
        member = await MemberRepository(session, a).get(user.id)
        assert member is not None
        assert (member.user.email, member.role) == ("asha@example.com", "admin")
        assert await MemberRepository(session, b).get(user.id) is None
        assert [m.user.id for m in await MemberRepository(session, a).list()] == [user.id]
        assert [(org.id, role) for org, role in await UserRepository(session).orgs_of(user.id)] == [
            (a, "admin")
        ]
    async with database.write() as session:
        members = MemberRepository(session, a)
        await members.set_role(user.id, "owner")
        assert await members.others("owner", "somebody") == 1
        assert await members.others("owner", user.id) == 0
        await members.remove(user.id)
        assert await members.get(user.id) is None


@pytest.mark.parametrize("what", ["email", "member"])
async def test_a_user_is_kept_once(database: Database, what: str):
    a, _ = await two_orgs(database)
    async with database.write() as session:
        user = await UserRepository(session).create("u@example.com", password_hash="x")
        await MemberRepository(session, a).add(user, "member")
    with pytest.raises(Conflict):
        async with database.write() as session:
            if what == "email":
                await UserRepository(session).create("U@EXAMPLE.com", password_hash="x")
            else:
                same = await UserRepository(session).get(user.id)
                assert same is not None
                await MemberRepository(session, a).add(same, "admin")


async def test_a_key_belongs_to_one_org(database: Database):
    a, b = await two_orgs(database)
    expires = now() + timedelta(days=1)
    async with database.write() as session:
        made = await KeyRepository(session, a).create(
            name="app", prefix="abc", secret_hash="h", scopes=["speech", "voices"], expires_at=expires
        )
    async with database.write() as session:
        assert await KeyRepository(session, b).get(made.id) is None
        assert await KeyRepository(session, b).list() == []
        key = await find_key(session, "abc")
        assert key is not None
        assert (key.org_id, key.scopes, key.expires_at) == (a, ["speech", "voices"], expires)
        await KeyRepository(session, a).revoke(key)
        await touch_keys(session, {key.id: expires})
    async with database.read() as session:
        (key,) = await KeyRepository(session, a).list()
        assert key.revoked_at is not None
        assert key.last_used_at == expires


async def test_a_refresh_token_is_used_once_however_many_try(database: Database):
    a, _ = await two_orgs(database)
    async with database.write() as session:
        user = await UserRepository(session).create("u@example.com", password_hash="x")
        await TokenRepository(session).create(
            family="f", org_id=a, user_id=user.id, token_hash="t", expires_at=now() + timedelta(days=1)
        )

    async def use() -> bool:
        async with database.write() as session:
            tokens = TokenRepository(session)
            token = await tokens.find("t")
            assert token is not None
            return await tokens.use(token)

    assert sorted(await asyncio.gather(*(use() for _ in range(8)))) == [False] * 7 + [True]
    async with database.write() as session:
        tokens = TokenRepository(session)
        assert await tokens.family_is_good("f")
        await tokens.revoke_family("f")
        assert not await tokens.family_is_good("f")
        assert await tokens.sweep(now()) == 0
        assert await tokens.sweep(now() + timedelta(days=2)) == 1


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"])
async def test_the_audit_log_is_never_changed(database: Database, statement: str):
    async with database.write() as session:
        await AuditRepository(session, None).add("login.failed", actor="anonymous", address="127.0.0.1")
    with pytest.raises(DBAPIError, match="not changed"):
        async with database.write() as session:
            await session.execute(text(statement))
    async with database.read() as session:
        (event,) = await AuditRepository(session, None).list()
        assert (event.action, event.actor, event.address) == ("login.failed", "anonymous", "127.0.0.1")


async def test_the_audit_log_is_paged_from_the_newest(database: Database):
    async with database.write() as session:
        audit = AuditRepository(session, None)
        for index in range(5):
            await audit.add(f"a{index}", actor="cli", details={"n": index})
        newest = await audit.list(limit=2)
        assert [event.action for event in newest] == ["a4", "a3"]
        assert [e.action for e in await audit.list(before=newest[-1].id)] == ["a2", "a1", "a0"]


async def test_usage_is_summed_for_one_org_or_all(database: Database):
    a, b = await two_orgs(database)
    days = (date(2026, 11, 1), date(2026, 11, 2))

    def record(org: str, day: date, voice: str, user: str | None) -> Usage:
        return {
            "org_id": org,
            "at": datetime(day.year, day.month, day.day, tzinfo=UTC),
            "day": day,
            "kind": "speech",
            "outcome": "ok",
            "engine": "E",
            "voice": voice,
            "characters": 10,
            "audio_ms": 1_000,
            "user_id": "u",
            "external_user": user,
        }

    async with database.write() as session:
        await add_usage(
            session,
            [record(a, days[0], "x", None), record(a, days[1], "y", "web"), record(b, days[1], "x", None)],
        )
    async with database.read() as session:
        mine, everything = UsageRepository(session, a), UsageRepository(session, None)
        span = {"first": days[0], "last": days[1]}
        assert [tuple(s) for s in await mine.sums("day", **span)] == [
            ("2026-11-01", 1, 10, 1_000),
            ("2026-11-02", 1, 10, 1_000),
        ]
        assert [s.group for s in await mine.sums("user", **span)] == ["u", "web"]
        assert [(s.group, s.requests) for s in await everything.sums("voice", **span)] == [("x", 2), ("y", 1)]
        assert [s.group for s in await everything.sums("org", **span)] == sorted([a, b])
        assert await mine.sums("engine", first=date(2026, 12, 1), last=date(2026, 12, 2)) == []
        page = await mine.page(first=days[0], last=days[1])
        assert [record.voice for record in page] == ["x", "y"]
        assert [
            record.voice for record in await mine.page(first=days[0], last=days[1], after=page[0].id)
        ] == ["y"]


async def test_finished_audio_belongs_to_one_org_and_expires(database: Database):
    a, b = await two_orgs(database)
    async with database.write() as session:
        for index, expires in enumerate([None, now() - timedelta(seconds=1)]):
            await OutputRepository(session, a).add(
                output_id=f"audio_{index}",
                key=f"org/{a}/outputs/{index}",
                content_type="audio/mpeg",
                size=100,
                etag="e",
                duration_ms=1,
                expires_at=expires,
            )
    async with database.write() as session:
        assert await OutputRepository(session, b).get("audio_0") is None
        await OutputRepository(session, b).delete("audio_0")
        mine = OutputRepository(session, a)
        assert await mine.get("audio_0") is not None
        assert await stored_bytes(session, a) == 200
        assert [output.id for output in await expired_outputs(session, now())] == ["audio_1"]
        await mine.delete("audio_1")
        assert [output.id for output in await mine.list()] == ["audio_0"]


async def test_all_processes_get_one_secret(database: Database):
    async def ask() -> str:
        async with database.write() as session:
            await make_secret(session, "jwt")
            return await read_secret(session, "jwt")

    (secret,) = set(await asyncio.gather(*(ask() for _ in range(5))))
    assert len(secret) >= 48
    async with database.write() as session:
        await make_secret(session, "other")
        assert await read_secret(session, "other") != secret
