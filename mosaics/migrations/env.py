"""Alembic's way in: runs the revisions in the transaction it is handed."""

from alembic import context

from mosaics.catalog.migrate import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
