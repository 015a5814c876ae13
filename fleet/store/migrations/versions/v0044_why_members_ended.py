"""Why a terminal went back from what was rolled out, or refused it: kept with where it stands there, since its own word changes."""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what ended before has no reason any more than what the terminal says now, which may be of another roll-out."""
    op.execute("ALTER TABLE rollout_members ADD COLUMN why text")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE rollout_members DROP COLUMN why")
