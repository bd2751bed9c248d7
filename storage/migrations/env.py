"""Alembic's environment: runs the migrations in the caller's transaction, on its connection."""

from alembic import context

from storage.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # SQLite alters a table by copying it.
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
