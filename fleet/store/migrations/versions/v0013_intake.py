"""Intake: who manages a benefit, lists as of a key date, lists that units hand in, and photographs taken in from files."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_UP = """
ALTER TABLE benefits
    ADD COLUMN managed_by text CHECK (managed_by IN ('unit', 'socialised')),
    ADD COLUMN ended date;
CREATE INDEX benefits_by_unit ON benefits (unit) WHERE unit IS NOT NULL;

-- Who was on a list of people on a day (R2-9, R2-10). A list is never changed: another one with another name stands beside it.
CREATE TABLE lists (
    list_id text PRIMARY KEY,
    name text NOT NULL,
    as_of date NOT NULL,
    sha256 text NOT NULL,
    rows integer NOT NULL CHECK (rows > 0),
    taken_at timestamptz NOT NULL,
    taken_by_sealed bytea NOT NULL,
    UNIQUE (name, as_of)
);
CREATE TABLE list_members (
    list_id text NOT NULL REFERENCES lists ON DELETE CASCADE,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    scheme text NOT NULL,
    region text NOT NULL,
    category text NOT NULL,
    started date NOT NULL,
    PRIMARY KEY (list_id, subject_id, scheme)
);
CREATE INDEX list_members_by_subject ON list_members (subject_id, scheme);
-- About which schemes and regions the lists of a day say who is paid, so that who is missing can be told.
CREATE TABLE list_coverage (
    as_of date NOT NULL,
    scheme text NOT NULL,
    region text NOT NULL,
    PRIMARY KEY (scheme, region, as_of)
);

-- Persons whom a unit or a village has verified, with what it handed in beside the list (R4-20, R4-21, R6-6).
CREATE TABLE unit_lists (
    list_id text PRIMARY KEY,
    body text NOT NULL CHECK (body IN ('unit', 'village')),
    unit text NOT NULL,
    evidence text NOT NULL CHECK (evidence IN ('list', 'certificate')),
    is_sealed boolean NOT NULL CHECK (is_sealed),
    matches_originals boolean NOT NULL,
    register_copies integer NOT NULL CHECK (register_copies >= 0),
    verified_on date NOT NULL,
    handler_sealed bytea NOT NULL,
    handler_token text NOT NULL,
    sha256 text NOT NULL UNIQUE,
    taken_at timestamptz NOT NULL,
    taken_by_sealed bytea NOT NULL,
    decided_at timestamptz
);
CREATE TABLE unit_list_members (
    list_id text NOT NULL REFERENCES unit_lists ON DELETE CASCADE,
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    line integer NOT NULL,
    result text NOT NULL CHECK (result IN ('verified', 'not_seen', 'dead', 'missing', 'not_passed', 'empty')),
    PRIMARY KEY (list_id, subject_id)
);
CREATE INDEX unit_list_members_by_subject ON unit_list_members (subject_id);

-- Photographs that came as files: each import with the form that came along (R1-16), and each picture that enrolled, by a keyed digest.
CREATE TABLE photo_imports (
    import_id text PRIMARY KEY,
    unit text,
    form text NOT NULL CHECK (form IN ('none', 'unsealed', 'sealed')),
    taken_at timestamptz NOT NULL,
    taken_by_sealed bytea NOT NULL,
    accepted integer NOT NULL,
    refused integer NOT NULL,
    repeated integer NOT NULL
);
CREATE TABLE photo_files (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    reference_id text NOT NULL,
    import_id text NOT NULL,
    enrolled_at timestamptz NOT NULL
);
CREATE INDEX photo_files_by_subject ON photo_files (subject_id);
"""

_DOWN = """
DROP TABLE photo_files, photo_imports, unit_list_members, unit_lists, list_members, lists, list_coverage;
ALTER TABLE benefits DROP COLUMN managed_by, DROP COLUMN ended;
DROP INDEX benefits_by_unit;
"""


def upgrade() -> None:
    """Make tables and columns."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(_DOWN)
