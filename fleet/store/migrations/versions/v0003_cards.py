"""Reference cards: the generations of card keys, and which cards were handed out."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = """
-- The secret is encrypted with the fleet's own key, and erased when the generation is given up.
CREATE TABLE card_keys (
    key_id text PRIMARY KEY,
    secret_sealed bytea NOT NULL,
    made_at timestamptz NOT NULL,
    retired_at timestamptz
);

-- No features: the card has them. A card outlives its subject here, so that terminals still learn that it counts no more.
CREATE TABLE cards (
    card_id text PRIMARY KEY,
    subject_id text REFERENCES subjects ON DELETE SET NULL,
    key_id text NOT NULL REFERENCES card_keys,
    model_sha256 text NOT NULL,
    runtime text NOT NULL,
    quality double precision NOT NULL,
    capture text NOT NULL,
    legal_basis text NOT NULL,
    captured_at timestamptz NOT NULL,
    valid_until date NOT NULL,
    officer_sealed bytea,
    issued_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX cards_by_subject ON cards (subject_id);

ALTER TABLE terminals ADD COLUMN card_keys_sent_at timestamptz;
"""

_DROP = """
ALTER TABLE terminals DROP COLUMN card_keys_sent_at;
DROP TABLE cards, card_keys;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_TABLES)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DROP)
