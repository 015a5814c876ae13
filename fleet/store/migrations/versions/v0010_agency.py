"""What the agency's jobs share: areas, who people are as far as rules ask, acts, life events, rule packs, obligations, approvals, audit."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_UP = """
-- Province, city, county, township, community (R4-26).
CREATE TABLE areas (
    code text PRIMARY KEY,
    parent text REFERENCES areas,
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 5),
    name text NOT NULL
);
CREATE INDEX areas_by_parent ON areas (parent);

-- Birth date and sex as far as the document tells them: rules by age, age bands and the blocking of 1:N ask for them.
ALTER TABLE subjects
    ADD COLUMN birth_date date,
    ADD COLUMN sex text CHECK (sex IN ('female', 'male')),
    ADD COLUMN phone_sealed bytea;

-- Who manages somebody decides the channel (R3-11): a unit, or nobody but the street and the village.
ALTER TABLE benefits ADD COLUMN unit text;

-- What certifies beside the passes of records; a row is never changed but for its withdrawal.
CREATE TABLE acts (
    act_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('live', 'enrolment', 'special', 'silent', 'accepted')),
    channel text NOT NULL,
    acted_at timestamptz NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    recorded_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    UNIQUE (source, source_id, subject_id)
);
CREATE INDEX acts_by_subject ON acts (subject_id, acted_at);

-- What ends, interrupts or supports an entitlement, as it was reported; sources that contradict each other stand side by side.
CREATE TABLE life_events (
    event_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    kind text NOT NULL,
    since date NOT NULL,
    until date,
    source text NOT NULL,
    source_id text NOT NULL,
    confirmed boolean NOT NULL,
    reported_on date,
    received_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    detail jsonb NOT NULL DEFAULT '{}',
    UNIQUE (source, source_id)
);
CREATE INDEX life_events_by_subject ON life_events (subject_id, since);
CREATE INDEX life_events_by_arrival ON life_events (received_at);
CREATE INDEX life_events_by_withdrawal ON life_events (withdrawn_at) WHERE withdrawn_at IS NOT NULL;

CREATE TABLE rule_packs (
    pack_id text NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    valid_from date NOT NULL,
    valid_until date,
    text text NOT NULL,
    sha256 text NOT NULL UNIQUE,
    proposed_at timestamptz NOT NULL,
    envelope bytea,
    in_force_at timestamptz,
    PRIMARY KEY (pack_id, version),
    CHECK ((envelope IS NULL) = (in_force_at IS NULL))
);

-- What each pack asks of each benefit next; which state that is on a day is not stored but follows from the days.
CREATE TABLE obligations (
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    scheme text NOT NULL,
    pack_id text NOT NULL,
    pack_version integer NOT NULL,
    last_day date,
    last_act text,
    opens date NOT NULL,
    asked date NOT NULL,
    expiring date NOT NULL,
    due date NOT NULL,
    overdue date NOT NULL,
    stop_from date NOT NULL,
    PRIMARY KEY (subject_id, scheme, pack_id)
);

CREATE INDEX obligations_by_stop ON obligations (stop_from);

-- Which packs held when everybody was projected last; others that hold today are a reason to do it again.
CREATE TABLE projected_with (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    packs text NOT NULL
);

-- Of the strictest obligation; somebody who has no record yet has one, too.
ALTER TABLE statuses
    ALTER COLUMN last_record DROP NOT NULL,
    ALTER COLUMN last_outcome DROP NOT NULL,
    ALTER COLUMN last_event_at DROP NOT NULL,
    ADD COLUMN last_act text,
    ADD COLUMN last_act_kind text,
    ADD COLUMN opens date,
    ADD COLUMN asked date,
    ADD COLUMN expiring date,
    ADD COLUMN due date,
    ADD COLUMN overdue date,
    ADD COLUMN stop_from date;
CREATE INDEX statuses_by_due ON statuses (due);
CREATE INDEX statuses_by_stop ON statuses (stop_from);

-- Two persons for what must not be one person's word; the unique hash makes them two.
CREATE TABLE approvals (
    object_kind text NOT NULL,
    object_id text NOT NULL,
    place smallint NOT NULL CHECK (place IN (1, 2)),
    name_hash bytea NOT NULL CHECK (octet_length(name_hash) = 32),
    name_sealed bytea NOT NULL,
    name_source text NOT NULL CHECK (name_source IN ('as_given')),
    reason_sealed bytea NOT NULL,
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (object_kind, object_id, place),
    UNIQUE (object_kind, object_id, name_hash)
);

-- Append-only: each entry names the digest of the one before it, and no statement can change or remove one.
CREATE TABLE audit_log (
    entry bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    action text NOT NULL,
    actor_sealed bytea NOT NULL,
    actor_hash bytea NOT NULL CHECK (octet_length(actor_hash) = 32),
    object_kind text NOT NULL,
    object_id text NOT NULL,
    detail jsonb NOT NULL,
    previous text NOT NULL,
    sha256 text NOT NULL UNIQUE
);
CREATE INDEX audit_log_by_object ON audit_log (object_kind, object_id, entry);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit_log: entries are never changed or removed'; END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

_DOWN = """
DROP TABLE audit_log, approvals, projected_with, obligations, rule_packs, life_events, acts, areas;
DROP FUNCTION refuse_change();
DELETE FROM statuses WHERE last_record IS NULL;
ALTER TABLE statuses
    ALTER COLUMN last_record SET NOT NULL,
    ALTER COLUMN last_outcome SET NOT NULL,
    ALTER COLUMN last_event_at SET NOT NULL,
    DROP COLUMN last_act, DROP COLUMN last_act_kind, DROP COLUMN opens, DROP COLUMN asked,
    DROP COLUMN expiring, DROP COLUMN due, DROP COLUMN overdue, DROP COLUMN stop_from;
ALTER TABLE benefits DROP COLUMN unit;
ALTER TABLE subjects DROP COLUMN birth_date, DROP COLUMN sex, DROP COLUMN phone_sealed;
"""


def upgrade() -> None:
    """Make tables and columns."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(_DOWN)
