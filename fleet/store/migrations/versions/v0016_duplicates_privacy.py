"""Duplicates for people to look at; consents, erasures and the filing duty of face information."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_UP = """
-- A suspicion and what two persons made of it. `what` tells apart what one pair can be suspected of more than once.
CREATE TABLE duplicate_hits (
    hit_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('same_face', 'same_person', 'benefits', 'elsewhere')),
    first_subject text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    second_subject text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    what text NOT NULL DEFAULT '',
    score double precision,
    threshold double precision,
    model_sha256 text,
    key_domain text,
    found_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'same_person', 'different', 'unclear')),
    first_word text CHECK (first_word IN ('same_person', 'different', 'unclear')),
    decided_at timestamptz,
    UNIQUE (kind, first_subject, second_subject, what),
    CHECK (first_subject <= second_subject),
    CHECK ((state = 'open') = (decided_at IS NULL))
);
CREATE INDEX duplicate_hits_open ON duplicate_hits (found_at) WHERE state = 'open';
CREATE INDEX duplicate_hits_by_second ON duplicate_hits (second_subject);

-- Which references were compared with all others, and how: a search of another kind, or with a lower threshold, begins anew.
CREATE TABLE duplicate_searched (
    subject_id text NOT NULL,
    reference_id text NOT NULL,
    scope text NOT NULL,
    threshold double precision NOT NULL,
    searched_at timestamptz NOT NULL,
    PRIMARY KEY (subject_id, reference_id),
    FOREIGN KEY (subject_id, reference_id) REFERENCES references_ ON DELETE CASCADE
);

-- What somebody agreed to, when, how, and before whom. A withdrawal ends it and says what was offered in its place.
CREATE TABLE consents (
    consent_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    text_version text NOT NULL,
    text_sha256 text NOT NULL,
    language text NOT NULL,
    way text NOT NULL,
    given_at timestamptz NOT NULL,
    witness_sealed bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    CHECK (withdrawn_at IS NULL OR withdrawn_at >= given_at)
);
CREATE INDEX consents_by_subject ON consents (subject_id, given_at);

CREATE TABLE withdrawals (
    withdrawal_id text PRIMARY KEY,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    withdrawn_at timestamptz NOT NULL,
    other_way text NOT NULL,
    references_erased integer NOT NULL,
    cards_revoked integer NOT NULL,
    officer_sealed bytea NOT NULL
);
CREATE INDEX withdrawals_by_subject ON withdrawals (subject_id, withdrawn_at);

-- The signed proofs: nobody can be found by them who does not know the subject's random id.
CREATE TABLE erasures (
    erasure_id text PRIMARY KEY,
    subject_sha256 text NOT NULL,
    erased_at timestamptz NOT NULL,
    proof bytea NOT NULL
);
CREATE INDEX erasures_by_subject ON erasures (subject_sha256);

-- When the number of persons with a stored face reached a share of the number from which on it must be filed.
CREATE TABLE filing_marks (
    percent smallint PRIMARY KEY CHECK (percent BETWEEN 1 AND 100),
    reached_on date NOT NULL,
    persons bigint NOT NULL,
    filed_on date
);
"""

_DOWN = """
DROP TABLE filing_marks, erasures, withdrawals, consents, duplicate_searched, duplicate_hits;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    op.execute(_DOWN)
