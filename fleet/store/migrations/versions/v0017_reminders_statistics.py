"""Reminders: addresses, occasions, the outbox and the proof of each step. Statistics: nightly snapshots, and what they read quickly by."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_UP = """
-- Where somebody can be told, and what they do not want to be told by; who has no row for messages has the telephone of `subjects`.
CREATE TABLE contacts (
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('sms', 'wechat', 'email')),
    address_sealed bytea,
    source text NOT NULL,
    recorded_at timestamptz NOT NULL,
    opted_out_at timestamptz,
    doubtful_at timestamptz,
    PRIMARY KEY (subject_id, channel)
);

-- What happened to somebody that they are told of, beside what follows from the days of their status.
CREATE TABLE reminder_occasions (
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('appeal_answered', 'stop_proposed')),
    occasion date NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (subject_id, kind, occasion)
);

-- The outbox: one row for each step that is taken to tell somebody something, never two for one occasion.
CREATE TABLE reminders (
    reminder_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('no_data', 'due', 'expiring', 'failed', 'appeal_answered', 'stop_proposed')),
    occasion date NOT NULL,
    step text NOT NULL CHECK (step IN ('message', 'call', 'visit')),
    state text NOT NULL CHECK (state IN ('pending', 'sent', 'delivered', 'failed', 'cancelled')),
    priority smallint NOT NULL,
    not_before timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    planned_at timestamptz NOT NULL,
    sent_at timestamptz,
    settled_at timestamptz,
    proof_day date,
    outcome text CHECK (outcome IN ('reached', 'not_reached', 'not_possible')),
    code text,
    list_id text,
    worker_sealed bytea,
    UNIQUE (subject_id, kind, occasion, step),
    CHECK ((outcome IS NOT NULL) = (state IN ('delivered', 'failed')))
);
CREATE INDEX reminders_waiting ON reminders (step, priority, not_before) WHERE state = 'pending';
CREATE INDEX reminders_sent ON reminders (sent_at) WHERE state = 'sent';

-- One row for each message given to a gateway; its id is fixed before the first try and the same for every try.
CREATE TABLE reminder_deliveries (
    message_id text PRIMARY KEY,
    reminder_id text NOT NULL REFERENCES reminders ON DELETE CASCADE,
    channel text NOT NULL,
    state text NOT NULL CHECK (state IN ('sending', 'accepted', 'delivered', 'failed')),
    code text,
    gateway_id text,
    parts integer NOT NULL DEFAULT 0,
    cost integer NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL,
    accepted_at timestamptz,
    settled_at timestamptz,
    UNIQUE (reminder_id, channel)
);
CREATE INDEX reminder_deliveries_by_day ON reminder_deliveries (begun_at);

CREATE TABLE statistics_snapshots (
    day date PRIMARY KEY,
    taken_at timestamptz NOT NULL
);
-- Scheme NULL: people, each once, by their strictest obligation; else people of the scheme, by what is asked of them there.
CREATE TABLE statistics_snapshot_rows (
    day date NOT NULL REFERENCES statistics_snapshots ON DELETE CASCADE,
    area text NOT NULL,
    scheme text,
    state text NOT NULL,
    people integer NOT NULL
);
CREATE INDEX statistics_snapshot_rows_by_day ON statistics_snapshot_rows (day);

-- Sessions of a span of days are counted without reading all there ever were.
CREATE INDEX records_by_event ON records (event_at);
-- Which of the last passes were home visits, without reading the payloads of all others.
CREATE INDEX records_on_visits ON records (record_id) WHERE jsonb_typeof(payload -> 'visit') = 'object';
"""

_DOWN = """
DROP INDEX records_on_visits, records_by_event;
DROP TABLE statistics_snapshot_rows, statistics_snapshots, reminder_deliveries, reminders, reminder_occasions, contacts;
"""


def upgrade() -> None:
    """Make tables and indexes."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(_DOWN)
