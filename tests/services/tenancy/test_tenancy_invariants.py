"""What always holds of owners, operators and rights, whoever does what at the same moment.

Two Gateways at once: each has a pool of its own on the one database.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from services.config import Settings
from services.errors import ApiError
from services.gate import DatabaseGate
from services.tenancy.administration import Administration
from services.tenancy.authenticator import LOCAL
from services.tenancy.origin import CLI, Origin
from services.tenancy.passwords import Passwords
from services.tenancy.principal import Principal
from services.tenancy.scopes import EVERYDAY, EVERYTHING, ROLES, Scope, scopes_of
from storage.config import ObjectStoreConfig, StorageConfig
from storage.database import Database
from storage.errors import Conflict
from storage.objects.folder import FolderStore
from storage.repositories.invitations import InvitationRepository
from storage.repositories.users import MemberRepository, UserRepository
from storage.tables import User
from storage.transactions import SlowInTransaction

from databases import KINDS, database_address

T = TypeVar("T")

RACES = 12


@dataclass
class Gateways:
    """Two that share a database."""

    settings: Settings
    gates: Sequence[DatabaseGate]

    async def do(
        self, work: Callable[[Administration], Awaitable[T]], *, by: Principal = LOCAL, gate: int = 0
    ) -> T:
        """One change by somebody, at one of the two."""
        origin = CLI if by is LOCAL else Origin(actor=by.actor)
        async with self.gates[gate].write() as session:
            return await work(Administration(session, self.settings.quota, origin, by=by))

    async def at_once(
        self,
        first: Callable[[Administration], Awaitable[object]],
        second: Callable[[Administration], Awaitable[object]],
    ) -> list[str | None]:
        """Both at the same time, each at its own Gateway; gives the codes of what was refused."""

        async def one(work: Callable[[Administration], Awaitable[object]], gate: int) -> str | None:
            try:
                await self.do(work, gate=gate)
            except ApiError as error:
                return error.body.code
            return None

        return list(await asyncio.gather(one(first, 0), one(second, 1)))

    async def org(self, name: str) -> str:
        return (await self.do(lambda admin: admin.create_org(name, plan=None, limits={}))).id

    async def user(self, org: str, email: str, role: str) -> User:
        add = lambda admin: admin.add_member(org, email, role=role, password_hash=None)  # noqa: E731
        return (await self.do(add)).user

    async def operator(self, org: str, email: str) -> User:
        return await self.do(lambda admin: admin.create_owner(org, email, "none", operator=True))

    async def owners(self, org: str) -> int:
        """How many owners can log in."""
        async with self.gates[0].read() as session:
            return await MemberRepository(session, org).others("owner", "")


@asynccontextmanager
async def two(kind: str, folder: Path) -> AsyncGenerator[Gateways, None]:
    async with database_address(kind, folder) as address, AsyncExitStack() as stack:
        storage = StorageConfig(
            db_url=SecretStr(address), object_store=ObjectStoreConfig(path=folder / "objects")
        )
        settings = Settings(storage=storage)
        # The wait of a loaded machine is not what is tested.
        databases = [await stack.enter_async_context(Database(address, timeout=60.0)) for _ in range(2)]
        gates = [DatabaseGate(database, settings) for database in databases]
        for gate in gates:
            await gate.open()
        yield Gateways(settings, gates)


@pytest.fixture(params=KINDS)
async def gateways(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Gateways, None]:
    async with two(request.param, tmp_path) as made:
        yield made


def principal(org: str, user: User, role: str, *, key_id: str | None = None) -> Principal:
    """A user who is logged in, or a key of theirs."""
    return Principal(
        org_id=org,
        org_name=org,
        plan="default",
        scopes=scopes_of(role, operator=user.operator),
        user_id=user.id,
        key_id=key_id,
        role=role if key_id is None else None,
        family="fam" if key_id is None else None,
    )


def change(kind: str, org: str, user: User) -> Callable[[Administration], Awaitable[object]]:
    """A way for somebody to be an owner no more."""

    async def work(admin: Administration) -> object:
        if kind == "demote":
            return await admin.change_role(org, user.id, "member")
        if kind == "remove":
            return await admin.remove_member(org, user.id)
        return await admin.set_disabled(user.id, disabled=True)

    return work


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("demote", "demote"),
        ("remove", "remove"),
        ("disable", "disable"),
        ("demote", "disable"),
        ("remove", "disable"),
        ("demote", "remove"),
    ],
)
async def test_two_owners_who_go_at_once_leave_one(gateways: Gateways, one: str, other: str):
    for race in range(RACES):
        org = await gateways.org(f"Org {race}")
        users = [await gateways.user(org, f"{race}-{side}@example.com", "owner") for side in ("a", "b")]
        refused = await gateways.at_once(change(one, org, users[0]), change(other, org, users[1]))
        assert sorted(refused, key=str) == [None, "last_owner"]
        assert await gateways.owners(org) == 1


@pytest.mark.parametrize("kind", ["demote", "remove", "disable"])
async def test_the_last_owner_who_can_log_in_stays(gateways: Gateways, kind: str):
    org = await gateways.org("A")
    last = await gateways.user(org, "last@example.com", "owner")
    locked = await gateways.user(org, "locked@example.com", "owner")
    await gateways.do(lambda admin: admin.set_disabled(locked.id, disabled=True))
    with pytest.raises(ApiError) as refused:
        await gateways.do(change(kind, org, last))
    assert (refused.value.status, refused.value.body.code) == (409, "last_owner")
    await gateways.do(lambda admin: admin.set_disabled(locked.id, disabled=False))
    await gateways.do(change(kind, org, last))
    assert await gateways.owners(org) == 1


async def test_two_operators_who_go_at_once_leave_one(gateways: Gateways):
    for race in range(RACES):
        org = await gateways.org(f"Org {race}")
        await gateways.user(org, f"{race}-owner@example.com", "owner")
        names = [f"{race}-{side}@example.com" for side in ("a", "b")]
        users = [await gateways.operator(org, name) for name in names]
        refused = await gateways.at_once(*(change("disable", org, user) for user in users))
        assert sorted(refused, key=str) == [None, "last_operator"]
        async with gateways.gates[0].read() as session:
            assert await UserRepository(session).operators() == 1
        # The next race begins without any.
        (left,) = [user for user, error in zip(users, refused, strict=True) if error is not None]
        async with gateways.gates[0].write() as session:
            found = await UserRepository(session).get(left.id)
            assert found is not None
            await UserRepository(session).set_disabled(found, disabled=True)


@pytest.mark.parametrize("kind", ["remove", "disable", "lock", "delete"])
async def test_the_last_operator_stays(gateways: Gateways, kind: str):
    org = await gateways.org("Operators")
    operator = await gateways.operator(org, "op@example.com")
    await gateways.user(org, "owner@example.com", "owner")
    ways: dict[str, Callable[[Administration], Awaitable[object]]] = {
        "remove": change("remove", org, operator),
        "disable": change("disable", org, operator),
        "lock": lambda admin: admin.update_org(org, disabled=True),
        "delete": lambda admin: admin.delete_org(org),
    }
    with pytest.raises(ApiError) as refused:
        await gateways.do(ways[kind])
    assert (refused.value.status, refused.value.body.code) == (409, "last_operator")
    elsewhere = await gateways.org("More operators")
    await gateways.operator(elsewhere, "op2@example.com")
    await gateways.do(ways[kind])


async def test_users_without_a_place_go_with_their_organisation(gateways: Gateways):
    org, other = await gateways.org("A"), await gateways.org("B")
    alone = await gateways.user(org, "alone@example.com", "owner")
    both = await gateways.user(org, "both@example.com", "member")
    async with gateways.gates[0].write() as session:
        await MemberRepository(session, other).add(both, "member")
    await gateways.do(lambda admin: admin.delete_org(org))
    async with gateways.gates[0].read() as session:
        assert await UserRepository(session).get(alone.id) is None
        assert await UserRepository(session).get(both.id) is not None


@pytest.mark.parametrize("kind", ["demote", "remove", "disable"])
async def test_a_co_owner_does_not_touch_an_operator(gateways: Gateways, kind: str):
    org = await gateways.org("A")
    operator = await gateways.operator(org, "op@example.com")
    await gateways.operator(org, "op2@example.com")
    owner = principal(org, await gateways.user(org, "owner@example.com", "owner"), "owner")
    with pytest.raises(ApiError) as refused:
        await gateways.do(change(kind, org, operator), by=owner)
    assert refused.value.status == 403
    with pytest.raises(ApiError) as refused:
        await gateways.do(lambda admin: admin.reset_password(operator.id), by=owner)
    assert refused.value.status == 403


@pytest.mark.parametrize("kind", ["demote", "remove"])
async def test_only_owners_who_are_logged_in_touch_owners(gateways: Gateways, kind: str):
    org = await gateways.org("A")
    owner = await gateways.user(org, "owner@example.com", "owner")
    other = await gateways.user(org, "other@example.com", "owner")
    admin = principal(org, await gateways.user(org, "admin@example.com", "admin"), "admin")
    key = await gateways.do(
        lambda admin: admin.create_key(org, name="k", scopes=list(ROLES["owner"]), user_id=other.id)
    )
    by_key = principal(org, other, "owner", key_id=key.key.id)
    for by in (admin, by_key):
        with pytest.raises(ApiError) as refused:
            await gateways.do(change(kind, org, owner), by=by)
        assert (refused.value.status, refused.value.body.code) == (403, "insufficient_role")
    await gateways.do(change(kind, org, owner), by=principal(org, other, "owner"))


@pytest.mark.parametrize("role", ["owner", "admin", "member", "service"])
async def test_nobody_gives_more_than_they_have(gateways: Gateways, role: str):
    org = await gateways.org("A")
    await gateways.user(org, "owner@example.com", "owner")
    target = await gateways.user(org, "target@example.com", "member")
    for scopes in ([Scope.ADMIN], [Scope.ADMIN, Scope.SPEECH, Scope.MODELS, Scope.AUDIO], list(EVERYTHING)):
        made = await gateways.do(lambda admin, s=scopes: admin.create_key(org, name="k", scopes=s))
        key = Principal(
            org_id=org, org_name="A", plan="default", scopes=frozenset(scopes), key_id=made.key.id
        )
        enough = ROLES[role] <= frozenset(scopes) and (role != "owner" or Scope.OPERATOR in scopes)
        email = f"{len(scopes)}@example.com"
        tries: list[Callable[[Administration], Awaitable[object]]] = [
            lambda admin, e=email: admin.invite(org, e, role=role),
            lambda admin: admin.change_role(org, target.id, role),
            lambda admin, r=role: admin.create_key(org, name="more", scopes=list(ROLES[r])),
        ]
        for number, work in enumerate(tries):
            # A key of an owner's scopes is no owner: such a key alone may be made by whoever has them.
            may = ROLES[role] <= frozenset(scopes) if number == len(tries) - 1 else enough
            if may:
                await gateways.do(work, by=key)
                continue
            with pytest.raises(ApiError) as refused:
                await gateways.do(work, by=key)
            assert refused.value.status == 403


@pytest.mark.parametrize("lost", ["demoted", "removed", "disabled", "key revoked", "key expired"])
async def test_rights_that_were_lost_give_nothing(gateways: Gateways, lost: str):
    """The caller was let in a moment before, as a Gateway believes for ``auth.cache_seconds``."""
    org = await gateways.org("A")
    await gateways.user(org, "owner@example.com", "owner")
    user = await gateways.user(org, "admin@example.com", "admin")
    by = principal(org, user, "admin")
    key = await gateways.do(
        lambda admin: admin.create_key(org, name="k", scopes=list(ROLES["admin"]), user_id=user.id)
    )
    by_key = principal(org, user, "admin", key_id=key.key.id)
    offers = [
        await gateways.do(lambda admin, n=n: admin.invite(org, f"{n}@example.com", role="admin"), by=who)
        for n, who in enumerate((by, by_key))
    ]
    match lost:
        case "demoted":
            await gateways.do(lambda admin: admin.change_role(org, user.id, "member"))
        case "removed":
            await gateways.do(lambda admin: admin.remove_member(org, user.id))
        case "disabled":
            await gateways.do(lambda admin: admin.set_disabled(user.id, disabled=True))
        case "key revoked":
            await gateways.do(lambda admin: admin.revoke_key(org, key.key.id))
        case _:
            async with gateways.gates[0].write() as session:
                found = await session.merge(key.key)
                found.expires_at = found.created_at
    ended = (by_key,) if lost.startswith("key") else (by, by_key)
    for who in ended:
        for work in (
            lambda admin: admin.invite(org, "late@example.com", role="admin"),
            lambda admin: admin.create_key(org, name="late", scopes=[Scope.ADMIN]),
        ):
            with pytest.raises(ApiError) as refused:
                await gateways.do(work, by=who)
            assert refused.value.status == 403
    async with gateways.gates[0].read() as session:
        left = {offer.id for offer in await InvitationRepository(session, org).list()}
    # What they offered while they could is offered no more.
    kept = {"key revoked": {offers[0].invitation.id}, "key expired": {o.invitation.id for o in offers}}
    assert left == kept.get(lost, set())


async def test_keys_and_sessions_do_not_come_back_with_a_new_place(gateways: Gateways):
    org, other = await gateways.org("A"), await gateways.org("B")
    await gateways.user(org, "owner@example.com", "owner")
    user = await gateways.user(org, "u@example.com", "admin")
    async with gateways.gates[0].write() as session:
        await MemberRepository(session, other).add(user, "member")
    made = await gateways.do(
        lambda admin: admin.create_key(org, name="k", scopes=list(EVERYDAY), user_id=user.id)
    )
    await gateways.do(lambda admin: admin.remove_member(org, user.id))
    async with gateways.gates[0].write() as session:
        await MemberRepository(session, org).add(user, "member")
    key = await gateways.do(lambda admin: admin.key(org, made.key.id))
    assert key.revoked_at is not None


async def test_a_key_may_remove_its_own_user_and_is_gone(gateways: Gateways):
    org = await gateways.org("A")
    await gateways.user(org, "owner@example.com", "owner")
    user = await gateways.user(org, "u@example.com", "admin")
    made = await gateways.do(
        lambda admin: admin.create_key(org, name="k", scopes=list(ROLES["admin"]), user_id=user.id)
    )
    key = principal(org, user, "admin", key_id=made.key.id)
    await gateways.do(lambda admin: admin.remove_member(org, user.id), by=key)
    with pytest.raises(ApiError) as refused:
        await gateways.do(lambda admin: admin.invite(org, "x@example.com", role="service"), by=key)
    assert refused.value.status == 403


async def test_a_user_who_is_there_is_invited_not_taken(gateways: Gateways):
    org, other = await gateways.org("A"), await gateways.org("B")
    user = await gateways.user(org, "u@example.com", "member")
    for password_hash in (None, "hash"):
        with pytest.raises(Conflict):
            await gateways.do(
                lambda admin, h=password_hash: admin.add_member(
                    other, "U@Example.com", role="owner", password_hash=h
                )
            )
    async with gateways.gates[0].read() as session:
        assert await MemberRepository(session, other).get(user.id) is None


async def test_nothing_slow_runs_while_a_transaction_writes(gateways: Gateways, tmp_path: Path):
    passwords, objects = Passwords(), FolderStore(tmp_path / "objects")
    hashed = await passwords.hash("tiger lamp kettle")
    async with gateways.gates[0].write():
        for slow in (
            lambda: passwords.hash("tiger lamp kettle"),
            lambda: passwords.verify("tiger lamp kettle", hashed),
            lambda: objects.delete("org/x"),
            lambda: asyncio.create_task(passwords.hash("tiger lamp kettle")),
        ):
            with pytest.raises(SlowInTransaction):
                await slow()
    async with gateways.gates[0].read():
        assert await passwords.verify("tiger lamp kettle", hashed)
    await objects.delete("org/x")
