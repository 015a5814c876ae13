"""Cases as histories of events with a projection, files of cases opened at the agency, and the file of special persons."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_UP = """
-- A projection of the events below: `lifecert-fleet cases rebuild` makes it again. A case outlives the person: what was decided stays.
CREATE TABLE cases (
    case_id text PRIMARY KEY,
    kind text NOT NULL,
    subject_id text REFERENCES subjects ON DELETE SET NULL,
    state text NOT NULL,
    opened_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL,
    due_on date NOT NULL,
    record_id text,
    decided_at timestamptz,
    reason text,
    planned_on date,
    planned_for text,
    closed_at timestamptz
);
CREATE INDEX cases_by_subject ON cases (subject_id, asked_at);
CREATE INDEX cases_not_over ON cases (due_on, case_id) WHERE state NOT IN ('passed', 'refused', 'closed');
CREATE INDEX cases_by_record ON cases (record_id);

-- Append-only; an event goes only with its whole case. Of a case that leads to nobody the person's id and the remark may go.
CREATE TABLE case_events (
    case_id text NOT NULL REFERENCES cases ON DELETE CASCADE,
    number integer NOT NULL CHECK (number >= 1),
    step text NOT NULL,
    at timestamptz NOT NULL,
    actor_hash bytea CHECK (octet_length(actor_hash) = 32),
    actor_sealed bytea,
    data jsonb NOT NULL,
    note_sealed bytea,
    PRIMARY KEY (case_id, number),
    CHECK ((actor_hash IS NULL) = (actor_sealed IS NULL))
);
CREATE FUNCTION keep_case_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'UPDATE' AND NEW.note_sealed IS NULL AND NEW.data = OLD.data - 'subject_id'
        AND (NEW.case_id, NEW.number, NEW.step, NEW.at, NEW.actor_hash, NEW.actor_sealed)
            IS NOT DISTINCT FROM (OLD.case_id, OLD.number, OLD.step, OLD.at, OLD.actor_hash, OLD.actor_sealed)
        AND EXISTS (SELECT 1 FROM cases WHERE case_id = OLD.case_id AND subject_id IS NULL) THEN RETURN NEW; END IF;
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM cases WHERE case_id = OLD.case_id) THEN RETURN OLD; END IF;
    RAISE EXCEPTION 'case_events: events are never changed, and removed only with their case';
END $$;
CREATE TRIGGER case_events_append_only BEFORE UPDATE OR DELETE ON case_events
    FOR EACH ROW EXECUTE FUNCTION keep_case_event();

-- Which case a record belongs to: a record opens or joins one, once.
CREATE TABLE case_sources (
    record_id text PRIMARY KEY,
    case_id text NOT NULL REFERENCES cases ON DELETE CASCADE
);
CREATE INDEX case_sources_by_case ON case_sources (case_id);
CREATE INDEX records_for_cases ON records (record_id) WHERE outcome IN ('review', 'presentation_attack');

-- What was handed in at the agency, sealed to the fleet on arrival; of a deleted one the facts stay.
CREATE TABLE case_files (
    file_id text PRIMARY KEY,
    case_id text NOT NULL REFERENCES cases ON DELETE CASCADE,
    role text NOT NULL,
    media text NOT NULL CHECK (media IN ('image/jpeg', 'application/pdf')),
    file_bytes integer NOT NULL CHECK (file_bytes > 0),
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    checks jsonb NOT NULL,
    sealed bytea,
    added_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CHECK ((sealed IS NULL) = (deleted_at IS NOT NULL)),
    UNIQUE (case_id, role, content_hash)
);

-- Who is visited at home as a rule (R6-9).
CREATE TABLE special_persons (
    subject_id text PRIMARY KEY REFERENCES subjects ON DELETE CASCADE,
    reason text NOT NULL,
    place_sealed bytea,
    review_on date NOT NULL,
    marked_at timestamptz NOT NULL
);
CREATE INDEX special_persons_by_review ON special_persons (review_on);
"""

_DOWN = """
DROP TABLE special_persons, case_files, case_sources, case_events, cases;
DROP FUNCTION keep_case_event();
DROP INDEX records_for_cases;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DOWN)
