"""The condition of terminals: the latest of each, hour by hour, and day by day what sessions measured; counters that lists read."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_UP = """
ALTER TABLE terminals
    ADD COLUMN presence_s double precision,
    ADD COLUMN keep_alive_s integer,
    ADD COLUMN last_word_at timestamptz,
    ADD COLUMN offline_at timestamptz,
    ADD COLUMN last_stick_at timestamptz,
    ADD COLUMN health jsonb,
    ADD COLUMN health_at timestamptz,
    ADD COLUMN temperature_c double precision,
    ADD COLUMN throttled integer,
    ADD COLUMN battery_percent integer,
    ADD COLUMN is_charging boolean,
    ADD COLUMN disk_free_bytes bigint,
    ADD COLUMN clock_uncertainty_s double precision,
    ADD COLUMN is_mains_lost boolean,
    ADD COLUMN oldest_unconfirmed_at timestamptz,
    ADD COLUMN records bigint NOT NULL DEFAULT 0,
    ADD COLUMN quarantined bigint NOT NULL DEFAULT 0,
    ADD COLUMN alarms integer NOT NULL DEFAULT 0;

UPDATE terminals t SET
    last_word_at = greatest(presence_received_at, last_record_at),
    offline_at = CASE WHEN presence_state = 'offline' THEN presence_received_at END,
    records = (SELECT count(*) FROM records r WHERE r.terminal_id = t.terminal_id),
    quarantined = (SELECT count(*) FROM quarantine q WHERE q.known AND q.terminal_id = t.terminal_id);

-- The worst of each hour: what was too warm for some minutes is seen a month later, too.
CREATE TABLE terminal_health (
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    hour timestamptz NOT NULL,
    messages integer NOT NULL,
    temperature_c double precision,
    throttled integer,
    battery_percent integer,
    disk_free_bytes bigint,
    memory_available_bytes bigint,
    oldest_unconfirmed_s bigint,
    waiting bigint NOT NULL,
    clock_uncertainty_s double precision,
    camera_rate_hz double precision,
    PRIMARY KEY (terminal_id, hour)
);
CREATE INDEX terminal_health_by_hour ON terminal_health (hour);

-- Of each day and measure the number of sessions and the sum: {"sharpness": [40, 2811.5]}. Charts are drawn from these, not from records.
CREATE TABLE terminal_days (
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    day date NOT NULL,
    measures jsonb NOT NULL,
    PRIMARY KEY (terminal_id, day)
);
CREATE INDEX terminal_days_by_day ON terminal_days (day);
-- Records that arrived until then are counted.
CREATE TABLE terminal_days_until (one boolean PRIMARY KEY DEFAULT true CHECK (one), until timestamptz NOT NULL);
CREATE TABLE terminal_alarms (
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    measure text NOT NULL,
    advice text NOT NULL,
    is_rise boolean NOT NULL,
    since date NOT NULL,
    raised_on date NOT NULL,
    ended_on date,
    before double precision NOT NULL,
    after double precision NOT NULL,
    PRIMARY KEY (terminal_id, measure, raised_on)
);

-- What the office asked of terminals. The number counts the commands of one terminal.
CREATE TABLE terminal_commands (
    command_id text PRIMARY KEY,
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    number bigint NOT NULL,
    kind text NOT NULL,
    asked_by_sealed bytea NOT NULL,
    reason_sealed bytea NOT NULL,
    asked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    sent_at timestamptz,
    answered_at timestamptz,
    verdict text,
    result jsonb,
    UNIQUE (terminal_id, number)
);
CREATE INDEX terminal_commands_open ON terminal_commands (terminal_id, number) WHERE answered_at IS NULL;
CREATE INDEX records_by_terminal ON records (terminal_id, event_at);
CREATE INDEX terminals_by_area ON terminals (area, terminal_id);
"""

_DOWN = """
DROP INDEX terminals_by_area, records_by_terminal;
DROP TABLE terminal_commands, terminal_health, terminal_days, terminal_days_until, terminal_alarms;
ALTER TABLE terminals
    DROP COLUMN presence_s,
    DROP COLUMN keep_alive_s,
    DROP COLUMN last_word_at,
    DROP COLUMN offline_at,
    DROP COLUMN last_stick_at,
    DROP COLUMN health,
    DROP COLUMN health_at,
    DROP COLUMN temperature_c,
    DROP COLUMN throttled,
    DROP COLUMN battery_percent,
    DROP COLUMN is_charging,
    DROP COLUMN disk_free_bytes,
    DROP COLUMN clock_uncertainty_s,
    DROP COLUMN is_mains_lost,
    DROP COLUMN oldest_unconfirmed_at,
    DROP COLUMN records,
    DROP COLUMN quarantined,
    DROP COLUMN alarms;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
