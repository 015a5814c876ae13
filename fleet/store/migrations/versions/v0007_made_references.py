"""References that terminals made: what was in each seal, and which reference came of it."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = """
-- Features are here only as long as no row of references_ has them: of somebody whom the fleet does not know.
CREATE TABLE made_references (
    record_id text PRIMARY KEY REFERENCES links ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('enrolment', 'refresh', 'photo')),
    subject_id text REFERENCES subjects ON DELETE CASCADE,
    reference_id text NOT NULL,
    legal_basis text NOT NULL,
    problem text,
    model_sha256 text,
    runtime text,
    key_domain text,
    quality double precision,
    capture text,
    features bytea,
    received_at timestamptz NOT NULL,
    waits_for text,
    CHECK ((problem IS NULL) = (model_sha256 IS NOT NULL))
);
CREATE INDEX made_references_by_subject ON made_references (subject_id);
CREATE INDEX made_references_unclaimed ON made_references (received_at) WHERE features IS NOT NULL;

ALTER TABLE references_
    ADD COLUMN made_by_record text,
    ADD COLUMN waits_for text;
CREATE INDEX references_by_record ON references_ (made_by_record) WHERE made_by_record IS NOT NULL;
"""

_DROP = """
DROP INDEX references_by_record;
ALTER TABLE references_ DROP COLUMN made_by_record, DROP COLUMN waits_for;
DROP TABLE made_references;
"""


def upgrade() -> None:
    """Make the table and the columns."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop them; references that are in use stay."""
    op.execute(_DROP)
