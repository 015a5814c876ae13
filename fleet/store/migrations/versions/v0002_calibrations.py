"""Proposed thresholds, and who approved thresholds and policies."""

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
    network text NOT NULL,
    proposal jsonb NOT NULL,
    thresholds jsonb NOT NULL,
    policy_version text REFERENCES policies,
    first_place smallint GENERATED ALWAYS AS (CASE WHEN policy_version IS NULL THEN NULL ELSE 1 END) STORED,
    second_place smallint GENERATED ALWAYS AS (CASE WHEN policy_version IS NULL THEN NULL ELSE 2 END) STORED
);

CREATE TABLE calibration_approvals (
    calibration_id text NOT NULL REFERENCES calibrations ON DELETE CASCADE,
    place smallint NOT NULL CHECK (place IN (1, 2)),
    name_hash bytea NOT NULL CHECK (octet_length(name_hash) = 32),
    name_sealed bytea NOT NULL,
    name_source text NOT NULL CHECK (name_source IN ('as_given')),
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (calibration_id, place),
    UNIQUE (calibration_id, name_hash)
);

-- In force only with both approvals, which the unique hash makes those of two persons.
ALTER TABLE calibrations
    ADD FOREIGN KEY (calibration_id, first_place) REFERENCES calibration_approvals (calibration_id, place),
    ADD FOREIGN KEY (calibration_id, second_place) REFERENCES calibration_approvals (calibration_id, place);

CREATE TABLE policy_approvals (
    policy_version text NOT NULL REFERENCES policies ON DELETE CASCADE,
    place smallint NOT NULL CHECK (place IN (1, 2)),
    name_hash bytea NOT NULL CHECK (octet_length(name_hash) = 32),
    name_sealed bytea NOT NULL,
    name_source text NOT NULL CHECK (name_source IN ('as_given')),
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (policy_version, place),
    UNIQUE (policy_version, name_hash)
);
"""

_DROP = """
DROP TABLE policy_approvals, calibration_approvals, calibrations;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DROP)
