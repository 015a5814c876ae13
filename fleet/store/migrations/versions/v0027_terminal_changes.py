"""What people did to terminals: registered, moved, retired, given people; who, and why."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_UP = """
-- Name and reason stand sealed. How many there are of a terminal is the version of its forms: a form of an older one is refused.
CREATE TABLE terminal_changes (
    change_id text PRIMARY KEY,
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    number integer NOT NULL,
    kind text NOT NULL,
    by_sealed bytea NOT NULL,
    reason_sealed bytea,
    detail jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    UNIQUE (terminal_id, number)
);
"""

_DOWN = "DROP TABLE terminal_changes"


def upgrade() -> None:
    """Add them."""
    op.execute(_UP)


def downgrade() -> None:
    """Take them away."""
    op.execute(_DOWN)
