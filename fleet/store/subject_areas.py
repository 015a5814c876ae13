"""To which areas people belong, with the days of their status, as SQL; it follows from subjects, benefits and statuses."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, text

FEW = 20_000
"""So many people are gathered and looked through in some 0.05 s; of more areas than have so many, a list follows its own order."""


def of_people(subject: str, areas: str = "areas") -> str:
    """Return, as SQL, whether somebody belongs to some areas: by where they live or by who pays them; to all where none are named.

    Args:
        subject: column with the subject's id.
        areas: name of the parameter with the codes, or NULL.
    """
    return f"(CAST(:{areas} AS text[]) IS NULL OR {_is_of(subject, areas)})"


def of_cases(subject: str, terminal_area: str, areas: str = "areas") -> str:
    """Return the same of a case: it is where its person belongs; of somebody unknown, where the terminal stands.

    Args:
        subject: column with the subject's id, or NULL.
        terminal_area: column with the area of the terminal that it came from, or NULL.
        areas: name of the parameter with the codes, or NULL.
    """
    unknown = f"{subject} IS NULL AND {terminal_area} = ANY(:{areas})"
    return f"(CAST(:{areas} AS text[]) IS NULL OR {_is_of(subject, areas)} OR {unknown})"


def _is_of(subject: str, areas: str) -> str:
    # Not the bare column: the index would be asked for each of many areas, where one look into a hash table answers.
    return (
        f"EXISTS (SELECT 1 FROM subject_areas own WHERE own.subject_id = {subject} AND own.area || '' = ANY(:{areas}))"  # noqa: S608 - our own names
    )


def theirs(connection: Connection, codes: Sequence[str] | None, subject: str, *, name: str = "areas") -> str:
    """Return what `of_people` does, so that nobody is asked for their areas in vain.

    Where few people belong to these areas, what is listed is looked up by them; where everybody lives there, it is everybody's.

    Args:
        connection: where to count them.
        codes: of the areas; None for all.
        subject: column with the subject's id, or NULL.
        name: of the parameter with the codes.
    """
    if codes is None:
        return "true"
    if are_few(connection, codes):
        return f"{subject} = ANY(ARRAY(SELECT few.subject_id FROM subject_areas few WHERE few.area = ANY(:{name})))"  # noqa: S608 - our own names
    if unless_everybody(connection, codes) is None:
        return f"{subject} IS NOT NULL"
    return _is_of(subject, name)


def among(subject: str, areas: str = "areas") -> str:
    """Return what `of_people` does for some areas, where all that there is will be gone through: it is looked up by their people.

    Only as a condition that must hold: beside an OR the people would be read anew for each row.

    Args:
        subject: column with the subject's id.
        areas: name of the parameter with the codes.
    """
    return f"{subject} IN (SELECT own.subject_id FROM subject_areas own WHERE own.area = ANY(:{areas}))"  # noqa: S608 - our own names


def unless_everybody(connection: Connection, codes: Sequence[str] | None) -> Sequence[str] | None:
    """Return these areas, or None where everybody lives in them: what is about people is then asked of all, and of nobody where they live.

    Not for what is about nobody, or lies somewhere for another reason than its people: a case of an unknown person, a terminal.
    """
    if codes is None:
        return None
    row = connection.execute(text(_HOMES), {"codes": list(codes)}).one()
    return None if row.is_all else codes


# From one area in which somebody lives to the next, by the index of areas, up to the first that is not one of these.
_HOMES = """
WITH RECURSIVE homes AS (
    (SELECT area FROM subjects ORDER BY area LIMIT 1)
    UNION ALL
    SELECT (SELECT s.area FROM subjects s WHERE s.area > h.area ORDER BY s.area LIMIT 1) FROM homes h WHERE h.area = ANY(:codes)
) SELECT coalesce(bool_and(area = ANY(:codes)), true) AS is_all FROM homes WHERE area IS NOT NULL
"""


def place(connection: Connection, subject_ids: Sequence[str]) -> None:
    """Write anew to which areas these subjects belong. Call it when a status was written, with the subjects locked."""
    values = {"ids": list(subject_ids)}
    connection.execute(text(_LEFT), values)
    connection.execute(text(_PLACE), values)


LIVING_THERE = "= ANY(ARRAY(SELECT h.subject_id FROM subjects h WHERE h.area = ANY(:areas)))"
"""SQL: whether an id is that of somebody who lives in some areas, where few do: what is listed is looked up by them."""


def are_few(connection: Connection, codes: Collection[str]) -> bool:
    """Return whether no more people than `FEW` belong to some areas."""
    found = connection.execute(
        text("SELECT count(*) FROM (SELECT 1 FROM subject_areas WHERE area = ANY(:codes) LIMIT :most) AS found"),
        {"codes": sorted(codes), "most": FEW + 1},
    )
    return int(found.scalar_one()) <= FEW


def outside_of(connection: Connection, subject_ids: Sequence[str], codes: Collection[str]) -> frozenset[str]:
    """Return those of these subjects who belong to none of these areas."""
    rows = connection.execute(
        text(
            "SELECT id FROM unnest(CAST(:ids AS text[])) AS named (id) WHERE NOT EXISTS"
            " (SELECT 1 FROM subject_areas a WHERE a.subject_id = named.id AND a.area || '' = ANY(:codes))"
        ),
        {"ids": list(subject_ids), "codes": sorted(codes)},
    )
    return frozenset(rows.scalars())


def also_outside_of(connection: Connection, subject_ids: Sequence[str], codes: Collection[str]) -> frozenset[str]:
    """Return those of these subjects who belong to an area that is not one of these, whether or not to one that is."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT subject_id FROM subject_areas WHERE subject_id = ANY(:ids) AND area || '' <> ALL(:codes)"
        ),
        {"ids": list(subject_ids), "codes": sorted(codes)},
    )
    return frozenset(rows.scalars())


_LEFT = """
DELETE FROM subject_areas a WHERE a.subject_id = ANY(:ids)
    AND NOT EXISTS (SELECT 1 FROM subjects s WHERE s.subject_id = a.subject_id AND s.area = a.area)
    AND NOT EXISTS (SELECT 1 FROM benefits b WHERE b.subject_id = a.subject_id AND b.region = a.area)
"""
_PLACE = """
INSERT INTO subject_areas AS a
SELECT p.subject_id, p.area, bool_or(p.is_home), t.certified_until IS NOT NULL, coalesce(t.asked, '9999-12-31'),
    coalesce(t.expiring, '9999-12-31'), coalesce(t.overdue, '9999-12-31')
FROM (SELECT subject_id, area, true AS is_home FROM subjects WHERE subject_id = ANY(:ids)
    UNION ALL SELECT subject_id, region, false FROM benefits WHERE subject_id = ANY(:ids)) p
LEFT JOIN statuses t USING (subject_id)
GROUP BY p.subject_id, p.area, t.subject_id
ON CONFLICT (subject_id, area) DO UPDATE SET is_home = EXCLUDED.is_home, certified = EXCLUDED.certified, asked = EXCLUDED.asked,
    expiring = EXCLUDED.expiring, overdue = EXCLUDED.overdue
WHERE (a.is_home, a.certified, a.asked, a.expiring, a.overdue)
    IS DISTINCT FROM (EXCLUDED.is_home, EXCLUDED.certified, EXCLUDED.asked, EXCLUDED.expiring, EXCLUDED.overdue)
"""
