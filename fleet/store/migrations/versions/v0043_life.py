"""Terminals that are suspended, replaced and decommissioned; what they send meanwhile; the proof of what they erased."""

from __future__ import annotations

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

_UP = """
ALTER TABLE terminals
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN replaced_by text REFERENCES terminals,
    ADD COLUMN decommissioned_at timestamptz,
    ADD CHECK (replaced_by IS NULL OR retired_at IS NOT NULL),
    ADD CHECK (decommissioned_at IS NULL OR retired_at IS NOT NULL);

-- Whose place the new terminal takes.
ALTER TABLE provisioning_claims ADD COLUMN replaces text REFERENCES terminals ON DELETE CASCADE;

-- Put on hold with a suspension: it can hold again, as one that was revoked cannot (RFC 5280, 5.3.1).
ALTER TABLE certificates
    ADD COLUMN is_on_hold boolean NOT NULL DEFAULT false,
    ADD CHECK (revoked_at IS NOT NULL OR NOT is_on_hold);

CREATE TABLE held_messages (
    held_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('record', 'attachment')),
    sha256 text NOT NULL,
    envelope bytea NOT NULL,
    received_at timestamptz NOT NULL,
    by_stick boolean NOT NULL,
    -- A person has decided that it is to be taken in.
    released_at timestamptz,
    UNIQUE (terminal_id, sha256)
);
CREATE INDEX held_messages_released ON held_messages (held_id) WHERE released_at IS NOT NULL;

CREATE TABLE decommission_proofs (
    terminal_id text PRIMARY KEY REFERENCES terminals ON DELETE CASCADE,
    proof bytea NOT NULL,
    received_at timestamptz NOT NULL
);
"""

_DOWN = """
DROP TABLE decommission_proofs;
DROP TABLE held_messages;
ALTER TABLE certificates DROP COLUMN is_on_hold;
ALTER TABLE provisioning_claims DROP COLUMN replaces;
ALTER TABLE terminals DROP COLUMN decommissioned_at, DROP COLUMN replaced_by, DROP COLUMN suspended_at;
"""


def upgrade() -> None:
    """Add the columns and tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
