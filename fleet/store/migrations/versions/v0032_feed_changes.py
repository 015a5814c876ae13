"""Who gave a feed which definition, and why; policies that are proposed at the console."""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE feed_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed text NOT NULL REFERENCES feeds,
    action text NOT NULL CHECK (action IN ('added', 'changed', 'ended')),
    definition jsonb NOT NULL,
    by_sealed bytea NOT NULL,
    reason_sealed bytea,
    changed_at timestamptz NOT NULL
);
CREATE INDEX feed_changes_of ON feed_changes (feed, change_id);
CREATE TABLE policy_proposals (
    proposal_id text PRIMARY KEY,
    policy jsonb NOT NULL,
    proposer_sealed bytea NOT NULL,
    reason_sealed bytea NOT NULL,
    proposed_at timestamptz NOT NULL,
    policy_version text REFERENCES policies,
    dropped_at timestamptz,
    CHECK (policy_version IS NULL OR dropped_at IS NULL)
);
CREATE INDEX policy_proposals_newest ON policy_proposals (proposed_at);
"""

_DOWN = """
DROP TABLE policy_proposals;
DROP TABLE feed_changes;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
