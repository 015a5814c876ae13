"""Feeds of life events: who delivers what, which deliveries came, what each row says, and who resolved what contradicts itself."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE feeds (
    name text PRIMARY KEY,
    definition jsonb NOT NULL,
    first_period date NOT NULL,
    last_period date CHECK (last_period >= first_period),
    added_at timestamptz NOT NULL
);

-- No rows is a zero report. What corrects another delivery may come before it.
CREATE TABLE feed_deliveries (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed text NOT NULL REFERENCES feeds,
    area text NOT NULL,
    period date NOT NULL CHECK (extract(day FROM period) = 1),
    number integer NOT NULL CHECK (number >= 0),
    corrects integer CHECK (corrects >= 0 AND corrects <> number),
    sha256 text NOT NULL,
    rows integer NOT NULL,
    received_at timestamptz NOT NULL,
    UNIQUE (feed, area, period, number),
    UNIQUE (feed, area, period, corrects)
);

-- What a row says, once, however many deliveries say it. Persons stand as claim tokens, names and the body's own ids as keyed digests.
CREATE TABLE feed_rows (
    row_key text PRIMARY KEY,
    feed text NOT NULL REFERENCES feeds,
    row_id_hash bytea,
    claim_token text NOT NULL,
    subject_id text REFERENCES subjects ON DELETE CASCADE,
    name_hash bytea,
    name_state text NOT NULL CHECK (name_state IN ('none', 'unchecked', 'same', 'differs', 'accepted')),
    kind text NOT NULL,
    since date NOT NULL,
    until date,
    reported_on date,
    detail jsonb NOT NULL,
    makes_event boolean NOT NULL,
    stands boolean NOT NULL DEFAULT false,
    is_effective boolean NOT NULL GENERATED ALWAYS AS (
        stands AND makes_event AND subject_id IS NOT NULL AND name_state NOT IN ('unchecked', 'differs')) STORED,
    overruled_at timestamptz,
    event_id text,
    times integer NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL
);
CREATE INDEX feed_rows_unmet ON feed_rows (claim_token) WHERE subject_id IS NULL;
CREATE INDEX feed_rows_differing ON feed_rows (feed) WHERE name_state = 'differs';
CREATE INDEX feed_rows_by_subject ON feed_rows (subject_id);
CREATE INDEX feed_rows_by_row_id ON feed_rows (feed, row_id_hash) WHERE row_id_hash IS NOT NULL;
CREATE INDEX feed_rows_by_event ON feed_rows (event_id) WHERE event_id IS NOT NULL;

CREATE TABLE feed_delivery_rows (
    row_key text NOT NULL REFERENCES feed_rows ON DELETE CASCADE,
    delivery_id bigint NOT NULL REFERENCES feed_deliveries,
    PRIMARY KEY (row_key, delivery_id)
);
CREATE INDEX feed_delivery_rows_by_delivery ON feed_delivery_rows (delivery_id);

-- Found anew from what stands; only what a person said about one is stored. Who and why stand with the approvals.
CREATE TABLE contradiction_resolutions (
    contradiction_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    kept text NOT NULL CHECK (kept IN ('first', 'second', 'both')),
    resolved_at timestamptz NOT NULL
);
CREATE INDEX contradiction_resolutions_by_subject ON contradiction_resolutions (subject_id);
"""

_DOWN = "DROP TABLE contradiction_resolutions, feed_delivery_rows, feed_rows, feed_deliveries, feeds"


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(_DOWN)
