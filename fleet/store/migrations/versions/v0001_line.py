"""Subjects, benefits, references, terminals, rosters, records, quarantine, statuses, policies."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE subjects (
    subject_id text PRIMARY KEY,
    claim_token text NOT NULL UNIQUE,
    area text NOT NULL,
    name_sealed bytea NOT NULL,
    document_sealed bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX subjects_by_area ON subjects (area, subject_id);

CREATE TABLE benefits (
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    scheme text NOT NULL,
    region text NOT NULL,
    category text NOT NULL,
    started date NOT NULL,
    PRIMARY KEY (subject_id, scheme)
);

CREATE TABLE references_ (
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    reference_id text NOT NULL,
    features bytea NOT NULL,
    model_sha256 text NOT NULL,
    runtime text NOT NULL,
    key_domain text NOT NULL,
    quality double precision NOT NULL,
    capture text NOT NULL,
    legal_basis text NOT NULL,
    captured_at timestamptz NOT NULL,
    valid_until date NOT NULL,
    officer_sealed bytea,
    withdrawn_at timestamptz,
    PRIMARY KEY (subject_id, reference_id)
);

CREATE TABLE terminals (
    terminal_id text PRIMARY KEY,
    area text NOT NULL,
    signing_key jsonb NOT NULL,
    sealing_key jsonb NOT NULL,
    registered_at timestamptz NOT NULL,
    retired_at timestamptz,
    last_counter bigint NOT NULL DEFAULT 0,
    last_record_at timestamptz,
    roster_version bigint NOT NULL DEFAULT 0,
    roster_pushed bigint NOT NULL DEFAULT 0,
    presence_state text,
    presence_connection bigint,
    presence_boot_id text,
    presence_said_at timestamptz,
    presence_received_at timestamptz,
    software text,
    policy_version text,
    roster_have bigint,
    outbox_pending bigint,
    outbox_published bigint,
    outbox_acknowledged bigint,
    outbox_refused bigint
);

CREATE TABLE assignments (
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('all', 'area', 'subject')),
    value text NOT NULL,
    PRIMARY KEY (terminal_id, kind, value)
);

CREATE TABLE roster_entries (
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    subject_id text NOT NULL,
    version bigint NOT NULL,
    removed boolean NOT NULL,
    PRIMARY KEY (terminal_id, subject_id)
);
CREATE INDEX roster_entries_by_version ON roster_entries (terminal_id, version);
CREATE INDEX roster_entries_by_subject ON roster_entries (subject_id) WHERE NOT removed;

CREATE TABLE records (
    record_id text PRIMARY KEY,
    sha256 text NOT NULL UNIQUE,
    terminal_id text NOT NULL REFERENCES terminals,
    counter bigint NOT NULL,
    previous text,
    chain text NOT NULL CHECK (chain IN ('linked', 'gap', 'broken')),
    session_id text NOT NULL,
    subject_id text,
    claim_token text NOT NULL,
    outcome text NOT NULL,
    payload jsonb NOT NULL,
    envelope bytea NOT NULL,
    received_at timestamptz NOT NULL,
    earliest timestamptz,
    latest timestamptz NOT NULL,
    event_at timestamptz NOT NULL,
    pass_at timestamptz,
    flags jsonb NOT NULL,
    UNIQUE (terminal_id, counter)
);
CREATE INDEX records_by_subject ON records (subject_id, event_at DESC);
CREATE INDEX records_by_arrival ON records (received_at DESC, record_id);
CREATE INDEX records_unlinked ON records (terminal_id, counter) WHERE chain <> 'linked';

CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    terminal_id text NOT NULL,
    known boolean NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    sha256 text NOT NULL,
    envelope bytea NOT NULL,
    size bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    UNIQUE (terminal_id, sha256, reason)
);
CREATE INDEX quarantine_by_known ON quarantine (known, terminal_id);

CREATE TABLE statuses (
    subject_id text PRIMARY KEY REFERENCES subjects ON DELETE CASCADE,
    last_pass_at timestamptz,
    last_pass_record text,
    last_pass_day date,
    certified_until date,
    rule_pack text NOT NULL,
    last_record text NOT NULL,
    last_outcome text NOT NULL,
    last_event_at timestamptz NOT NULL,
    records bigint NOT NULL
);
CREATE INDEX statuses_by_end ON statuses (certified_until);

CREATE TABLE policies (
    policy_version text PRIMARY KEY,
    payload jsonb NOT NULL,
    sha256 text NOT NULL,
    envelope bytea NOT NULL,
    issued_at timestamptz NOT NULL,
    published_at timestamptz NOT NULL
);
"""

_DROP = """
DROP TABLE policies, statuses, quarantine, records, roster_entries, assignments, terminals, references_, benefits, subjects;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DROP)
