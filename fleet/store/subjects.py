"""Subjects, their benefits and their references, as SQL."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, text

from fleet.admission import KnownReference
from protocol.references import CaptureKind, LegalBasis, Reference


@dataclass(frozen=True, slots=True)
class StoredSubject:
    """One subject; who it is stands encrypted in `name_sealed` and `document_sealed`."""

    subject_id: str
    claim_token: str
    area: str
    name_sealed: bytes
    document_sealed: bytes
    birth_date: date | None = None
    """As far as the document tells it."""
    sex: str | None = None
    """`female` or `male`, as far as the document tells it."""


PHONE_FIELD = "phone"
"""Name under which telephone numbers are sealed."""


class ManagedBy(StrEnum):
    """Who looks after somebody who is paid (R3-11)."""

    UNIT = "unit"
    """The unit they worked for."""
    SOCIALISED = "socialised"
    """Street, township and community."""


@dataclass(frozen=True, slots=True)
class Benefit:
    """One benefit of one subject."""

    scheme: str
    region: str
    category: str
    started: date
    unit: str | None = None
    """The unit they work or worked for."""
    managed_by: ManagedBy | None = None
    ended: date | None = None
    """The last day for which it is paid; None as long as no list says one."""


def find_by_tokens(connection: Connection, tokens: Sequence[str]) -> dict[str, StoredSubject]:
    """Return the subjects with these claim tokens, by token."""
    rows = connection.execute(text(_SUBJECT + " WHERE claim_token = ANY(:tokens)"), {"tokens": list(tokens)})
    return {row.claim_token: StoredSubject(*row) for row in rows}


def find_by_id(connection: Connection, subject_id: str) -> StoredSubject | None:
    """Return one subject."""
    row = connection.execute(text(_SUBJECT + " WHERE subject_id = :id"), {"id": subject_id}).one_or_none()
    return StoredSubject(*row) if row else None


def find_by_ids(connection: Connection, subject_ids: Collection[str]) -> list[StoredSubject]:
    """Return these subjects, as far as they are there."""
    rows = connection.execute(text(_SUBJECT + " WHERE subject_id = ANY(:ids)"), {"ids": sorted(subject_ids)})
    return [StoredSubject(*row) for row in rows]


def all_ids(connection: Connection) -> list[str]:
    """Return the ids of all subjects, in order."""
    return list(connection.execute(text("SELECT subject_id FROM subjects ORDER BY subject_id")).scalars())


def save_subject(connection: Connection, subject: StoredSubject, *, name_tokens: Sequence[int], now: datetime) -> None:
    """Insert or update a subject; its id and claim token never change.

    Args:
        connection: where.
        subject: who.
        name_tokens: hashes by which the name is found (`fleet.store.name_index.tokens_of`).
        now: when.
    """
    connection.execute(
        text(
            "INSERT INTO subjects (subject_id, claim_token, area, name_sealed, document_sealed, birth_date, sex, created_at,"
            " name_tokens) VALUES (:subject_id, :claim_token, :area, :name_sealed, :document_sealed, :birth_date, :sex, :now, :tokens)"
            " ON CONFLICT (subject_id) DO UPDATE SET area = EXCLUDED.area, name_sealed = EXCLUDED.name_sealed,"
            " birth_date = EXCLUDED.birth_date, sex = EXCLUDED.sex, name_tokens = EXCLUDED.name_tokens"
        ),
        {
            "subject_id": subject.subject_id,
            "claim_token": subject.claim_token,
            "area": subject.area,
            "name_sealed": subject.name_sealed,
            "document_sealed": subject.document_sealed,
            "birth_date": subject.birth_date,
            "sex": subject.sex,
            "tokens": list(name_tokens),
            "now": now,
        },
    )


def save_phone(connection: Connection, subject_id: str, phone_sealed: bytes) -> None:
    """Store a subject's new telephone number, encrypted as field `phone`; it takes the place of the one in contacts."""
    connection.execute(
        text("UPDATE subjects SET phone_sealed = :phone WHERE subject_id = :id"),
        {"id": subject_id, "phone": phone_sealed},
    )
    connection.execute(
        text(
            "UPDATE contacts SET address_sealed = NULL, doubtful_at = NULL WHERE subject_id = :id AND channel = 'sms'"
        ),
        {"id": subject_id},
    )


def names_not_indexed(connection: Connection, *, limit: int) -> list[tuple[str, bytes]]:
    """Lock some subjects whose names cannot be found yet; return ids and sealed names."""
    rows = connection.execute(
        text(
            "SELECT subject_id, name_sealed FROM subjects WHERE name_tokens IS NULL ORDER BY subject_id LIMIT :limit"
            " FOR NO KEY UPDATE SKIP LOCKED"
        ),
        {"limit": limit},
    )
    return [(row.subject_id, bytes(row.name_sealed)) for row in rows]


def set_name_tokens(connection: Connection, found: Mapping[str, Sequence[int]]) -> None:
    """Store by what the names of some subjects are found; nothing for one that cannot be."""
    connection.execute(
        text("UPDATE subjects SET name_tokens = :tokens WHERE subject_id = :id"),
        [{"id": subject_id, "tokens": list(tokens)} for subject_id, tokens in found.items()],
    )


def benefits_of(connection: Connection, subject_ids: Sequence[str]) -> dict[str, dict[str, Benefit]]:
    """Return benefits by subject and scheme."""
    rows = connection.execute(
        text(
            "SELECT subject_id, scheme, region, category, started, unit, managed_by, ended FROM benefits"
            " WHERE subject_id = ANY(:ids)"
        ),
        {"ids": list(subject_ids)},
    )
    found: dict[str, dict[str, Benefit]] = {}
    for row in rows:
        managed_by = None if row.managed_by is None else ManagedBy(row.managed_by)
        benefit = Benefit(row.scheme, row.region, row.category, row.started, row.unit, managed_by, row.ended)
        found.setdefault(row.subject_id, {})[row.scheme] = benefit
    return found


def words_in_use(connection: Connection) -> frozenset[tuple[str, str]]:
    """Return each scheme with each category that a benefit of it has."""
    rows = connection.execute(text("SELECT DISTINCT scheme, category FROM benefits"))
    return frozenset((row.scheme, row.category) for row in rows)


def save_benefit(connection: Connection, subject_id: str, benefit: Benefit) -> None:
    """Insert or update one benefit."""
    connection.execute(
        text(
            "INSERT INTO benefits (subject_id, scheme, region, category, started, unit, managed_by, ended)"
            " VALUES (:subject_id, :scheme, :region, :category, :started, :unit, :managed_by, :ended)"
            " ON CONFLICT (subject_id, scheme) DO UPDATE SET region = EXCLUDED.region, category = EXCLUDED.category,"
            " started = EXCLUDED.started, unit = EXCLUDED.unit, managed_by = EXCLUDED.managed_by, ended = EXCLUDED.ended"
        ),
        {
            "subject_id": subject_id,
            "scheme": benefit.scheme,
            "region": benefit.region,
            "category": benefit.category,
            "started": benefit.started,
            "unit": benefit.unit,
            "managed_by": benefit.managed_by,
            "ended": benefit.ended,
        },
    )


def phones_of(connection: Connection, subject_ids: Sequence[str]) -> dict[str, bytes]:
    """Return the sealed telephone numbers of these subjects, as far as they have one."""
    rows = connection.execute(
        text("SELECT subject_id, phone_sealed FROM subjects WHERE subject_id = ANY(:ids) AND phone_sealed IS NOT NULL"),
        {"ids": list(subject_ids)},
    )
    return {row.subject_id: bytes(row.phone_sealed) for row in rows}


def add_reference(
    connection: Connection, subject_id: str, reference: Reference, *, officer_sealed: bytes | None
) -> None:
    """Store a protected reference."""
    connection.execute(
        text(
            "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain, quality,"
            " capture, legal_basis, captured_at, valid_until, officer_sealed) VALUES (:subject_id, :reference_id,"
            " :features, :model_sha256, :runtime, :key_domain, :quality, :capture, :legal_basis, :captured_at,"
            " :valid_until, :officer_sealed)"
        ),
        {
            "subject_id": subject_id,
            "reference_id": reference.reference_id,
            "features": base64.b64decode(reference.features, validate=True),
            "model_sha256": reference.model_sha256,
            "runtime": reference.runtime,
            "key_domain": reference.key_domain,
            "quality": reference.quality,
            "capture": reference.capture.value,
            "legal_basis": reference.legal_basis.value,
            "captured_at": reference.captured_at,
            "valid_until": reference.valid_until,
            "officer_sealed": officer_sealed,
        },
    )


def is_reference_known(connection: Connection, reference_id: str) -> bool:
    """Return whether anybody has or had a reference of this id."""
    found = connection.execute(text("SELECT count(*) FROM references_ WHERE reference_id = :id"), {"id": reference_id})
    return bool(found.scalar_one())


def withdraw_reference(connection: Connection, reference_id: str, *, now: datetime) -> str | None:
    """Erase a reference's features and mark it withdrawn; return its subject, or None if it is not in use.

    What it was re-keyed from or to goes with it, whichever of the ids is named.
    """
    found = connection.execute(
        text(
            "WITH RECURSIVE line AS ("
            " SELECT subject_id, reference_id, replaced_by FROM references_ WHERE reference_id = :id"
            " UNION SELECT r.subject_id, r.reference_id, r.replaced_by FROM references_ r JOIN line"
            " ON r.subject_id = line.subject_id"
            " AND (r.reference_id = line.replaced_by OR r.replaced_by = line.reference_id)"
            ") UPDATE references_ r SET withdrawn_at = :now, features = ''::bytea FROM line"
            " WHERE r.subject_id = line.subject_id AND r.reference_id = line.reference_id AND r.withdrawn_at IS NULL"
            " RETURNING r.subject_id"
        ),
        {"id": reference_id, "now": now},
    ).scalars()
    subject_ids = {str(subject_id) for subject_id in found}
    return subject_ids.pop() if subject_ids else None


def usable_references(
    connection: Connection, subject_ids: Sequence[str], *, today: date
) -> dict[str, tuple[Reference, ...]]:
    """Return the references in use and still valid, by subject, newest first."""
    rows = connection.execute(
        text(
            "SELECT * FROM references_ WHERE subject_id = ANY(:ids) AND withdrawn_at IS NULL AND state = 'active'"
            " AND valid_until >= :today ORDER BY subject_id, captured_at DESC, reference_id"
        ),
        {"ids": list(subject_ids), "today": today},
    ).mappings()
    found: dict[str, tuple[Reference, ...]] = {}
    for row in rows:
        found[row["subject_id"]] = (*found.get(row["subject_id"], ()), reference_of(row))
    return found


def known_references(
    connection: Connection, names: Collection[tuple[str, str]], *, zone: tzinfo
) -> dict[tuple[str, str], KnownReference]:
    """Return what is known of these references, in use or not, on cards or here, by (subject id, reference id).

    Args:
        connection: where to look.
        names: subject id and reference id of each.
        zone: where the last day of validity ends.
    """
    rows = connection.execute(
        text(
            "WITH p AS (SELECT * FROM unnest(CAST(:subjects AS text[]), CAST(:references AS text[]))"
            " AS named (subject_id, reference_id))"
            " SELECT r.subject_id, r.reference_id, r.capture, r.model_sha256, r.valid_until, r.withdrawn_at"
            " FROM p JOIN references_ r USING (subject_id, reference_id) WHERE r.state <> 'proposed'"
            " UNION ALL SELECT c.subject_id, c.card_id, c.capture, c.model_sha256, c.valid_until, c.revoked_at"
            " FROM p JOIN cards c ON c.subject_id = p.subject_id AND c.card_id = p.reference_id"
        ),
        {"subjects": [subject for subject, _ in names], "references": [reference for _, reference in names]},
    )
    return {
        (row.subject_id, row.reference_id): KnownReference(
            capture=CaptureKind(row.capture),
            model_sha256=row.model_sha256,
            expires_at=datetime.combine(row.valid_until + timedelta(days=1), time(), zone),
            withdrawn_at=row.withdrawn_at,
        )
        for row in rows
    }


def lock_subjects(connection: Connection, subject_ids: Sequence[str]) -> dict[str, str]:
    """Lock these subjects for the transaction, in one order for everybody; return their claim tokens."""
    rows = connection.execute(
        text(
            "SELECT subject_id, claim_token FROM subjects WHERE subject_id = ANY(:ids) ORDER BY subject_id"
            " FOR NO KEY UPDATE"
        ),
        {"ids": sorted(set(subject_ids))},
    )
    return {row.subject_id: row.claim_token for row in rows}


_SUBJECT = "SELECT subject_id, claim_token, area, name_sealed, document_sealed, birth_date, sex FROM subjects"


def reference_of(row: RowMapping) -> Reference:
    """Return the reference in a row of `references_`."""
    features = row["features"]
    if not isinstance(features, bytes):
        raise TypeError("references_.features: bytes expected")
    return Reference.model_validate(
        {
            "reference_id": row["reference_id"],
            "features": base64.b64encode(features).decode(),
            "model_sha256": row["model_sha256"],
            "runtime": row["runtime"],
            "key_domain": row["key_domain"],
            "quality": row["quality"],
            "capture": CaptureKind(str(row["capture"])),
            "legal_basis": LegalBasis(str(row["legal_basis"])),
            "captured_at": row["captured_at"],
            "valid_until": row["valid_until"],
        }
    )
