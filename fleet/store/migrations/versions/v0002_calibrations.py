"""Proposed thresholds and who approved them."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE calibrations (
    calibration_id text PRIMARY KEY,
    proposed_at timestamptz NOT NULL,
    proposer_sealed bytea NOT NULL,
    proposal jsonb NOT NULL,
    policy_version text REFERENCES policies
);

CREATE TABLE calibration_approvals (
    calibration_id text NOT NULL REFERENCES calibrations ON DELETE CASCADE,
    place smallint NOT NULL,
    name_sealed bytea NOT NULL,
    name_source text NOT NULL CHECK (name_source IN ('as_given')),
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (calibration_id, place)
);
"""

_DROP = """
DROP TABLE calibration_approvals, calibrations;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DROP)
