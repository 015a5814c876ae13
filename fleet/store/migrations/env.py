"""Runs migrations on the connection it is handed; `fleet.store.migrate` is the only caller."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
