"""Contradictions that nobody has resolved, kept: so far they were worked out whenever somebody looked."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_UP = """
-- Follows from reports, acts, passes, rows, deliveries and what persons said (fleet.status.doubts).
CREATE TABLE open_contradictions (
    contradiction_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    kind text NOT NULL,
    since date NOT NULL,
    first_side jsonb NOT NULL,
    second_side jsonb NOT NULL
);
CREATE INDEX open_contradictions_in_order ON open_contradictions (since, contradiction_id);
CREATE INDEX open_contradictions_by_kind ON open_contradictions (kind, since, contradiction_id);
CREATE INDEX open_contradictions_by_subject ON open_contradictions (subject_id);
-- By whom they are about, no longer by feed.
DROP INDEX feed_rows_differing;
CREATE INDEX feed_rows_differing ON feed_rows (subject_id) WHERE name_state = 'differs';
CREATE INDEX feed_deliveries_zero ON feed_deliveries (area, period) WHERE rows = 0;

-- Everybody is projected once more, which fills the table.
DELETE FROM projected_with;
"""

_DOWN = """
DROP INDEX feed_deliveries_zero;
DROP INDEX feed_rows_differing;
CREATE INDEX feed_rows_differing ON feed_rows (feed) WHERE name_state = 'differs';
DROP TABLE open_contradictions;
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop it."""
    op.execute(_DOWN)
