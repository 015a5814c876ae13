"""Takes numbers, names and other bodies' ids out of what a feed says, before it is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import Connection

from fleet.exchange.checking import StatedRow
from fleet.exchange.definitions import FeedDefinition
from fleet.exchange.effects import name_digest
from fleet.keys import FleetKeys
from fleet.store import feed_effects
from fleet.store.areas import codes_below
from fleet.store.feed_effects import Named
from fleet.store.feeds import NewRow
from fleet.store.subject_areas import outside_of
from protocol.documents import claim_token


def new_rows(
    connection: Connection,
    keys: FleetKeys,
    feed: str,
    definition: FeedDefinition,
    rows: Sequence[StatedRow],
    *,
    area: str,
) -> list[NewRow]:
    """Return rows as they are stored: the person as a claim token, name and row id as keyed digests, and whom they are about.

    An area that reports by itself speaks of its own people only: to it, everybody else is as unknown as who is not here.
    """
    tokens = [claim_token(row.document, keys.claim_key) for row in rows]
    known = feed_effects.named_by_tokens(connection, sorted(set(tokens)))
    if area:
        ids = [named.subject_id for named in known.values()]
        elsewhere = outside_of(connection, ids, codes_below(connection, area))
        known = {token: named for token, named in known.items() if named.subject_id not in elsewhere}
    return [
        _new_row(keys, feed, definition, row, token, known.get(token), area)
        for row, token in zip(rows, tokens, strict=True)
    ]


def _new_row(
    keys: FleetKeys,
    feed: str,
    definition: FeedDefinition,
    row: StatedRow,
    token: str,
    subject: Named | None,
    area: str,
) -> NewRow:
    detail = {definition.code.name: row.code} if definition.code is not None else {}
    row_id = keys.cipher.digest(row.row_id, subject_id=feed, field_name="feed_row_id") if row.row_id else None
    name = name_digest(keys.cipher, row.name, token) if row.name else None
    said = [
        feed,
        None if row_id is None else row_id.hex(),
        token,
        None if name is None else name.hex(),
        row.kind.value,
        row.since.isoformat(),
        None if row.until is None else row.until.isoformat(),
        None if row.reported_on is None else row.reported_on.isoformat(),
        detail,
        # Two areas that say the same say it each for itself: of whom one of them may speak tells the other nothing.
        *([area] if area else []),
    ]
    return NewRow(
        row_key=hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS],
        row_id_hash=row_id,
        claim_token=token,
        subject_id=None if subject is None else subject.subject_id,
        name_hash=name,
        name_state=_name_state(keys, name, token, subject),
        kind=row.kind.value,
        since=row.since,
        until=row.until,
        reported_on=row.reported_on,
        detail=detail,
        makes_event=row.makes_event,
    )


_KEY_DIGITS = 32
"""128 bits: among 10^12 rows two have the same key with a probability of 10^-15."""


def _name_state(keys: FleetKeys, name: bytes | None, token: str, subject: Named | None) -> str:
    if name is None:
        return "none"
    if subject is None:
        return "unchecked"
    known = keys.cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
    return "same" if name_digest(keys.cipher, known, token) == name else "differs"
