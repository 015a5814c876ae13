"""Partners: other systems that certify, ask and listen, with their keys, what they sent, and what is to be told them."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE partners (
    partner_id text PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL,
    -- Codes of areas, each with all below it; all of them where this is null.
    areas text[],
    scopes text[] NOT NULL,
    per_minute integer NOT NULL CHECK (per_minute > 0),
    valid_until date NOT NULL,
    added_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- A key is found by its id and compared by its digest; the key itself is nowhere.
CREATE TABLE partner_keys (
    key_id text PRIMARY KEY,
    partner_id text NOT NULL REFERENCES partners,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    made_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX partner_keys_by_partner ON partner_keys (partner_id);

-- What another system said, counted or not; `digest` tells the same word said twice from another one under the same id.
CREATE TABLE partner_certifications (
    certification_id text PRIMARY KEY,
    partner_id text NOT NULL REFERENCES partners,
    source_id text NOT NULL,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    modality text NOT NULL,
    channel text NOT NULL,
    certified_at timestamptz NOT NULL,
    liveness boolean NOT NULL,
    comparison text NOT NULL,
    received_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    UNIQUE (partner_id, source_id)
);
CREATE INDEX partner_certifications_by_subject ON partner_certifications (subject_id);

-- The answer to a request that named an Idempotency-Key, for as long as it may come again.
CREATE TABLE partner_requests (
    partner_id text NOT NULL REFERENCES partners,
    idempotency_key text NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    status integer NOT NULL,
    answer text NOT NULL,
    answered_at timestamptz NOT NULL,
    PRIMARY KEY (partner_id, idempotency_key)
);
CREATE INDEX partner_requests_by_age ON partner_requests (partner_id, answered_at);

CREATE TABLE webhooks (
    webhook_id text PRIMARY KEY,
    partner_id text NOT NULL REFERENCES partners,
    url text NOT NULL,
    events text[] NOT NULL,
    secret_sealed bytea NOT NULL,
    added_at timestamptz NOT NULL,
    ended_at timestamptz,
    claimed_until timestamptz
);
CREATE INDEX webhooks_by_partner ON webhooks (partner_id);

-- Written in the transaction that makes the news, delivered by a worker in the order of the numbers.
CREATE TABLE webhook_messages (
    message_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL UNIQUE,
    webhook_id text NOT NULL REFERENCES webhooks,
    subject_id text REFERENCES subjects ON DELETE CASCADE,
    event text NOT NULL,
    payload text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    first_try_at timestamptz,
    next_try_at timestamptz,
    last_result text,
    delivered_at timestamptz,
    dead_at timestamptz
);
CREATE INDEX webhook_messages_open ON webhook_messages (webhook_id, message_no)
    WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE INDEX webhook_messages_done ON webhook_messages (coalesce(delivered_at, dead_at));
CREATE INDEX webhook_messages_by_subject ON webhook_messages (subject_id);
"""

_DOWN = """
DROP TABLE webhook_messages, webhooks, partner_requests, partner_certifications, partner_keys, partners;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(_DOWN)
