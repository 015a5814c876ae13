"""What terminals say about pictures of cases that have not arrived."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute("ALTER TABLE terminals ADD COLUMN pictures_waiting bigint, ADD COLUMN pictures_refused bigint")


def downgrade() -> None:
    """Drop the columns; the next presence would fill them anew."""
    op.execute("ALTER TABLE terminals DROP COLUMN pictures_waiting, DROP COLUMN pictures_refused")
