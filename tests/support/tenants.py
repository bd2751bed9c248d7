"""A server that asks for keys, with two organisations and somebody in each role."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.config import QuotaConfig
from services.config.load import load_settings
from services.gate import DatabaseGate
from services.tenancy.administration import Administration
from services.tenancy.authenticator import LOCAL
from services.tenancy.origin import CLI
from services.tenancy.passwords import Passwords
from services.tenancy.scopes import EVERYTHING, ROLES, Scope
from storage.database import Database

from live import ENGINES, Server, start
from workers import stopped_unless_ready

PASSWORD = "a long enough password"  # noqa: S105 - made up
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up


@dataclass
class Tenant:
    """An organisation with a key of all of its own scopes, and its users."""

    id: str
    name: str
    key: str
    key_id: str
    users: dict[str, str] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


@dataclass
class Tenants:
    """A server and its organisations: ``a`` and ``b``, and the operator's own."""

    server: Server
    a: Tenant
    b: Tenant
    operator: Tenant
    folder: Path

    def client(self, tenant: Tenant | None = None, **kwargs: Any) -> httpx.Client:
        headers = {} if tenant is None else tenant.headers()
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=60, **kwargs)


def settings(**sections: Any) -> dict[str, Any]:
    """Settings of a server that asks for keys. It has two engines, as each is one more process to start."""
    given: dict[str, Any] = {
        "engines": ENGINES[:2],
        "auth": {"mode": "required", "jwt_secret": SECRET, "cache_seconds": 0},
    }
    for name, section in sections.items():
        given[name] = {**given.get(name, {}), **section} if isinstance(section, dict) else section
    return given


def start_tenants(folder: Path, given: dict[str, Any] | None = None, plan: str = "default") -> Tenants:
    """Start a server and make its organisations in its database."""
    server = start(folder, given or settings())
    with stopped_unless_ready(server.stop):
        a, b, operator = asyncio.run(_populate(folder / "configuration.yaml", plan))
    return Tenants(server, a, b, operator, folder)


async def _populate(configuration: Path, plan: str) -> tuple[Tenant, Tenant, Tenant]:
    loaded = load_settings(configuration, environ={}).settings
    async with Database(loaded.storage.db_url.get_secret_value()) as database:
        gate = DatabaseGate(database, loaded)
        made: list[Tenant] = []
        hashed = await Passwords().hash(PASSWORD)
        for name in ("Asha Audio", "Bharat Books", "The Operator"):
            async with gate.write() as session:
                admin = Administration(session, loaded.quota, CLI, by=LOCAL)
                made.append(await _tenant(admin, name, plan, loaded.quota, hashed))
        return made[0], made[1], made[2]


async def _tenant(
    admin: Administration, name: str, plan: str, quota: QuotaConfig, password_hash: str
) -> Tenant:
    operator = name == "The Operator"
    org = await admin.create_org(name, plan=plan if plan in quota.plans else None, limits={})
    domain = name.rsplit(maxsplit=1)[-1].lower()
    owner = await admin.create_owner(org.id, f"owner@{domain}.example", password_hash, operator=operator)
    users = {"owner": owner.id}
    for role in set(ROLES) - {"owner"}:
        member = await admin.add_member(
            org.id, f"{role}@{domain}.example", role=role, password_hash=password_hash
        )
        users[role] = member.user.id
    scopes = EVERYTHING if operator else EVERYTHING - {Scope.OPERATOR}
    made = await admin.create_key(org.id, name="all", scopes=sorted(scopes))
    return Tenant(org.id, name, made.text, made.key.id, users)


@contextmanager
def own_org(tenants: Tenants) -> Generator[Tenant, None, None]:
    """An organisation that goes at the end of the block."""
    with tenants.client(tenants.operator) as client:
        made = client.post("/admin/orgs", json={"name": "Of a test"}).json()
        key = client.post("/admin/keys", params={"org_id": made["id"]}, json={"name": "k"}).json()
        yield Tenant(made["id"], made["name"], key["key"], key["id"])
        client.delete(f"/admin/orgs/{made['id']}")


def error(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer, in OpenAI's shape or the test fails."""
    body = json.loads(answer.content)
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]
