"""Claims by which new terminals come, and the certificates they were given."""

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE provisioning_claims (
    claim_id text PRIMARY KEY,
    terminal_id text,
    area text NOT NULL,
    has_people boolean NOT NULL,
    needs_approval boolean NOT NULL,
    by_sealed bytea NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    -- Who came with it first: from then on it is theirs.
    asked_at timestamptz,
    asked_as text,
    asked_keys text,
    board_serial text,
    waits_for text CHECK (waits_for IN ('approval', 'same_board')),
    approved_at timestamptz,
    used_at timestamptz,
    CHECK ((asked_at IS NULL) = (asked_as IS NULL AND asked_keys IS NULL)),
    CHECK (used_at IS NULL OR asked_at IS NOT NULL)
);
CREATE INDEX provisioning_claims_by_board ON provisioning_claims (board_serial) WHERE board_serial IS NOT NULL;
CREATE INDEX provisioning_claims_by_time ON provisioning_claims (made_at DESC);

CREATE TABLE certificates (
    serial text PRIMARY KEY,
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    key_sha256 text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX certificates_of ON certificates (terminal_id, issued_at DESC);
CREATE INDEX certificates_revoked ON certificates (expires_at) WHERE revoked_at IS NOT NULL;
"""

_DOWN = """
DROP TABLE certificates;
DROP TABLE provisioning_claims;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
