"""One table for all work that goes on beside pages; who has whose account in hand. Runs of before are not taken over; the log has them."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_UP = """
DROP TABLE duplicate_searches;
DROP TABLE photo_run_lines;
DROP TABLE photo_runs;

-- Who asked, why and what came of it stand sealed; `asked` has codes and numbers alone.
CREATE TABLE page_runs (
    run_id text PRIMARY KEY,
    kind text NOT NULL,
    account_id text NOT NULL,
    by_sealed bytea NOT NULL,
    reason_sealed bytea,
    asked jsonb NOT NULL,
    worker text NOT NULL,
    asked_at timestamptz NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    in_all bigint NOT NULL DEFAULT 0,
    stop_asked boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'stopped', 'interrupted', 'failed')),
    ended_at timestamptz,
    result_sealed bytea,
    CHECK ((state IN ('waiting', 'running')) = (ended_at IS NULL))
);
CREATE INDEX page_runs_open ON page_runs (kind) WHERE ended_at IS NULL;
CREATE INDEX page_runs_by_kind ON page_runs (kind, asked_at, run_id);
CREATE INDEX page_runs_by_start ON page_runs (asked_at);
CREATE TABLE photo_run_lines (
    run_id text NOT NULL REFERENCES page_runs ON DELETE CASCADE,
    file integer NOT NULL,
    ends text NOT NULL,
    result text NOT NULL,
    faults jsonb NOT NULL,
    subject_id text,
    reference_id text,
    PRIMARY KEY (run_id, file)
);
CREATE INDEX photo_run_lines_by_subject ON photo_run_lines (subject_id) WHERE subject_id IS NOT NULL;

-- Who made, reset or linked whose account.
CREATE TABLE account_hands (
    account_id text NOT NULL REFERENCES accounts,
    by_account_id text NOT NULL REFERENCES accounts (account_id),
    how text NOT NULL CHECK (how IN ('added', 'reset', 'linked')),
    at timestamptz NOT NULL
);
CREATE INDEX account_hands_of ON account_hands (account_id, at);
CREATE INDEX account_hands_by ON account_hands (by_account_id, at);
ALTER TABLE calibration_approvals ADD COLUMN account_id text REFERENCES accounts;
"""
_DOWN = """
ALTER TABLE calibration_approvals DROP COLUMN account_id;
DROP TABLE account_hands;
DROP TABLE photo_run_lines;
DROP TABLE page_runs;
CREATE TABLE photo_runs (
    run_id text PRIMARY KEY,
    account_id text NOT NULL,
    by_sealed bytea NOT NULL,
    unit text,
    form text NOT NULL,
    legal_basis text NOT NULL,
    is_dry boolean NOT NULL,
    files integer NOT NULL,
    worker text NOT NULL,
    started_at timestamptz NOT NULL,
    stop_asked boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'stopped', 'interrupted', 'failed')),
    ended_at timestamptz,
    CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE INDEX photo_runs_by_start ON photo_runs (started_at, run_id);
CREATE INDEX photo_runs_by_account ON photo_runs (account_id, started_at, run_id);
CREATE TABLE photo_run_lines (
    run_id text NOT NULL REFERENCES photo_runs ON DELETE CASCADE,
    file integer NOT NULL,
    ends text NOT NULL,
    result text NOT NULL,
    faults jsonb NOT NULL,
    subject_id text,
    reference_id text,
    PRIMARY KEY (run_id, file)
);
CREATE INDEX photo_run_lines_by_subject ON photo_run_lines (subject_id) WHERE subject_id IS NOT NULL;
CREATE TABLE duplicate_searches (
    search_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('face', 'number')),
    both_sexes boolean NOT NULL,
    all_ages boolean NOT NULL,
    by_sealed bytea NOT NULL,
    reason_sealed bytea NOT NULL,
    worker text NOT NULL,
    started_at timestamptz NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    in_all bigint NOT NULL DEFAULT 0,
    stop_asked boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'stopped', 'interrupted', 'failed')),
    ended_at timestamptz,
    result jsonb,
    CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX duplicate_searches_running ON duplicate_searches (kind) WHERE state = 'running';
CREATE INDEX duplicate_searches_by_start ON duplicate_searches (started_at, search_id);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Make those of before."""
    op.execute(_DOWN)
