"""Alembic environment: runs on the connection that `muscle_core.store.migrate` hands over."""

from alembic import context

from muscle_core.store.tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
context.run_migrations()
