"""Benefits: what happened to each, the files that follow from it, and passes that contradict a report."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_UP = """
-- Decisions about payments: never changed, never removed. Of somebody who is erased they stay, under an id that leads to nobody and
-- without what was written; so the column is no foreign key.
CREATE TABLE benefit_events (
    subject_id text NOT NULL,
    scheme text NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    kind text NOT NULL,
    day date NOT NULL,
    body jsonb NOT NULL,
    text_sealed bytea,
    at timestamptz NOT NULL,
    PRIMARY KEY (subject_id, scheme, number)
);
CREATE FUNCTION refuse_benefit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.subject_id <> OLD.subject_id AND NEW.text_sealed IS NULL
        AND (NEW.scheme, NEW.number, NEW.kind, NEW.day, NEW.body, NEW.at)
            IS NOT DISTINCT FROM (OLD.scheme, OLD.number, OLD.kind, OLD.day, OLD.body, OLD.at)
        AND NOT EXISTS (SELECT 1 FROM subjects WHERE subject_id = NEW.subject_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'benefit_events: events are never changed or removed';
END $$;
CREATE TRIGGER benefit_events_append_only BEFORE UPDATE OR DELETE ON benefit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_benefit_change();
CREATE TRIGGER benefit_events_kept BEFORE TRUNCATE ON benefit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_benefit_change();

-- What follows from the events; a benefit to which nothing ever happened has no row and is paid.
CREATE TABLE benefit_files (
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    scheme text NOT NULL,
    state text NOT NULL,
    standing text NOT NULL CHECK (standing IN ('paying', 'paused', 'ended')),
    stopped_from date,
    stop_id text,
    reason text,
    effect text,
    basis text,
    from_month date,
    proposed_on date,
    steps smallint NOT NULL,
    missing text[] NOT NULL,
    approvals smallint NOT NULL,
    frozen_by text[] NOT NULL,
    answered text[] NOT NULL,
    recoveries smallint NOT NULL,
    open_recoveries text[] NOT NULL,
    events integer NOT NULL,
    PRIMARY KEY (subject_id, scheme)
);
CREATE INDEX benefit_files_by_stop ON benefit_files (stop_id) WHERE stop_id IS NOT NULL;
CREATE INDEX benefit_files_by_recovery ON benefit_files USING gin (open_recoveries);
CREATE INDEX benefit_files_by_state ON benefit_files (state) WHERE state <> 'paying';

-- A live pass of somebody reported dead, missing or imprisoned: a person decides which of the two is wrong.
CREATE TABLE i_am_here (
    case_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    pass_id text NOT NULL,
    event_ids text[] NOT NULL,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolution text CHECK (resolution IN ('alive', 'report_stands')),
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);
CREATE UNIQUE INDEX i_am_here_open ON i_am_here (subject_id) WHERE resolved_at IS NULL;
"""

_DOWN = """
DROP TABLE i_am_here, benefit_files, benefit_events;
DROP FUNCTION refuse_benefit_change();
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(_DOWN)
