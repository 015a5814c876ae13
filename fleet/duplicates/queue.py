"""The queue of suspicions: shown with both sides' facts, decided by two persons, never by a program (R8-11).

Two persons who say the same decide; where they differ the hit is `unclear`, and can be taken up again. `different` is remembered, so that
twins and people who look alike are asked about once. Nothing else follows here: what a decision means for a benefit is decided there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from fleet.audit import log
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher, FleetKeys
from fleet.store import approvals, duplicates
from fleet.store.approvals import Approval
from fleet.store.database import Database
from fleet.store.duplicates import Hit, Side, Verdict
from fleet.store.names import cleaned
from protocol.documents import mask, parse_document

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """One hit with what its reader is told; names only where the reader asked for them."""

    hit: Hit
    sides: tuple[dict[str, Any], ...]
    words: tuple[Approval, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What a word came to."""

    hit_id: str
    state: str
    """`open` as long as a second person's word is missing."""
    words: int


def open_hits(connection: Connection, *, limit: int = _MOST) -> list[Hit]:
    """Return what waits for somebody: open ones and those that two persons left unclear, the most alike first."""
    return duplicates.hits_in(connection, ("open", "unclear"), limit=limit)


def show(
    database: Database, keys: FleetKeys, hit_id: str, *, reader: str, reason: str, with_names: bool, now: datetime
) -> Shown:
    """Return a hit with both sides' facts, after writing down who looks and why.

    Raises:
        NotFound: if there is no such hit.
        Refused: if name or reason cannot be taken.
    """
    cleaned(reader), cleaned(reason)
    with database.begin() as connection:
        hit = _found(duplicates.find_hit(connection, hit_id), hit_id)
        who = list(dict.fromkeys((hit.first_subject, hit.second_subject)))
        sides = [duplicates.side_of(connection, subject_id) for subject_id in who]
        words = approvals.approvals_of(connection, keys.cipher, duplicates.APPROVED, hit_id)
        log.note(
            connection,
            keys.cipher,
            actor=reader,
            action="duplicate_hit.viewed",
            object_kind=duplicates.APPROVED,
            object_id=hit_id,
            # The reason may hold anything, and the log's detail stands in the open.
            detail={"names": with_names, "reason_sha256": _digest(keys.cipher, hit_id, reason)},
            about=who,
            reason=cleaned(reason),
            now=now,
        )
    return Shown(hit, tuple(_facts(side, keys.cipher, with_names) for side in sides), tuple(words))


def decide(
    connection: Connection,
    cipher: FieldCipher,
    hit_id: str,
    verdict: Verdict,
    *,
    by: str,
    reason: str,
    now: datetime,
) -> Decided:
    """Write down one person's word; the second person's decides. Call it last in a transaction: it writes the audit log.

    Args:
        connection: a transaction.
        cipher: the fleet's.
        hit_id: which hit.
        verdict: what this person says.
        by: who, recorded as given.
        reason: why.
        now: when.

    Raises:
        NotFound: if there is no such hit.
        Refused: if it is decided, this person has said a word before, or name or reason cannot be taken.
    """
    hit = _found(duplicates.find_hit(connection, hit_id, lock=True), hit_id)
    if hit.state in ("same_person", "different"):
        raise Refused(f"duplicate {hit_id}: was decided as {hit.state}", code="hit_decided", state=hit.state)
    if hit.state == "unclear":
        # Taken up again: the words before were of what was known then.
        approvals.withdraw_approvals(connection, duplicates.APPROVED, hit_id)
    words = approvals.approve(connection, cipher, duplicates.APPROVED, hit_id, name=by, reason=reason, now=now)
    state: str = "open"
    if words < approvals.NEEDED:
        duplicates.set_word(connection, hit_id, verdict)
    else:
        state = together = verdict if hit.first_word == verdict else "unclear"
        duplicates.set_verdict(connection, hit_id, together, now=now)
    log.note(
        connection,
        cipher,
        actor=by,
        action="duplicate_hit.decided" if state != "open" else "duplicate_hit.first_word",
        object_kind=duplicates.APPROVED,
        object_id=hit_id,
        detail={"said": verdict, "state": state},
        now=now,
    )
    return Decided(hit_id, state, words)


def _found(hit: Hit | None, hit_id: str) -> Hit:
    if hit is None:
        raise NotFound(f"duplicate {hit_id}: there is none of this id", code="no_hit")
    return hit


def _facts(side: Side, cipher: FieldCipher, with_names: bool) -> dict[str, Any]:
    who = side.subject_id
    document = mask(parse_document(cipher.decrypt(side.document_sealed, subject_id=who, field_name="document")))
    facts: dict[str, Any] = {
        "subject_id": who,
        "area": side.area,
        "born": None if side.birth_date is None else side.birth_date.isoformat(),
        "sex": side.sex,
        "document": document.kind.value,
        "benefits": side.benefits,
        "references": side.references,
        "passes": side.passes,
        "last_pass": None if side.last_pass_at is None else side.last_pass_at.isoformat(timespec="seconds"),
        "terminals": side.terminals,
        "known_since": side.created_at.isoformat(timespec="seconds"),
    }
    if with_names:
        facts["name"] = cipher.decrypt(side.name_sealed, subject_id=who, field_name="name")
        facts["document_tail"] = document.tail
    return facts


def _digest(cipher: FieldCipher, hit_id: str, reason: str) -> str:
    return cipher.digest(cleaned(reason), subject_id=hit_id, field_name="view_reason").hex()
