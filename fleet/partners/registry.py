"""Partners come, get other rights, new keys, and go; each change is written down with who made it."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.partners.credentials import make_key
from fleet.store import partners as store
from fleet.store.areas import areas_of
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.partners import Partner, PartnerKind, Scope
from fleet.store.replays import forget_answers
from fleet.store.webhooks import end_webhooks, revive

MAX_PER_MINUTE = 100_000
_ID = re.compile(r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$")
_OBJECT = "partner"


def add_partner(
    database: Database,
    cipher: FieldCipher,
    partner_id: str,
    *,
    name: str,
    kind: PartnerKind,
    areas: Collection[str] | None,
    scopes: Collection[Scope],
    per_minute: int,
    valid_until: date,
    by: str,
    now: datetime,
) -> str:
    """Add a partner and return its first key, which is nowhere else.

    Raises:
        Refused: if the id is taken or no id, there is no scope, or an area is not in the tree.
    """
    if not _ID.match(partner_id):
        raise Refused(
            "partner id: 3 to 40 small letters, digits and hyphens expected, a letter or digit first and last",
            code="partner_id",
        )
    partner = Partner(
        partner_id,
        cleaned(name),
        kind,
        None if areas is None else frozenset(areas),
        frozenset(scopes),
        per_minute,
        valid_until,
        now,
        None,
    )
    _check(partner)
    key, stored = make_key(partner_id, now=now)
    with database.begin() as connection:
        _check_areas(partner.areas, frozenset(areas_of(connection)))
        if not store.add_partner(connection, partner):
            raise Refused(
                f"partner {partner_id}: there is one of this id; revoked ones keep theirs",
                code="partner_taken",
                partner=partner_id,
            )
        store.add_key(connection, stored)
        note(
            connection,
            cipher,
            actor=by,
            action="partner.added",
            object_kind=_OBJECT,
            object_id=partner_id,
            detail={**_rights(partner), "kind": kind.value, "key": stored.key_id},
            now=now,
        )
    return key


def change_partner(
    database: Database,
    cipher: FieldCipher,
    partner_id: str,
    *,
    by: str,
    now: datetime,
    scopes: Collection[Scope] | None = None,
    areas: Collection[str] | None = None,
    all_areas: bool = False,
    per_minute: int | None = None,
    valid_until: date | None = None,
    seen: str | None = None,
) -> Partner:
    """Give a partner other rights, from its next request on; what is None stays as it is.

    Args:
        database: where.
        cipher: the fleet's.
        partner_id: which partner.
        by: who does it.
        now: when.
        scopes: what it may do.
        areas: codes of areas that it may see.
        all_areas: whether it may see everybody from now on, whatever `areas` says.
        per_minute: most requests in a minute.
        valid_until: its last day.
        seen: what it was like when this was decided, as `version_of` tells; None to change it whatever it is like.

    Raises:
        NotFound: if there is no such partner in service.
        Refused: as `add_partner`, and if it changed since it was seen.
    """
    with database.begin() as connection:
        found = _locked(connection, partner_id, seen)
        changed = Partner(
            found.partner_id,
            found.name,
            found.kind,
            None if all_areas else found.areas if areas is None else frozenset(areas),
            found.scopes if scopes is None else frozenset(scopes),
            found.per_minute if per_minute is None else per_minute,
            found.valid_until if valid_until is None else valid_until,
            found.added_at,
            None,
        )
        _check(changed)
        _check_areas(changed.areas, frozenset(areas_of(connection)))
        store.change_partner(
            connection,
            partner_id,
            scopes=changed.scopes,
            areas=changed.areas,
            per_minute=changed.per_minute,
            valid_until=changed.valid_until,
        )
        note(
            connection,
            cipher,
            actor=by,
            action="partner.changed",
            object_kind=_OBJECT,
            object_id=partner_id,
            detail=_rights(changed),
            now=now,
        )
    return changed


def roll_key(
    database: Database,
    cipher: FieldCipher,
    partner_id: str,
    *,
    overlap: timedelta,
    by: str,
    now: datetime,
    seen: str | None = None,
) -> str:
    """Return a new key of a partner; those before it end after the overlap, which may be none. `seen` is as of `change_partner`.

    Raises:
        NotFound: if there is no such partner in service.
        Refused: if it changed since it was seen.
    """
    key, stored = make_key(partner_id, now=now)
    with database.begin() as connection:
        _locked(connection, partner_id, seen)
        store.expire_keys(connection, partner_id, at=now + overlap)
        store.add_key(connection, stored)
        note(
            connection,
            cipher,
            actor=by,
            action="partner.key_rolled",
            object_kind=_OBJECT,
            object_id=partner_id,
            detail={"key": stored.key_id, "overlap_s": int(overlap.total_seconds())},
            now=now,
        )
    return key


def revoke_partner(
    database: Database, cipher: FieldCipher, partner_id: str, *, by: str, now: datetime, seen: str | None = None
) -> None:
    """Take a partner out of service: its keys and tokens are refused from the next request on, and nothing is sent to it any more.

    `seen` is as of `change_partner`.

    Raises:
        NotFound: if there is no such partner in service.
        Refused: if it changed since it was seen.
    """
    with database.begin() as connection:
        _locked(connection, partner_id, seen)
        store.revoke_partner(connection, partner_id, now=now)
        store.expire_keys(connection, partner_id, at=now)
        end_webhooks(connection, partner_id, now=now)
        forget_answers(connection, before=now, partner_id=partner_id)
        note(
            connection,
            cipher,
            actor=by,
            action="partner.revoked",
            object_kind=_OBJECT,
            object_id=partner_id,
            now=now,
        )


def resend(database: Database, cipher: FieldCipher, partner_id: str, webhook_id: str, *, by: str, now: datetime) -> int:
    """Have messages to a webhook that were given up sent again; return how many.

    Raises:
        NotFound: if there is no such partner in service.
        Refused: if nothing was given up there.
    """
    with database.begin() as connection:
        _in_service(store.find_partner(connection, partner_id), partner_id)
        count = revive(connection, partner_id, webhook_id)
        if not count:
            raise Refused(f"partner {partner_id}: no message to this webhook was given up", code="nothing_dead")
        note(
            connection,
            cipher,
            actor=by,
            action="webhook.resent",
            object_kind=_OBJECT,
            object_id=partner_id,
            detail={"webhook": webhook_id, "messages": count},
            now=now,
        )
    return count


def version_of(partner: Partner, keys: int) -> str:
    """Return what tells whether a partner changed since somebody looked: its rights, and how many keys it has had."""
    rights = (*sorted(partner.scopes), *sorted(partner.areas or ()), str(partner.per_minute), str(partner.valid_until))
    return f"{'|'.join(rights)}|{keys}|{partner.revoked_at or ''}"


def _locked(connection: Connection, partner_id: str, seen: str | None) -> Partner:
    """Return a partner in service that nobody else changes until the end of the transaction."""
    found = _in_service(store.find_partner(connection, partner_id, is_locked=True), partner_id)
    if seen is not None and seen != version_of(found, len(store.keys_of(connection, partner_id))):
        raise Refused(f"partner {partner_id}: changed since it was looked at", code="partner_changed")
    return found


def _in_service(found: Partner | None, partner_id: str) -> Partner:
    if found is None or found.revoked_at is not None:
        raise NotFound(
            f"partner {partner_id}: there is none of this id in service", code="no_partner", partner=partner_id
        )
    return found


def _check(partner: Partner) -> None:
    if not partner.scopes:
        raise Refused(f"partner {partner.partner_id}: one scope at least expected: {', '.join(Scope)}", code="no_scope")
    if partner.areas is not None and not partner.areas:
        raise Refused(f"partner {partner.partner_id}: one area at least expected, or all areas", code="no_partner_area")
    if not 1 <= partner.per_minute <= MAX_PER_MINUTE:
        raise Refused(
            f"partner {partner.partner_id}: 1 to {MAX_PER_MINUTE} requests per minute expected",
            code="per_minute",
            most=MAX_PER_MINUTE,
        )


def _check_areas(areas: frozenset[str] | None, known: frozenset[str]) -> None:
    """Refuse codes that are not in the tree; a fleet without a tree names areas freely."""
    wrong = sorted((areas or frozenset()) - known)
    if known and wrong:
        raise Refused(f"areas: not in the tree of areas: {', '.join(wrong)}", code="unknown_areas", areas=wrong)


def _rights(partner: Partner) -> dict[str, object]:
    return {
        "areas": None if partner.areas is None else sorted(partner.areas),
        "scopes": sorted(partner.scopes),
        "per_minute": partner.per_minute,
        "valid_until": partner.valid_until.isoformat(),
    }
