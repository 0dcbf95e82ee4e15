"""Run by alembic: takes the connection (and its open transaction) the ledger hands over."""

from alembic import context

from sekisho.ledger.schema import metadata

# One transaction around all steps is the caller's: a crash in between leaves the old state whole.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
)
context.run_migrations()
