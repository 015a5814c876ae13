"""Finished cases by the day they were due, a page at a time."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_UP = """
CREATE INDEX cases_over ON cases (due_on, case_id) WHERE state IN ('passed', 'refused', 'closed');
"""

_DOWN = """
DROP INDEX cases_over;
"""


def upgrade() -> None:
    """Make the index."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop it."""
    op.execute(_DOWN)
