"""Run by Alembic. The connection is ours, already open: there is no other way to run migrations."""

from alembic import context

from headrace.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
