"""What terminals are told for the rules, and whose roster entries are to be sent anew because of it."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_UP = """
-- What a roster entry says of a person's benefits, as JSON (protocol.entitlements): kept to see when it changes.
CREATE TABLE entitlements (
    subject_id text PRIMARY KEY REFERENCES subjects ON DELETE CASCADE,
    told text NOT NULL
);

-- Entries whose content changed without a new version. Who projects locks subjects and must not lock terminals, so the terminal's next
-- delta gives them their versions.
CREATE TABLE outdated_entries (
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    subject_id text NOT NULL,
    PRIMARY KEY (terminal_id, subject_id)
);

-- Everybody is projected once more, which fills the first table.
DELETE FROM projected_with;
"""

_DOWN = """
DROP TABLE outdated_entries;
DROP TABLE entitlements;
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
