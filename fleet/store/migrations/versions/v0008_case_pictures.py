"""Sealed pictures of cases, and who looked at them."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = """
ALTER TABLE case_records ADD COLUMN closed_at timestamptz;

CREATE TABLE case_photos (
    record_id text NOT NULL REFERENCES case_records ON DELETE CASCADE,
    position smallint NOT NULL,
    role text NOT NULL,
    terminal_id text NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (record_id, position)
);
CREATE INDEX case_photos_by_attachment ON case_photos (terminal_id, sha256);
INSERT INTO case_photos SELECT c.record_id, p.position, p.photo ->> 'role', c.terminal_id, p.photo ->> 'attachment'
    FROM case_records c, jsonb_array_elements(c.payload -> 'photos') WITH ORDINALITY AS p (photo, position);

-- As they came, sealed to the fleet; a case may name them before or after they arrive.
CREATE TABLE attachments (
    terminal_id text NOT NULL REFERENCES terminals,
    sha256 text NOT NULL,
    sealed bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (terminal_id, sha256)
);
CREATE INDEX attachments_by_arrival ON attachments (received_at);

-- Written before anybody sees the picture; reader and reason are encrypted with the fleet's own key.
CREATE TABLE picture_views (
    view_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    record_id text NOT NULL,
    role text NOT NULL,
    sha256 text NOT NULL,
    reader_sealed bytea NOT NULL,
    reader_hash bytea NOT NULL CHECK (octet_length(reader_hash) = 32),
    reason_sealed bytea NOT NULL,
    viewed_at timestamptz NOT NULL
);
CREATE INDEX picture_views_by_case ON picture_views (record_id, view_id);
"""

_DROP = """
DROP TABLE picture_views, attachments, case_photos;
ALTER TABLE case_records DROP COLUMN closed_at;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DROP)
