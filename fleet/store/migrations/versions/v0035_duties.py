"""What keeps two duties in two hands: changes of accounts that wait for a second administrator; whose word a word is."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE account_changes (
    change_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts,
    action text NOT NULL CHECK (action IN ('add', 'give', 'reset', 'link')),
    role text,
    area text,
    asked_by text NOT NULL REFERENCES accounts (account_id),
    asked_at timestamptz NOT NULL,
    decided_at timestamptz,
    is_approved boolean NOT NULL DEFAULT false,
    link_used_at timestamptz,
    CHECK ((role IS NOT NULL) = (action IN ('add', 'give'))),
    CHECK (decided_at IS NOT NULL OR NOT is_approved)
);
-- One of a kind waits at a time.
CREATE UNIQUE INDEX account_changes_waiting ON account_changes (account_id, coalesce(role, action), coalesce(area, ''))
    WHERE decided_at IS NULL;
CREATE INDEX account_changes_of ON account_changes (account_id, asked_at);
-- Whose account an operator of terminals is.
ALTER TABLE operators ADD COLUMN account_id text REFERENCES accounts;
CREATE INDEX operators_by_account ON operators (account_id) WHERE account_id IS NOT NULL;
-- Whose word it is, and with which roles; null for what was given on the command line, and for what is older.
ALTER TABLE approvals ADD COLUMN account_id text REFERENCES accounts, ADD COLUMN held text[];
CREATE INDEX approvals_by_account ON approvals (account_id) WHERE account_id IS NOT NULL;
ALTER TABLE case_events ADD COLUMN account_id text REFERENCES accounts, ADD COLUMN held text[];
CREATE INDEX case_verdicts_by_account ON case_events (account_id, case_id) WHERE step = 'verdict' AND account_id IS NOT NULL;
"""

_DOWN = """
ALTER TABLE operators DROP COLUMN account_id;
ALTER TABLE case_events DROP COLUMN account_id, DROP COLUMN held;
ALTER TABLE approvals DROP COLUMN account_id, DROP COLUMN held;
DROP TABLE account_changes;
"""


def upgrade() -> None:
    """Make the table and the columns."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
