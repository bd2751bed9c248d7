"""Invitations to become a member of a tenant."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.columns import address_key, now
from storage.repositories.tenant import TenantRepository, page
from storage.tables import Invitation


class InvitationRepository(TenantRepository):
    """The invitations of one tenant."""

    async def create(
        self, email: str, *, role: str, token_hash: str, made_by: str, expires_at: datetime
    ) -> Invitation:
        """Add an invitation; revoke an open one to the same address."""
        key = address_key(email)
        await self._revoke(Invitation.email == key)
        return await self._keep(
            Invitation(
                org_id=self._org_id,
                email=key,
                role=role,
                token_hash=token_hash,
                made_by=made_by,
                expires_at=expires_at,
            )
        )

    async def get(self, invitation_id: str) -> Invitation | None:
        """Return an invitation by ID."""
        return await self._get(Invitation, invitation_id)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[Invitation]:
        """Return open invitations ordered by ID, starting after the ID ``after``."""
        query = self._own(Invitation, _open())
        return await page(self._session, Invitation, query, after=after, limit=limit)

    async def count(self) -> int:
        """Return the number of open invitations."""
        query = select(func.count()).where(Invitation.org_id == self._org_id, _open())
        return await self._session.scalar(query) or 0

    async def revoke(self, invitation: Invitation) -> None:
        """Revoke an invitation if it is open, and reload it."""
        await self._revoke(Invitation.id == invitation.id)
        await self._session.refresh(invitation)

    async def revoke_made_by(self, makers: Collection[str]) -> None:
        """Revoke the open invitations that some users or keys made."""
        await self._revoke(Invitation.made_by.in_(makers))

    async def _revoke(self, which: ColumnElement[bool]) -> None:
        await _revoke(self._session, and_(Invitation.org_id == self._org_id, which))


async def find_invitation(session: AsyncSession, token_hash: str) -> Invitation | None:
    """Return the open invitation of any tenant by its token. For accepting it only."""
    return await session.scalar(select(Invitation).where(Invitation.token_hash == token_hash, _open()))


async def use_invitation(session: AsyncSession, invitation_id: str) -> bool:
    """Mark an invitation as accepted; false if it is not open. Of concurrent calls, one succeeds."""
    statement = (
        update(Invitation)
        .where(Invitation.id == invitation_id, _open())
        .values(accepted_at=now())
        .returning(Invitation.id)
    )
    return await session.scalar(statement) is not None


async def revoke_invitations_of(session: AsyncSession, makers: Collection[str]) -> None:
    """Revoke the open invitations that some users or keys made, in all tenants."""
    await _revoke(session, Invitation.made_by.in_(makers))


async def sweep_invitations(session: AsyncSession, before: datetime) -> None:
    """Delete invitations that expired before a time."""
    await session.execute(delete(Invitation).where(Invitation.expires_at < before))


async def _revoke(session: AsyncSession, which: ColumnElement[bool]) -> None:
    await session.execute(update(Invitation).where(which, _open()).values(revoked_at=now()))


def _open() -> ColumnElement[bool]:
    return and_(
        Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > now()
    )
