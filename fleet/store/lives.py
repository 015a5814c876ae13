"""What becomes of references, as SQL: replaced by re-keyed ones, proposed, approved, set aside, taken up again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import Connection, RowMapping, text

from fleet.store.subjects import reference_of
from protocol.references import Reference

State = Literal["proposed", "active", "set_aside", "rejected", "replaced"]


@dataclass(frozen=True, slots=True)
class KeptReference:
    """A reference that is not withdrawn, with what became of it."""

    subject_id: str
    reference: Reference
    state: State
    rekeyed: int
    """How often it was brought to another key domain."""
    proposed_record: str | None
    """The record of the session that proposed it; None for one that was enrolled."""
    likeness: float | None
    """Cosine with the reference it was compared with when it was proposed."""
    decided_at: datetime | None
    made_by_record: str | None = None
    """The record of the enrolment, or the case, that made it; None for one that was made at the agency, or proposed."""
    waits_for: str | None = None
    """Why it was not put in use when it came, in a word."""


@dataclass(frozen=True, slots=True)
class StoredDomain:
    """A key domain made to replace another; its secret is encrypted with the fleet's own key."""

    domain: str
    secret_sealed: bytes
    replaces: str


@dataclass(frozen=True, slots=True)
class NetworkCount:
    """Who could be compared by one features network, and who could not."""

    model_sha256: str
    name: str | None
    """As terminals call it; None where none has said so."""
    people: int
    """With a reference of it in use."""
    without: int
    """With references in use, none of which is of it: where it decides they have none."""
    terminals: int
    """In service that say they run it."""


def references_by_network(connection: Connection, *, today: date) -> list[NetworkCount]:
    """Count people with and without a reference of each features network of which there is one, most people first."""
    rows = connection.execute(
        text(
            "WITH usable AS (SELECT DISTINCT subject_id, model_sha256 FROM references_ WHERE withdrawn_at IS NULL"
            " AND state = 'active' AND features <> ''::bytea AND valid_until >= :today),"
            " running AS (SELECT n ->> 'sha256' AS model_sha256, min(n ->> 'name') AS name, count(DISTINCT terminal_id) AS terminals"
            " FROM terminals, jsonb_array_elements(health #> '{running,networks}') n WHERE retired_at IS NULL GROUP BY 1),"
            " brought AS (SELECT m.model_sha256, min(e.payload #>> '{proposal,network,name}') AS name"
            " FROM made_references m JOIN terminal_events e USING (record_id) WHERE m.model_sha256 IS NOT NULL GROUP BY 1)"
            " SELECT u.model_sha256, coalesce(r.name, b.name) AS name, count(*) AS people,"
            " (SELECT count(DISTINCT subject_id) FROM usable) - count(*) AS without, coalesce(r.terminals, 0) AS terminals"
            " FROM usable u LEFT JOIN running r USING (model_sha256) LEFT JOIN brought b USING (model_sha256)"
            " GROUP BY u.model_sha256, r.name, b.name, r.terminals ORDER BY people DESC, u.model_sha256"
        ),
        {"today": today},
    )
    return [NetworkCount(*row) for row in rows]


def add_domain(connection: Connection, domain: StoredDomain, *, now: datetime) -> None:
    """Store a new key domain."""
    connection.execute(
        text(
            "INSERT INTO key_domains (domain, secret_sealed, made_at, replaces) VALUES (:domain, :sealed, :now, :replaces)"
        ),
        {"domain": domain.domain, "sealed": domain.secret_sealed, "now": now, "replaces": domain.replaces},
    )


def domains(connection: Connection) -> list[StoredDomain]:
    """Return the key domains that were made to replace others, oldest first."""
    rows = connection.execute(text("SELECT domain, secret_sealed, replaces FROM key_domains ORDER BY made_at, domain"))
    return [StoredDomain(row.domain, bytes(row.secret_sealed), row.replaces) for row in rows]


def subjects_in(connection: Connection, domain: str, *, most_rekeyed: int, limit: int) -> list[str]:
    """Return subjects with references of a domain that may still be re-keyed."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT subject_id FROM references_ WHERE key_domain = :domain AND withdrawn_at IS NULL"
            " AND state IN ('proposed', 'active', 'set_aside') AND rekeyed < :most AND features <> ''::bytea"
            " ORDER BY subject_id LIMIT :limit"
        ),
        {"domain": domain, "most": most_rekeyed, "limit": limit},
    )
    return [str(found) for found in rows.scalars()]


def count_in(connection: Connection, domain: str) -> int:
    """Return how many references with features a domain has."""
    return int(
        connection.execute(
            text(
                "SELECT count(*) FROM references_ WHERE key_domain = :domain AND withdrawn_at IS NULL"
                " AND state IN ('proposed', 'active', 'set_aside') AND features <> ''::bytea"
            ),
            {"domain": domain},
        ).scalar_one()
    )


def kept(
    connection: Connection, subject_ids: Sequence[str], *, states: Sequence[State]
) -> dict[str, tuple[KeptReference, ...]]:
    """Return references in these states, by subject, newest capture first, locked for this transaction."""
    rows = connection.execute(
        text(
            "SELECT * FROM references_ WHERE subject_id = ANY(:ids) AND withdrawn_at IS NULL AND state = ANY(:states)"
            " ORDER BY subject_id, captured_at DESC, reference_id FOR UPDATE"
        ),
        {"ids": sorted(set(subject_ids)), "states": list(states)},
    ).mappings()
    found: dict[str, tuple[KeptReference, ...]] = {}
    for row in rows:
        found[row["subject_id"]] = (*found.get(row["subject_id"], ()), _kept(row))
    return found


def proposals(connection: Connection, *, limit: int) -> list[KeptReference]:
    """Return what waits for somebody's approval, oldest first."""
    rows = connection.execute(
        text(
            "SELECT * FROM references_ WHERE state = 'proposed' AND withdrawn_at IS NULL"
            " ORDER BY captured_at, reference_id LIMIT :limit"
        ),
        {"limit": limit},
    ).mappings()
    return [_kept(row) for row in rows]


def find_kept(connection: Connection, reference_id: str) -> KeptReference | None:
    """Return one reference that is not withdrawn, locked for this transaction."""
    row = (
        connection.execute(
            text("SELECT * FROM references_ WHERE reference_id = :id AND withdrawn_at IS NULL FOR UPDATE"),
            {"id": reference_id},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else _kept(row)


def replace(connection: Connection, reference_id: str, *, by: str) -> None:
    """Erase a reference's features and note what took its place; records that name it stay what they were."""
    connection.execute(
        text(
            "UPDATE references_ SET state = 'replaced', replaced_by = :by, features = ''::bytea WHERE reference_id = :id"
            " AND withdrawn_at IS NULL"
        ),
        {"id": reference_id, "by": by},
    )


def add_rekeyed(connection: Connection, old: KeptReference, new: Reference) -> None:
    """Store a re-keyed reference in the state of the one it is made of."""
    connection.execute(
        text(
            "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain, quality, capture,"
            " legal_basis, captured_at, valid_until, officer_sealed, state, rekeyed, proposed_record, likeness, decided_at,"
            " decider_sealed, made_by_record, waits_for) SELECT subject_id, :new, :features, model_sha256, runtime, :domain,"
            " quality, capture,"
            " legal_basis, captured_at, valid_until, officer_sealed, state, rekeyed + 1, proposed_record, likeness,"
            " decided_at, decider_sealed, made_by_record, waits_for FROM references_ WHERE reference_id = :old"
        ),
        {
            "old": old.reference.reference_id,
            "new": new.reference_id,
            "features": base64.b64decode(new.features, validate=True),
            "domain": new.key_domain,
        },
    )


def propose(connection: Connection, reference_id: str, *, record_id: str, likeness: float) -> None:
    """Mark a reference that was just stored as proposed."""
    connection.execute(
        text(
            "UPDATE references_ SET state = 'proposed', proposed_record = :record, likeness = :likeness"
            " WHERE reference_id = :id"
        ),
        {"id": reference_id, "record": record_id, "likeness": likeness},
    )


def decide(
    connection: Connection,
    reference_id: str,
    state: State,
    *,
    now: datetime,
    decider_sealed: bytes | None,
    forget: bool = False,
) -> None:
    """Bring a reference into another state.

    Args:
        connection: a transaction.
        reference_id: which.
        state: the new state.
        now: when.
        decider_sealed: who decided it; None for a rule.
        forget: erase its features.
    """
    connection.execute(
        text(
            "UPDATE references_ SET state = :state, decided_at = :now, decider_sealed = :decider,"
            " features = CASE WHEN :forget THEN ''::bytea ELSE features END WHERE reference_id = :id"
        ),
        {"id": reference_id, "state": state, "now": now, "decider": decider_sealed, "forget": forget},
    )


def _kept(row: RowMapping) -> KeptReference:
    return KeptReference(
        subject_id=row["subject_id"],
        reference=reference_of(row),
        state=row["state"],
        rekeyed=row["rekeyed"],
        proposed_record=row["proposed_record"],
        likeness=row["likeness"],
        decided_at=row["decided_at"],
        made_by_record=row["made_by_record"],
        waits_for=row["waits_for"],
    )
