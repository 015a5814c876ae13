"""What rows of feeds bring about: whom they are about, life events, silent acts; as SQL on many subjects at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Connection, text

from fleet.store.feeds import SOURCE, parts


@dataclass(frozen=True, slots=True)
class Named:
    """A subject with a name; it is encrypted."""

    subject_id: str
    name_sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NameCheck:
    """A row whose name is to be compared with the subject's."""

    row_key: str
    subject_id: str
    claim_token: str = field(repr=False)
    name_hash: bytes = field(repr=False)
    name_sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SilentAct:
    """A silent act of a feed, withdrawn or not."""

    act_id: str
    subject_id: str
    source: str
    source_id: str
    acted_at: datetime
    is_standing: bool


@dataclass(frozen=True, slots=True)
class HeldBenefit:
    """One benefit, as far as rules ask."""

    subject_id: str
    scheme: str
    category: str
    region: str
    started: date
    birth_date: date | None


def meet_subjects(connection: Connection) -> dict[str, list[str]]:
    """Tie rows about people who were not known to those who have become known, and to nobody outside of the area that reports.

    Returns:
        The keys of these rows, and of those whose name was another when it was compared last, by feed.
    """
    rows = connection.execute(
        text(
            "WITH met AS (UPDATE feed_rows f SET subject_id = s.subject_id FROM subjects s"
            " WHERE f.subject_id IS NULL AND s.claim_token = f.claim_token AND EXISTS (SELECT 1 FROM feed_delivery_rows"
            " JOIN feed_deliveries d USING (delivery_id) WHERE row_key = f.row_key AND (d.area = '' OR EXISTS ("
            "  WITH RECURSIVE down AS (SELECT d.area AS code UNION"
            "   SELECT a.code FROM areas a JOIN down ON a.parent = down.code)"
            "  SELECT 1 FROM subject_areas p JOIN down ON down.code = p.area || '' WHERE p.subject_id = s.subject_id)))"
            " RETURNING f.feed, f.row_key)"
            " SELECT feed, row_key FROM met UNION"
            " SELECT feed, row_key FROM feed_rows WHERE name_state = 'differs' AND subject_id IS NOT NULL"
        )
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.feed, []).append(row.row_key)
    return found


def named_by_tokens(connection: Connection, tokens: Sequence[str]) -> dict[str, Named]:
    """Return the subjects with these claim tokens, by token."""
    found: dict[str, Named] = {}
    for part in parts(tokens):
        rows = connection.execute(
            text("SELECT claim_token, subject_id, name_sealed FROM subjects WHERE claim_token = ANY(:tokens)"),
            {"tokens": list(part)},
        )
        found |= {row.claim_token: Named(row.subject_id, bytes(row.name_sealed)) for row in rows}
    return found


def names_to_check(connection: Connection, row_keys: Sequence[str]) -> list[NameCheck]:
    """Return which of these rows have a name that was not compared with the subject's yet, or was another then."""
    found: list[NameCheck] = []
    for part in parts(row_keys):
        rows = connection.execute(
            text(
                "SELECT f.row_key, f.subject_id, f.claim_token, f.name_hash, s.name_sealed FROM feed_rows f"
                " JOIN subjects s USING (subject_id) WHERE f.row_key = ANY(:keys)"
                " AND f.name_state IN ('unchecked', 'differs')"
            ),
            {"keys": list(part)},
        )
        found += [
            NameCheck(r.row_key, r.subject_id, r.claim_token, bytes(r.name_hash), bytes(r.name_sealed)) for r in rows
        ]
    return found


def set_name_states(connection: Connection, states: dict[str, bool]) -> None:
    """Note of rows whether the name is the subject's."""
    for is_same in (True, False):
        for part in parts([key for key, same in states.items() if same is is_same]):
            connection.execute(
                text("UPDATE feed_rows SET name_state = :state WHERE row_key = ANY(:keys) AND name_state <> :state"),
                {"keys": list(part), "state": "same" if is_same else "differs"},
            )


def subjects_of_rows(connection: Connection, row_keys: Sequence[str]) -> set[str]:
    """Return whom these rows are about, as far as they are known."""
    found: set[str] = set()
    for part in parts(row_keys):
        rows = connection.execute(
            text("SELECT subject_id FROM feed_rows WHERE row_key = ANY(:keys) AND subject_id IS NOT NULL"),
            {"keys": list(part)},
        )
        found |= set(rows.scalars())
    return found


def sync_events(
    connection: Connection, feed: str, row_keys: Sequence[str], *, confirms: bool, now: datetime
) -> set[str]:
    """Give every one of these rows that stands its life event, and withdraw those of the others; return whose changed.

    A row that stands again after a withdrawal makes a new event: what was withdrawn stays so.
    """
    changed: set[str] = set()
    for part in parts(row_keys):
        values = {"keys": list(part), "source": SOURCE + feed, "confirms": confirms, "now": now}
        changed |= set(connection.execute(text(_WITHDRAW_EVENTS), values).scalars())
        changed |= set(connection.execute(text(_MAKE_EVENTS), values).scalars())
    return changed


_WITHDRAW_EVENTS = """
WITH gone AS (
    UPDATE feed_rows r SET event_id = NULL FROM feed_rows old WHERE r.row_key = ANY(:keys) AND old.row_key = r.row_key
    AND r.event_id IS NOT NULL AND NOT r.is_effective RETURNING old.event_id
) UPDATE life_events e SET withdrawn_at = :now FROM gone WHERE e.event_id = gone.event_id AND e.withdrawn_at IS NULL
RETURNING e.subject_id
"""
_MAKE_EVENTS = """
WITH fresh AS (
    UPDATE feed_rows SET times = times + 1, event_id = replace(gen_random_uuid()::text, '-', '')
    WHERE row_key = ANY(:keys) AND event_id IS NULL AND is_effective RETURNING *
) INSERT INTO life_events (event_id, subject_id, kind, since, until, source, source_id, confirmed, reported_on, received_at, detail)
SELECT event_id, subject_id, kind, since, until, :source, row_key || ':' || times, :confirms, reported_on, :now, detail FROM fresh
RETURNING subject_id
"""


def benefits_held(connection: Connection, subject_ids: Sequence[str]) -> list[HeldBenefit]:
    """Return the benefits of these subjects; who is on no list has none."""
    rows = connection.execute(
        text(
            "SELECT subject_id, scheme, category, region, started, birth_date FROM benefits JOIN subjects USING (subject_id)"
            " WHERE subject_id = ANY(:ids)"
        ),
        {"ids": list(subject_ids)},
    )
    return [HeldBenefit(*row) for row in rows]


def silent_acts_of(connection: Connection, subject_ids: Sequence[str]) -> dict[str, list[SilentAct]]:
    """Return all silent acts that feeds made for these subjects, withdrawn ones with them."""
    rows = connection.execute(
        text(
            "SELECT act_id, subject_id, source, source_id, acted_at, withdrawn_at IS NULL FROM acts"
            " WHERE subject_id = ANY(:ids) AND kind = 'silent' AND source LIKE :source"
        ),
        {"ids": list(subject_ids), "source": SOURCE + "%"},
    )
    found: dict[str, list[SilentAct]] = {}
    for row in rows:
        found.setdefault(row.subject_id, []).append(SilentAct(*row))
    return found


def withdraw_acts(connection: Connection, act_ids: Collection[str], *, now: datetime) -> set[str]:
    """Take acts back; return whose they were."""
    found = connection.execute(
        text(
            "UPDATE acts SET withdrawn_at = :now WHERE act_id = ANY(:ids) AND withdrawn_at IS NULL RETURNING subject_id"
        ),
        {"ids": list(act_ids), "now": now},
    )
    return set(found.scalars())


def subjects_with_reports(connection: Connection, kinds: Collection[str], *, chunk: int) -> Iterator[list[str]]:
    """Give everybody about whom a report of these kinds stands, some at a time, in order of their ids."""
    after = ""
    while True:
        rows = connection.execute(
            text(
                "SELECT DISTINCT subject_id FROM life_events WHERE subject_id > :after AND kind = ANY(:kinds)"
                " AND withdrawn_at IS NULL ORDER BY subject_id LIMIT :chunk"
            ),
            {
                "after": after,
                "kinds": sorted(kinds),
                "chunk": chunk,
            },
        )
        found = list(rows.scalars())
        if not found:
            return
        yield found
        after = found[-1]
