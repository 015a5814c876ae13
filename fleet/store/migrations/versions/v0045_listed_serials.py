"""Certificates that a revocation list names and this database does not know: issued after the backup that it came from."""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.execute("CREATE TABLE listed_serials (serial text PRIMARY KEY, revoked_at timestamptz NOT NULL)")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE listed_serials")
