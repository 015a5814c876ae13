"""What lists of the console follow at a million people: the log by actor, action and moment; sessions, snapshots and messages counted."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_UP = """
CREATE INDEX audit_log_by_actor ON audit_log (actor_hash, entry);
CREATE INDEX audit_log_by_action ON audit_log (action, entry);
CREATE INDEX audit_log_by_time ON audit_log (at, entry);
-- What counts of sessions ask for stands in the index: the payloads, some kilobytes each, are not read.
DROP INDEX records_by_event;
CREATE INDEX records_by_event ON records (event_at) INCLUDE (terminal_id, outcome, subject_id);
DROP INDEX statistics_snapshot_rows_by_day;
CREATE INDEX statistics_snapshot_rows_by_day ON statistics_snapshot_rows (day, area);
CREATE INDEX webhook_messages_delivered ON webhook_messages (webhook_id) WHERE delivered_at IS NOT NULL;
CREATE INDEX reminders_pending ON reminders (kind, step, not_before) INCLUDE (subject_id) WHERE state = 'pending';
DROP INDEX reminder_deliveries_by_day;
CREATE INDEX reminder_deliveries_by_day ON reminder_deliveries (begun_at) INCLUDE (channel, state, reminder_id);
"""

_DOWN = """
DROP INDEX reminder_deliveries_by_day;
CREATE INDEX reminder_deliveries_by_day ON reminder_deliveries (begun_at);
DROP INDEX reminders_pending;
DROP INDEX webhook_messages_delivered;
DROP INDEX statistics_snapshot_rows_by_day;
CREATE INDEX statistics_snapshot_rows_by_day ON statistics_snapshot_rows (day);
DROP INDEX records_by_event;
CREATE INDEX records_by_event ON records (event_at);
DROP INDEX audit_log_by_time;
DROP INDEX audit_log_by_action;
DROP INDEX audit_log_by_actor;
"""


def upgrade() -> None:
    """Make the indexes."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them, and make those of before."""
    op.execute(_DOWN)
