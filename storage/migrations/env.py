"""What Alembic runs: the migrations, on the connection and in the transaction it is given."""

from alembic import context

from storage.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # SQLite changes a table by copying it.
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
