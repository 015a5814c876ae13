"""How people are found: the blind index of names, and where each belongs together with their days."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_UP = """
-- Keyed hashes of the name and its parts (fleet.store.name_index); NULL until they are made. Without fastupdate: a search is not to read
-- through the entries of an import that nobody has sorted in.
ALTER TABLE subjects ADD COLUMN name_tokens bigint[];
CREATE INDEX subjects_by_name ON subjects USING gin (name_tokens) WITH (fastupdate = off);
CREATE INDEX subjects_not_indexed ON subjects (subject_id) WHERE name_tokens IS NULL;

-- Everybody in each area to which they belong, where they live or are paid, with the days of their status: what a list of an area needs
-- to find its page without reading everybody. Written with statuses, from which it follows.
CREATE TABLE subject_areas (
    subject_id text NOT NULL REFERENCES subjects ON DELETE CASCADE,
    area text NOT NULL,
    is_home boolean NOT NULL,
    certified boolean NOT NULL,
    asked date NOT NULL,
    expiring date NOT NULL,
    overdue date NOT NULL,
    PRIMARY KEY (subject_id, area)
);
INSERT INTO subject_areas
SELECT p.subject_id, p.area, bool_or(p.is_home), t.certified_until IS NOT NULL, coalesce(t.asked, '9999-12-31'),
    coalesce(t.expiring, '9999-12-31'), coalesce(t.overdue, '9999-12-31')
FROM (SELECT subject_id, area, true AS is_home FROM subjects
    UNION ALL SELECT subject_id, region, false FROM benefits) p LEFT JOIN statuses t USING (subject_id)
GROUP BY p.subject_id, p.area, t.subject_id;
CREATE INDEX subject_areas_by_day ON subject_areas (area, overdue, subject_id) INCLUDE (certified, asked, expiring);
CREATE INDEX subject_areas_by_id ON subject_areas (area, subject_id) INCLUDE (certified, asked, expiring, overdue);
CREATE INDEX subjects_by_day ON subject_areas (overdue, subject_id) INCLUDE (certified, asked, expiring) WHERE is_home;
-- Under most packs nobody is asked long before a certification expires, and few were never certified: whoever looks for them is not to
-- go through everybody else.
CREATE INDEX subject_areas_never ON subject_areas (area, overdue, subject_id) WHERE NOT certified;
CREATE INDEX subject_areas_due ON subject_areas (area, overdue, subject_id) INCLUDE (asked, expiring)
    WHERE certified AND asked < expiring;
CREATE INDEX subjects_due ON subject_areas (overdue, subject_id) INCLUDE (asked, expiring)
    WHERE is_home AND certified AND asked < expiring;
CREATE INDEX subjects_never_certified ON subject_areas (overdue, subject_id) WHERE is_home AND NOT certified;
-- What a person said of a stop, by the id with which that of the object begins.
CREATE INDEX approvals_by_object ON approvals (split_part(object_id, '/', 1));
CREATE INDEX benefits_by_scheme ON benefits (scheme, subject_id);
CREATE INDEX benefits_by_end ON benefits (ended) WHERE ended IS NOT NULL;
"""

_DOWN = """
DROP INDEX benefits_by_end, benefits_by_scheme, approvals_by_object;
DROP TABLE subject_areas;
ALTER TABLE subjects DROP COLUMN name_tokens;
"""


def upgrade() -> None:
    """Add the index of names and the table."""
    op.execute(_UP)


def downgrade() -> None:
    """Drop them."""
    op.execute(_DOWN)
