"""Reports of what was tried before a terminal served people."""

from __future__ import annotations

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE terminal_commissionings (
    sha256 text PRIMARY KEY,
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    finished_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    passed boolean NOT NULL,
    -- As the terminal signed it.
    envelope bytea NOT NULL
);
CREATE INDEX terminal_commissionings_of ON terminal_commissionings (terminal_id, finished_at DESC);

-- What the newest report says, for the list of terminals.
ALTER TABLE terminals ADD COLUMN commissioned_at timestamptz, ADD COLUMN commissioning_passed boolean;
"""

_DOWN = """
ALTER TABLE terminals DROP COLUMN commissioned_at, DROP COLUMN commissioning_passed;
DROP TABLE terminal_commissionings;
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop it."""
    op.execute(_DOWN)
