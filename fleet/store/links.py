"""Chains: what all links of a terminal's chain have in common, as SQL. What each kind says besides stands in a table of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from fleet.admission import Admission, AnyLink, Judgement
from protocol.cases import CaseRecord
from protocol.events import TerminalEvent
from protocol.records import CertificationRecord


class LinkKind(StrEnum):
    """What a link is, as stored."""

    RECORD = "record"
    CASE = "case"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class AdmittedLink:
    """A link that is to be stored, with the bytes as they arrived."""

    link: AnyLink
    admission: Admission
    judgement: Judgement
    sha256: str
    envelope: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Counters of one terminal that have not arrived, both ends included."""

    terminal_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A stored link's place in its chain."""

    counter: int
    sha256: str
    previous: str | None
    chain: str
    subject_id: str | None
    """Whose status or references it has a part in: the subject of a certification record, or of a reference that it brought."""


def links_around(connection: Connection, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], ChainLink]:
    """Return the stored links at these (terminal, counter) places and next to them."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT l.terminal_id, l.counter, l.sha256, l.previous, l.chain, coalesce(r.subject_id, m.subject_id) AS subject_id"
            " FROM unnest(CAST(:terminals AS text[]), CAST(:counters AS bigint[])) AS p (terminal_id, counter)"
            " JOIN links l ON l.terminal_id = p.terminal_id"
            " AND l.counter IN (p.counter - 1, p.counter, p.counter + 1)"
            " LEFT JOIN records r ON r.record_id = l.record_id LEFT JOIN made_references m ON m.record_id = l.record_id"
        ),
        {"terminals": [t for t, _ in places], "counters": [c for _, c in places]},
    )
    return {
        (row.terminal_id, row.counter): ChainLink(row.counter, row.sha256, row.previous, row.chain, row.subject_id)
        for row in rows
    }


def digests_by_record_id(connection: Connection, record_ids: Sequence[str]) -> dict[str, str]:
    """Return the digest of each stored link among these ids."""
    rows = connection.execute(
        text("SELECT record_id, sha256 FROM links WHERE record_id = ANY(:ids)"), {"ids": list(record_ids)}
    )
    return {row.record_id: row.sha256 for row in rows}


def insert_links(connection: Connection, links: Sequence[AdmittedLink]) -> int:
    """Insert links that are not there yet, each with what its kind says; return how many were new.

    Where it is fewer than were given, nothing of their kinds' tables was written: the caller gives the transaction up.
    """
    if _insert(connection, "links", _CHAIN_COLUMNS, [_chain_values(item) for item in links]) != len(links):
        return 0
    for table, columns in _KIND_COLUMNS.items():
        rows = [_kind_values(item) for item in links if _TABLES[type(item.link)] == table]
        _insert(connection, table, columns, rows)
    return len(links)


def set_chain(connection: Connection, verdicts: dict[tuple[str, int], str]) -> None:
    """Correct the chain verdict of stored links."""
    if verdicts:
        connection.execute(
            text(
                "UPDATE links l SET chain = p.chain FROM unnest(CAST(:terminals AS text[]),"
                " CAST(:counters AS bigint[]), CAST(:chains AS text[])) AS p (terminal_id, counter, chain)"
                " WHERE l.terminal_id = p.terminal_id AND l.counter = p.counter"
            ),
            {
                "terminals": [terminal for terminal, _ in verdicts],
                "counters": [counter for _, counter in verdicts],
                "chains": list(verdicts.values()),
            },
        )


def gaps(connection: Connection, terminal_id: str | None = None) -> list[Gap]:
    """Return all gaps of all chains, or of one terminal's, by terminal and counter."""
    rows = connection.execute(
        text(
            "SELECT l.terminal_id, coalesce((SELECT max(b.counter) FROM links b WHERE b.terminal_id = l.terminal_id"
            " AND b.counter < l.counter), 0) + 1 AS first, l.counter - 1 AS last"
            " FROM links l WHERE l.chain <> 'linked' AND (CAST(:id AS text) IS NULL OR l.terminal_id = :id)"
            " AND NOT EXISTS (SELECT 1 FROM links b"
            " WHERE b.terminal_id = l.terminal_id AND b.counter = l.counter - 1) AND l.counter > 1"
            " ORDER BY l.terminal_id, l.counter"
        ),
        {"id": terminal_id},
    )
    return [Gap(*row) for row in rows]


def gap_counts(connection: Connection, terminal_ids: Sequence[str]) -> dict[str, int]:
    """Return how many gaps the chains of these terminals have; those without are left out."""
    rows = connection.execute(
        text(
            "SELECT l.terminal_id, count(*) AS gaps FROM links l WHERE l.chain <> 'linked' AND l.terminal_id = ANY(:ids)"
            " AND l.counter > 1 AND NOT EXISTS (SELECT 1 FROM links b WHERE b.terminal_id = l.terminal_id"
            " AND b.counter = l.counter - 1) GROUP BY l.terminal_id"
        ),
        {"ids": list(terminal_ids)},
    )
    return {row.terminal_id: row.gaps for row in rows}


def flags_text(judgement: Judgement) -> str:
    """Return the flags of a judgement as they are stored."""
    return json.dumps([flag.value for flag in judgement.flags])


_Columns = tuple[tuple[str, str], ...]
_CHAIN_COLUMNS: _Columns = (
    ("record_id", "text"),
    ("sha256", "text"),
    ("terminal_id", "text"),
    ("counter", "bigint"),
    ("previous", "text"),
    ("chain", "text"),
    ("kind", "text"),
    ("envelope", "bytea"),
    ("received_at", "timestamptz"),
)
_SEEN: _Columns = (
    ("record_id", "text"),
    ("terminal_id", "text"),
    ("counter", "bigint"),
    ("payload", "jsonb"),
    ("received_at", "timestamptz"),
    ("earliest", "timestamptz"),
    ("latest", "timestamptz"),
    ("event_at", "timestamptz"),
    ("flags", "jsonb"),
)
_CLAIMED: _Columns = (("subject_id", "text"), ("claim_token", "text"))
_KIND_COLUMNS: dict[str, _Columns] = {
    "records": (*_SEEN, *_CLAIMED, ("session_id", "text"), ("outcome", "text"), ("pass_at", "timestamptz")),
    "case_records": (*_SEEN, *_CLAIMED, ("kind", "text")),
    "terminal_events": (*_SEEN, ("kind", "text")),
}
_TABLES = {CertificationRecord: "records", CaseRecord: "case_records", TerminalEvent: "terminal_events"}
_KINDS = {CertificationRecord: LinkKind.RECORD, CaseRecord: LinkKind.CASE, TerminalEvent: LinkKind.EVENT}


def _insert(connection: Connection, table: str, columns: _Columns, rows: Sequence[dict[str, object]]) -> int:
    if not rows:
        return 0
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns)
    statement = f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - our own column lists
    found = connection.execute(
        text(statement + " ON CONFLICT DO NOTHING RETURNING record_id"),
        {name: [row[name] for row in rows] for name, _ in columns},
    )
    return len(found.scalars().all())


def _chain_values(item: AdmittedLink) -> dict[str, object]:
    link = item.link
    return {
        "record_id": link.record_id,
        "sha256": item.sha256,
        "terminal_id": link.terminal_id,
        "counter": link.counter,
        "previous": link.previous,
        "chain": item.admission.chain.value,
        "kind": _KINDS[type(link)].value,
        "envelope": item.envelope,
        "received_at": item.received_at,
    }


def _without_seal(link: AnyLink) -> AnyLink:
    """Return a link as it is kept to be asked about: without the features it brought, which have a place of their own."""
    if isinstance(link, TerminalEvent):
        if link.proposal is None:
            return link
        reference = link.proposal.reference.model_copy(update={"sealed": ""})
        return link.model_copy(update={"proposal": link.proposal.model_copy(update={"reference": reference})})
    if link.reference is None:
        return link
    return link.model_copy(update={"reference": link.reference.model_copy(update={"sealed": ""})})


def _kind_values(item: AdmittedLink) -> dict[str, object]:
    link, judgement = item.link, item.judgement
    values: dict[str, object] = {
        "record_id": link.record_id,
        "terminal_id": link.terminal_id,
        "counter": link.counter,
        "payload": _without_seal(link).to_bytes().decode(),
        "received_at": item.received_at,
        "earliest": judgement.bracket.earliest,
        "latest": judgement.bracket.latest,
        "event_at": judgement.event_at,
        "flags": flags_text(judgement),
    }
    if isinstance(link, CertificationRecord):
        values |= {
            "session_id": link.session_id,
            "outcome": link.decision.outcome.value,
            "pass_at": judgement.pass_at,
        }
    else:
        values["kind"] = link.kind.value
    if not isinstance(link, TerminalEvent):
        values |= {"subject_id": link.claim.subject_id, "claim_token": link.claim.token}
    return values
