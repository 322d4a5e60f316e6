"""Alembic's entry: run the revisions in the transaction that `storage.schema` has begun."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
