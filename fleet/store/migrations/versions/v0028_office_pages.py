"""What the pages of exchange, duplicates, reminders and privacy look for; and what was deleted when its time was over."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_UP = """
CREATE INDEX acts_silent ON acts (recorded_at, act_id) WHERE kind = 'silent' AND withdrawn_at IS NULL;
CREATE INDEX unit_lists_by_arrival ON unit_lists (taken_at, list_id);
CREATE INDEX webhook_messages_dead ON webhook_messages (webhook_id, message_no) WHERE dead_at IS NOT NULL;
CREATE INDEX duplicate_hits_queue ON duplicate_hits (coalesce(score, -2) DESC, hit_id);
CREATE INDEX reminders_failed ON reminders (settled_at, reminder_id) WHERE state = 'failed';
CREATE INDEX statuses_by_asked ON statuses (asked);
CREATE INDEX consents_by_arrival ON consents (recorded_at, consent_id);
CREATE INDEX withdrawals_by_arrival ON withdrawals (withdrawn_at, withdrawal_id);
CREATE INDEX erasures_by_day ON erasures (erased_at, erasure_id);
-- What went because its time was over, and how many persons had a stored face then: counts, nothing about whom.
CREATE TABLE retention_runs (
    ran_at timestamptz PRIMARY KEY,
    rows jsonb NOT NULL,
    persons bigint NOT NULL
);
"""
_DOWN = """
DROP TABLE retention_runs;
DROP INDEX erasures_by_day;
DROP INDEX withdrawals_by_arrival;
DROP INDEX consents_by_arrival;
DROP INDEX statuses_by_asked;
DROP INDEX reminders_failed;
DROP INDEX duplicate_hits_queue;
DROP INDEX webhook_messages_dead;
DROP INDEX unit_lists_by_arrival;
DROP INDEX acts_silent;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
