"""Whom an entry of the audit log is about, where its object is not the person; failed attempts to sign in, until they stand in the log."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0032"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE audit_about (
    -- No key to subjects: whoever writes an entry holds the lock of the log, and must not wait for an erasure that waits for it.
    subject_id text NOT NULL,
    entry bigint NOT NULL,
    reason_sealed bytea,
    PRIMARY KEY (subject_id, entry)
);
CREATE TABLE sign_in_failures (
    quarter timestamptz NOT NULL,
    who bytea NOT NULL,
    address bytea NOT NULL,
    step text NOT NULL CHECK (step IN ('password', 'code')),
    account_id text REFERENCES accounts ON DELETE CASCADE,
    failures integer NOT NULL,
    unheard integer NOT NULL,
    PRIMARY KEY (quarter, who, address, step)
);
CREATE INDEX duplicate_hits_by_first ON duplicate_hits (first_subject);

-- What was written before. Cases and hits lead to their people by themselves; who stood on other lists was not written down.
INSERT INTO audit_about (subject_id, entry)
    SELECT s.subject_id, a.entry FROM audit_log a JOIN subjects s ON s.subject_id = a.detail ->> 'subject_id'
    WHERE a.object_kind <> 'subject'
    UNION SELECT m.subject_id, a.entry FROM audit_log a JOIN unit_list_members m ON m.list_id = a.object_id
    WHERE a.action = 'unit_list.looked'
    UNION SELECT s.subject_id, a.entry FROM audit_log a CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(a.detail -> 'subjects') WHEN 'array' THEN a.detail -> 'subjects' ELSE '[]' END) named (id)
    JOIN subjects s ON s.subject_id = named.id WHERE a.action = 'statuses.viewed';
"""

_DOWN = """
DROP INDEX duplicate_hits_by_first;
DROP TABLE sign_in_failures, audit_about;
"""


def upgrade() -> None:
    """Make the table, and fill it from what is in the log."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop it."""
    op.execute(_DOWN)
