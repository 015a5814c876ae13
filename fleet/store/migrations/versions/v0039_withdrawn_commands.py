"""Commands to terminals that were taken back."""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_UP = """
ALTER TABLE terminal_commands ADD COLUMN withdrawn_at timestamptz, ADD COLUMN withdrawn_by_sealed bytea,
    ADD COLUMN withdrawal_sent_at timestamptz,
    ADD CHECK ((withdrawn_at IS NULL) = (withdrawn_by_sealed IS NULL));
"""
_DOWN = """
ALTER TABLE terminal_commands DROP COLUMN withdrawn_at, DROP COLUMN withdrawn_by_sealed, DROP COLUMN withdrawal_sent_at;
"""


def upgrade() -> None:
    """Make the columns."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
