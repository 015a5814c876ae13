"""What becomes of references: proposed, in use, set aside, rejected, replaced; and key domains made to replace others."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = """
-- The secrets of the first domains are files; those of domains that replace another are here, encrypted with the fleet's own key.
CREATE TABLE key_domains (
    domain text PRIMARY KEY,
    secret_sealed bytea NOT NULL,
    made_at timestamptz NOT NULL,
    replaces text NOT NULL UNIQUE
);

ALTER TABLE references_
    ADD COLUMN state text NOT NULL DEFAULT 'active'
        CHECK (state IN ('proposed', 'active', 'set_aside', 'rejected', 'replaced')),
    ADD COLUMN rekeyed smallint NOT NULL DEFAULT 0,
    ADD COLUMN replaced_by text,
    ADD COLUMN proposed_record text,
    ADD COLUMN likeness double precision,
    ADD COLUMN decided_at timestamptz,
    ADD COLUMN decider_sealed bytea,
    ADD CHECK ((state = 'replaced') = (replaced_by IS NOT NULL));
CREATE INDEX references_by_domain ON references_ (key_domain, subject_id) WHERE withdrawn_at IS NULL;
CREATE INDEX references_proposed ON references_ (captured_at) WHERE state = 'proposed';
"""

_DROP = """
DELETE FROM references_ WHERE state <> 'active';
DROP INDEX references_proposed, references_by_domain;
ALTER TABLE references_ DROP COLUMN state, DROP COLUMN rekeyed, DROP COLUMN replaced_by, DROP COLUMN proposed_record,
    DROP COLUMN likeness, DROP COLUMN decided_at, DROP COLUMN decider_sealed;
DROP TABLE key_domains;
"""


def upgrade() -> None:
    """Make the columns."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the columns, and references that are not in use."""
    op.execute(_DROP)
