"""Voices made from recordings: profiles, samples, consents, embeddings, and objects that are to go."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of voices."""
    op.create_table(
        "doomed_objects",
        sa.Column("key", sa.String(length=512), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_doomed_objects"),
    )
    op.create_index("ix_doomed_objects_due_at", "doomed_objects", ["due_at"])
    op.create_table(
        "voice_consents",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("statement", sa.JSON(), nullable=False),
        sa.Column("key", sa.String(length=512), nullable=True),
        sa.Column("content_type", sa.String(length=100), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name="fk_voice_consents_org_id_orgs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_voice_consents"),
    )
    op.create_index("ix_voice_consents_org_id", "voice_consents", ["org_id"])
    op.create_table(
        "voices",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sa.String(length=600), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("consent_id", sa.String(length=40), nullable=True),
        sa.Column("consent_check", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_id"],
            ["voice_consents.id"],
            name="fk_voices_consent_id_voice_consents",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name="fk_voices_org_id_orgs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_voices"),
        sa.UniqueConstraint("org_id", "name_key", name="uq_voices_org_id_name_key"),
    )
    op.create_index("ix_voices_consent_id", "voices", ["consent_id"])
    op.create_table(
        "audio_samples",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("voice_id", sa.String(length=40), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("original_key", sa.String(length=512), nullable=True),
        sa.Column("audio_key", sa.String(length=512), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("transcript", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name="fk_audio_samples_org_id_orgs", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voices.id"], name="fk_audio_samples_voice_id_voices", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audio_samples"),
    )
    op.create_index("ix_audio_samples_org_id_created_at", "audio_samples", ["org_id", "created_at"])
    op.create_index("ix_audio_samples_voice_id", "audio_samples", ["voice_id"])
    op.create_table(
        "voice_aliases",
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("alias_key", sa.String(length=600), nullable=False),
        sa.Column("alias", sa.String(length=200), nullable=False),
        sa.Column("voice_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name="fk_voice_aliases_org_id_orgs", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voices.id"], name="fk_voice_aliases_voice_id_voices", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "alias_key", name="pk_voice_aliases"),
    )
    op.create_index("ix_voice_aliases_voice_id", "voice_aliases", ["voice_id"])
    op.create_table(
        "voice_embeddings",
        sa.Column("voice_id", sa.String(length=40), nullable=False),
        sa.Column("engine", sa.String(length=63), nullable=False),
        sa.Column("org_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.String(length=40), nullable=True),
        sa.Column("embedding_id", sa.String(length=40), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=True),
        sa.Column("key", sa.String(length=512), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["org_id"], ["orgs.id"], name="fk_voice_embeddings_org_id_orgs", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voices.id"], name="fk_voice_embeddings_voice_id_voices", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("voice_id", "engine", name="pk_voice_embeddings"),
    )
    op.create_index("ix_voice_embeddings_due_at", "voice_embeddings", ["due_at"])
    op.create_index("ix_voice_embeddings_org_id", "voice_embeddings", ["org_id"])


def downgrade() -> None:
    """Remove them, and with them every voice."""
    op.drop_table("voice_embeddings")
    op.drop_table("voice_aliases")
    op.drop_table("audio_samples")
    op.drop_table("voices")
    op.drop_table("voice_consents")
    op.drop_table("doomed_objects")
