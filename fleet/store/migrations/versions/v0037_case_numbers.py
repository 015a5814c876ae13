"""Numbers of cases that a person can say, such as 2026-000123, given in the order in which cases are opened."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE case_years (
    year integer PRIMARY KEY,
    last integer NOT NULL CHECK (last >= 1)
);
ALTER TABLE cases ADD COLUMN year integer, ADD COLUMN serial integer,
    ADD COLUMN number text GENERATED ALWAYS AS
        (CAST(year AS text) || '-' || lpad(CAST(serial AS text), greatest(6, length(CAST(serial AS text))), '0')) STORED;
UPDATE cases SET year = n.year, serial = n.serial FROM (
    SELECT case_id, CAST(extract(year FROM opened_at) AS integer) AS year,
        row_number() OVER (PARTITION BY extract(year FROM opened_at) ORDER BY opened_at, case_id) AS serial FROM cases
) n WHERE n.case_id = cases.case_id;
INSERT INTO case_years SELECT year, max(serial) FROM cases GROUP BY year;
ALTER TABLE cases ALTER COLUMN year SET NOT NULL;
CREATE UNIQUE INDEX cases_by_number ON cases (number);

-- At the end of the transaction: no number is left out where one is undone, and whoever waits for the year's row waits for nothing else.
CREATE FUNCTION number_case() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE given integer; BEGIN
    INSERT INTO case_years AS k (year, last) VALUES (NEW.year, 1)
        ON CONFLICT (year) DO UPDATE SET last = k.last + 1 RETURNING last INTO given;
    UPDATE cases SET serial = given WHERE case_id = NEW.case_id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER cases_numbered AFTER INSERT ON cases DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.serial IS NULL) EXECUTE FUNCTION number_case();
"""

_DOWN = """
DROP TRIGGER cases_numbered ON cases;
DROP FUNCTION number_case();
ALTER TABLE cases DROP COLUMN number, DROP COLUMN serial, DROP COLUMN year;
DROP TABLE case_years;
"""


def upgrade() -> None:
    """Number the cases there are, by the day of UTC, and whatever is opened from now on."""
    op.execute(_UP)


def downgrade() -> None:
    """Forget the numbers."""
    op.execute(_DOWN)
