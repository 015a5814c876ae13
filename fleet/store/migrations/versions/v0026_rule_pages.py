"""What the pages of rules and stops look for: trials of packs, stops by the day they were proposed, benefits that were restored."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0021"
branch_labels = None
depends_on = None

_UP = """
-- What a pack would do to everybody, worked out beside the pages. Who began it stands sealed; what came of it are counts.
CREATE TABLE pack_trials (
    trial_id text PRIMARY KEY,
    pack_id text NOT NULL,
    version integer NOT NULL,
    sha256 text NOT NULL,
    day date NOT NULL,
    by_sealed bytea NOT NULL,
    asked_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'done', 'failed')),
    people_done bigint NOT NULL DEFAULT 0,
    people_in_all bigint NOT NULL DEFAULT 0,
    ended_at timestamptz,
    result jsonb,
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK ((state = 'done') = (result IS NOT NULL))
);
-- One at a time for a pack.
CREATE UNIQUE INDEX pack_trials_waiting ON pack_trials (pack_id) WHERE state = 'waiting';
CREATE INDEX pack_trials_by_text ON pack_trials (sha256, asked_at);

CREATE INDEX benefit_files_open ON benefit_files (coalesce(proposed_on, DATE '0001-01-01'), subject_id, scheme)
    WHERE state <> 'paying' OR frozen_by <> '{}';
CREATE INDEX benefit_files_by_stage ON benefit_files ((CASE WHEN frozen_by <> '{}' THEN 'frozen'
    WHEN state IN ('paused', 'ended') THEN 'in_force'
    WHEN approvals >= 2 THEN 'to_carry_out' WHEN approvals = 1 THEN 'second_approval' WHEN missing = '{}' THEN 'first_approval'
    WHEN steps >= 3 THEN 'comparison' WHEN steps = 2 THEN 'attempts' WHEN steps = 1 THEN 'noticed' ELSE 'proposed' END),
    coalesce(proposed_on, DATE '0001-01-01'), subject_id, scheme) WHERE state <> 'paying' OR frozen_by <> '{}';
CREATE INDEX benefit_events_restored ON benefit_events (day, subject_id, scheme) WHERE kind = 'restored';
"""

_DOWN = """
DROP INDEX benefit_events_restored, benefit_files_by_stage, benefit_files_open;
DROP TABLE pack_trials;
"""


def upgrade() -> None:
    """Make the table and the indexes."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
