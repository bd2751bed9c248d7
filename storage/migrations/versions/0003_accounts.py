"""Accounts: invitations, password resets, and addresses in one form."""

import logging

import sqlalchemy as sa
from alembic import op

from storage.columns import address_key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

logger = logging.getLogger(__name__)


def upgrade() -> None:
    """Make the tables, and users' addresses as they are looked for now."""
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name="fk_invitations_org_id_orgs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
    )
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"])
    op.create_index("ix_invitations_org_id", "invitations", ["org_id"])
    op.create_table(
        "password_resets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_password_resets_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_password_resets"),
        sa.UniqueConstraint("token_hash", name="uq_password_resets_token_hash"),
        sa.UniqueConstraint("user_id", name="uq_password_resets_user_id"),
    )
    op.create_index("ix_password_resets_expires_at", "password_resets", ["expires_at"])
    _fold_addresses()


def downgrade() -> None:
    """Remove the tables; what was invited is invited no more."""
    op.drop_table("password_resets")
    op.drop_table("invitations")


def _fold_addresses() -> None:
    users = sa.table("users", sa.column("id", sa.String), sa.column("email", sa.String))
    connection = op.get_bind()
    # ASCII is in its form already, and so are nearly all.
    known = {row.id: row.email for row in connection.execute(sa.select(users)) if not row.email.isascii()}
    for user_id, email in known.items():
        folded = address_key(email)
        if folded == email:
            continue
        taken = connection.execute(sa.select(users.c.id).where(users.c.email == folded)).first()
        if taken is not None or len(folded) > 320:  # noqa: PLR2004 - the column's length
            # Which of the two is meant cannot be known; the operator can remove the one.
            logger.warning("the address of the user %s is not one that can be logged in with", user_id)
            continue
        connection.execute(sa.update(users).where(users.c.id == user_id).values(email=folded))
