"""Runs the migrations of auth on the connection that `auth.migrate` hands over, touching no other tables."""

from alembic import context

from auth.schema import VERSION_TABLE, metadata


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    return type_ != "table" or (name or "").startswith("auth_")


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_name=include_name,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
