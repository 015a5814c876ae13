"""Work that pages begin and that goes on beside them: photographs that were sent, and searches for duplicates. No picture and no name."""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_UP = """
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

-- Who began a search and why stands sealed; what came of it are counts.
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
-- One of a kind at a time: each compares everybody.
CREATE UNIQUE INDEX duplicate_searches_running ON duplicate_searches (kind) WHERE state = 'running';
CREATE INDEX duplicate_searches_by_start ON duplicate_searches (started_at, search_id);
"""
_DOWN = """
DROP TABLE duplicate_searches;
DROP TABLE photo_run_lines;
DROP TABLE photo_runs;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
