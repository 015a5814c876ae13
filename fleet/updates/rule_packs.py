"""The rule packs in force, signed for the terminals."""

from __future__ import annotations

import logging
from datetime import date, timedelta

from sqlalchemy import Connection

from fleet.keys import FleetKeys
from fleet.store import packs
from fleet.store.packs import StoredPack
from protocol.envelope import sign
from protocol.rule_packs import MAX_SET_BYTES, MOST_PACKS, RULE_PACKS_TYP, RulePackSet

logger = logging.getLogger(__name__)

_ASKED_FOR = timedelta(days=62)
"""So long after a version has ended or was followed by another one a terminal may still hold a roster that names it: rosters are good
for 30 days, and a stick may be under way as long."""


def signed_packs(connection: Connection, keys: FleetKeys, *, today: date) -> bytes | None:
    """Return the packs that a terminal's roster may name, signed; None if none is in force, or they are too many to be sent.

    Terminals take the set that was issued last, so the moment at which the newest pack came into force stands in it, and the same packs
    give the same message.
    """
    in_force = [stored for stored in packs.packs(connection) if stored.in_force_at is not None]
    moments = [stored.in_force_at for stored in in_force if stored.in_force_at is not None]
    if not moments:
        return None
    wanted = [stored.text for stored in in_force if _may_be_named(stored, in_force, today)]
    found = RulePackSet(issued_at=max(moments), packs=tuple(wanted[:MOST_PACKS]))
    payload = found.to_bytes()
    if len(wanted) > MOST_PACKS or len(payload) > MAX_SET_BYTES:
        # Terminals go on with what they have: a part of the packs would hold for people whom another one covers.
        logger.error("rule packs not sent, too many count=%d bytes=%d", len(wanted), len(payload))
        return None
    return sign(payload, key=keys.signing, typ=RULE_PACKS_TYP)


def _may_be_named(stored: StoredPack, in_force: list[StoredPack], today: date) -> bool:
    pack = stored.pack
    ends = [pack.valid_until] if pack.valid_until is not None else []
    ends += [
        other.pack.valid_from
        for other in in_force
        if other.pack.pack_id == pack.pack_id and other.pack.valid_from > pack.valid_from
    ]
    return not ends or min(ends) + _ASKED_FOR >= today
