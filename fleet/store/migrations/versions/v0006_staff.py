"""Operators, places, the areas terminals have had, and what of it was sent to each terminal."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = """
-- Name and PIN hash are encrypted with the fleet's own key. Rows stay when somebody is retired: records name them.
CREATE TABLE operators (
    operator_id text PRIMARY KEY,
    name_sealed bytea NOT NULL,
    roles text[] NOT NULL CHECK (cardinality(roles) > 0),
    area text NOT NULL,
    pin_sealed bytea,
    code_sha256 text,
    valid_until date NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    CHECK (retired_at IS NULL OR (pin_sealed IS NULL AND code_sha256 IS NULL))
);

CREATE TABLE places (
    code text PRIMARY KEY,
    name text NOT NULL,
    area text NOT NULL
);

-- What was right where a terminal stood then stays right when it is moved.
CREATE TABLE terminal_areas (
    terminal_id text NOT NULL REFERENCES terminals ON DELETE CASCADE,
    since timestamptz NOT NULL,
    area text NOT NULL,
    PRIMARY KEY (terminal_id, since)
);
INSERT INTO terminal_areas SELECT terminal_id, registered_at, area FROM terminals;

-- name_list: whether its rosters say names; without a word on it, where it serves an area.
ALTER TABLE terminals
    ADD COLUMN staff_digest text,
    ADD COLUMN staff_sent_at timestamptz,
    ADD COLUMN name_list boolean;
"""

_DROP = """
ALTER TABLE terminals DROP COLUMN staff_digest, DROP COLUMN staff_sent_at, DROP COLUMN name_list;
DROP TABLE terminal_areas, places, operators;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DROP)
