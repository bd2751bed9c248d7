"""Tenants (organisations)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import name_key, new_id, now
from storage.errors import Conflict
from storage.repositories.tenant import page
from storage.tables import Org

LOCAL_ORG_ID: Final = "org_local"
"""ID of the tenant of all callers if authentication is off."""


class OrgRepository:
    """All tenants. For the operator and for logging in only.

    Args:
        session: A transaction.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(
        self, name: str, *, plan: str, limits: Mapping[str, Any] | None = None, org_id: str | None = None
    ) -> Org:
        """Create a tenant.

        Raises:
            Conflict: The name is taken.
        """
        org = Org(
            id=org_id or new_id("org"),
            name=name,
            name_key=name_key(name),
            plan=plan,
            limits=dict(limits or {}),
        )
        self._session.add(org)
        await self._flush(name)
        return org

    async def get(self, org_id: str) -> Org | None:
        """Return a tenant by ID."""
        return await self._session.get(Org, org_id)

    async def lock(self, org_id: str) -> Org | None:
        """Return a tenant by ID, locked until the transaction ends.

        Lock a tenant before reading members, keys or invitations in order to change them.
        """
        query = select(Org).where(Org.id == org_id).with_for_update(key_share=True)
        return await self._session.scalar(query.execution_options(populate_existing=True))

    async def find(self, id_or_name: str) -> Org | None:
        """Return a tenant by ID, or else by name, case-insensitively."""
        if org := await self.get(id_or_name):
            return org
        return await self._session.scalar(select(Org).where(Org.name_key == name_key(id_or_name)))

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[Org]:
        """Return tenants ordered by ID, starting after the ID ``after``."""
        return await page(self._session, Org, select(Org), after=after, limit=limit)

    async def update(
        self,
        org: Org,
        *,
        name: str | None = None,
        plan: str | None = None,
        limits: Mapping[str, Any] | None = None,
        retention: Mapping[str, Any] | None = None,
        disabled: bool | None = None,
    ) -> None:
        """Change the given fields; ``None`` leaves a field unchanged.

        Raises:
            Conflict: The new name is taken.
        """
        if name is not None:
            org.name, org.name_key = name, name_key(name)
        if plan is not None:
            org.plan = plan
        if limits is not None:
            org.limits = dict(limits)
        if retention is not None:
            org.retention = dict(retention)
        if disabled is not None:
            org.disabled_at = (org.disabled_at or now()) if disabled else None
        await self._flush(org.name)

    async def delete(self, org: Org) -> None:
        """Delete a tenant with all its rows, except its audit log."""
        await self._session.execute(delete(Org).where(Org.id == org.id))

    async def _flush(self, name: str) -> None:
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise Conflict(f"An organisation '{name}' already exists.", param="name") from error
