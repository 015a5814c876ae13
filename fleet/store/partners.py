"""Partners and their keys, as SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from fleet.store.areas import MAX_ABOVE, parents_above


class Scope(StrEnum):
    """What a partner may do."""

    CERTIFICATIONS_WRITE = "certifications:write"
    """Post certifications of its own, look them up, and take them back."""
    STATUS_READ = "status:read"
    """Ask where people stand, and list them."""
    STATISTICS_READ = "statistics:read"
    """Ask for counts."""
    LIFE_EVENTS_WRITE = "life-events:write"
    """Report deaths, travel and what else bears on an entitlement."""
    RECORDS_READ = "records:read"
    """Read records of terminals, their evidence, and terminals."""
    WEBHOOKS_MANAGE = "webhooks:manage"
    """Say where news are to be sent."""


class PartnerKind(StrEnum):
    """What a partner is. Source: domain.md parts 8, 10 and 14."""

    BIOMETRIC_SYSTEM = "biometric_system"
    CITY = "city"
    BANK = "bank"
    PHONE_PAGE = "phone_page"
    IDENTITY_SERVICE = "identity_service"
    AUTHORITY = "authority"
    OWN = "own"
    """A program of the agency itself."""


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner."""

    partner_id: str
    name: str
    kind: PartnerKind
    areas: frozenset[str] | None
    """Codes of the areas it may see, each with all below it; None for all."""
    scopes: frozenset[Scope]
    per_minute: int
    """Most requests in a minute."""
    valid_until: date
    """Its last day."""
    added_at: datetime
    revoked_at: datetime | None

    @property
    def source(self) -> str:
        """How what it said is named among acts, life events and entries of the audit log."""
        return f"partner:{self.partner_id}"


@dataclass(frozen=True, slots=True)
class PartnerKey:
    """One key as it is stored: nothing from which it could be had again."""

    key_id: str
    partner_id: str
    sha256: bytes
    made_at: datetime
    expires_at: datetime | None
    """From this moment on it is worth nothing; None as long as it is not rolled."""


def add_partner(connection: Connection, partner: Partner) -> bool:
    """Insert a partner; return False if there is one of this id."""
    found = connection.execute(
        text(
            "INSERT INTO partners (partner_id, name, kind, areas, scopes, per_minute, valid_until, added_at)"
            " VALUES (:id, :name, :kind, :areas, :scopes, :per_minute, :until, :at) ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {
            "id": partner.partner_id,
            "name": partner.name,
            "kind": partner.kind.value,
            "areas": None if partner.areas is None else sorted(partner.areas),
            "scopes": sorted(partner.scopes),
            "per_minute": partner.per_minute,
            "until": partner.valid_until,
            "at": partner.added_at,
        },
    )
    return found.scalar_one_or_none() is not None


def find_partner(connection: Connection, partner_id: str, *, is_locked: bool = False) -> Partner | None:
    """Return one partner; locked, nobody else changes it until the end of the transaction."""
    lock = " FOR UPDATE" if is_locked else ""
    rows = connection.execute(text(f"{_PARTNER} WHERE partner_id = :id{lock}"), {"id": partner_id})
    return next((_partner(*row) for row in rows), None)


def all_partners(connection: Connection) -> list[Partner]:
    """Return all partners, revoked ones too, by id."""
    return [_partner(*row) for row in connection.execute(text(_PARTNER + " ORDER BY partner_id"))]


def change_partner(
    connection: Connection,
    partner_id: str,
    *,
    scopes: Collection[Scope],
    areas: Collection[str] | None,
    per_minute: int,
    valid_until: date,
) -> None:
    """Give a partner other rights."""
    connection.execute(
        text(
            "UPDATE partners SET scopes = :scopes, areas = :areas, per_minute = :per_minute, valid_until = :until"
            " WHERE partner_id = :id"
        ),
        {
            "id": partner_id,
            "scopes": sorted(scopes),
            "areas": None if areas is None else sorted(areas),
            "per_minute": per_minute,
            "until": valid_until,
        },
    )


def revoke_partner(connection: Connection, partner_id: str, *, now: datetime) -> bool:
    """Take everything from a partner; return False if there is none in service."""
    found = connection.execute(
        text("UPDATE partners SET revoked_at = :now WHERE partner_id = :id AND revoked_at IS NULL RETURNING 1"),
        {"id": partner_id, "now": now},
    )
    return found.scalar_one_or_none() is not None


def add_key(connection: Connection, key: PartnerKey) -> None:
    """Insert a key."""
    connection.execute(
        text(
            "INSERT INTO partner_keys (key_id, partner_id, sha256, made_at, expires_at)"
            " VALUES (:key, :partner, :sha256, :made, :expires)"
        ),
        {
            "key": key.key_id,
            "partner": key.partner_id,
            "sha256": key.sha256,
            "made": key.made_at,
            "expires": key.expires_at,
        },
    )


def expire_keys(connection: Connection, partner_id: str, *, at: datetime) -> int:
    """Have all keys of a partner that would last longer end at a moment; return how many there are."""
    return connection.execute(
        text(
            "UPDATE partner_keys SET expires_at = :at WHERE partner_id = :id AND (expires_at IS NULL OR expires_at > :at)"
        ),
        {"id": partner_id, "at": at},
    ).rowcount


def find_key(connection: Connection, key_id: str) -> tuple[PartnerKey, Partner] | None:
    """Return a key and whose it is."""
    row = connection.execute(
        text(
            "SELECT k.key_id, k.partner_id, k.sha256, k.made_at, k.expires_at, p.partner_id, p.name, p.kind, p.areas,"
            " p.scopes, p.per_minute, p.valid_until, p.added_at, p.revoked_at"
            " FROM partner_keys k JOIN partners p USING (partner_id) WHERE k.key_id = :id"
        ),
        {"id": key_id},
    ).one_or_none()
    if row is None:
        return None
    return PartnerKey(row[0], row[1], bytes(row[2]), row[3], row[4]), _partner(*row[5:])


def keys_of(connection: Connection, partner_id: str) -> list[PartnerKey]:
    """Return the keys of a partner, the newest first."""
    rows = connection.execute(
        text(
            "SELECT key_id, partner_id, sha256, made_at, expires_at FROM partner_keys WHERE partner_id = :id"
            " ORDER BY made_at DESC, key_id"
        ),
        {"id": partner_id},
    )
    return [PartnerKey(row[0], row[1], bytes(row[2]), row[3], row[4]) for row in rows]


def visible_codes(connection: Connection, partner: Partner) -> list[str] | None:
    """Return the codes of all areas a partner may see, those below with them; None for all."""
    if partner.areas is None:
        return None
    rows = connection.execute(
        text(
            "WITH RECURSIVE down AS (SELECT code, 1 AS step FROM unnest(CAST(:codes AS text[])) AS own (code)"
            " UNION SELECT a.code, down.step + 1 FROM areas a JOIN down ON a.parent = down.code WHERE down.step <= :most)"
            " SELECT DISTINCT code FROM down ORDER BY code"
        ),
        {"codes": sorted(partner.areas), "most": MAX_ABOVE},
    )
    return list(rows.scalars())


def visible_subjects(connection: Connection, partner: Partner, subject_ids: Sequence[str]) -> set[str]:
    """Return which of these people a partner may see: who lives in one of its areas, or is paid by one."""
    if partner.areas is None or not subject_ids:
        return set(subject_ids)
    regions = regions_of(connection, subject_ids)
    parents = parents_above(connection, {code for codes in regions.values() for code in codes})
    return {subject for subject, codes in regions.items() if is_within(partner.areas, codes, parents)}


def regions_of(connection: Connection, subject_ids: Sequence[str]) -> dict[str, set[str]]:
    """Return where these people live and by which areas they are paid."""
    rows = connection.execute(
        text(
            "SELECT subject_id, area FROM subjects WHERE subject_id = ANY(:ids)"
            " UNION SELECT subject_id, region FROM benefits WHERE subject_id = ANY(:ids)"
        ),
        {"ids": list(subject_ids)},
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.subject_id, set()).add(row.area)
    return found


def is_within(areas: Collection[str], codes: Iterable[str], parents: dict[str, str | None]) -> bool:
    """Return whether one of some codes is one of the areas or lies below one."""
    for code in codes:
        at: str | None = code
        for _ in range(MAX_ABOVE + 1):
            if at is None:
                break
            if at in areas:
                return True
            at = parents.get(at)
    return False


@dataclass(frozen=True, slots=True)
class Use:
    """What a partner did lately."""

    certifications: int
    life_events: int
    last_at: datetime | None
    """When it last said something that was stored."""


def use_of(connection: Connection, partner: Partner, since: datetime) -> Use:
    """Return what a partner said since a moment: certifications and reports that were stored."""
    row = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM acts WHERE source = :source AND recorded_at >= :since),"
            " (SELECT count(*) FROM life_events WHERE source = :source AND received_at >= :since),"
            " greatest((SELECT max(recorded_at) FROM acts WHERE source = :source),"
            " (SELECT max(received_at) FROM life_events WHERE source = :source))"
        ),
        {"source": partner.source, "since": since},
    ).one()
    return Use(*row)


def _partner(
    partner_id: str,
    name: str,
    kind: str,
    areas: list[str] | None,
    scopes: list[str],
    per_minute: int,
    valid_until: date,
    added_at: datetime,
    revoked_at: datetime | None,
) -> Partner:
    return Partner(
        partner_id,
        name,
        PartnerKind(kind),
        None if areas is None else frozenset(areas),
        frozenset(Scope(scope) for scope in scopes),
        per_minute,
        valid_until,
        added_at,
        revoked_at,
    )


_PARTNER = "SELECT partner_id, name, kind, areas, scopes, per_minute, valid_until, added_at, revoked_at FROM partners"
