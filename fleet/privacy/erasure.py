"""Erases one person: two persons say so, then everything goes by the plan of the register, and a signed proof says what went.

One transaction: all of it or nothing. Terminals are told by a removed entry of their rosters, cards are revoked. What remains: entries of
ledgers, which know the person by a random id that nothing leads to any more; pseudonymised records; and backups. There is one encryption
key for the fields of all people, so that a backup older than the erasure still opens: `reapply` erases again whoever comes back with one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Connection

from fleet.audit import log
from fleet.cases import history
from fleet.cases.machine import OVER, Event, Step
from fleet.clock import day_of
from fleet.errors import Refused
from fleet.keys import FleetKeys
from fleet.privacy.proof import (
    ErasedTable,
    ErasureProof,
    Ground,
    KeptTable,
    sign_proof,
    subject_sha256,
)
from fleet.privacy.register import Entry, load_register, register_sha256
from fleet.references.enrol import find_subject
from fleet.store import approvals, cards, case_events, consents, erasure, rosters, subjects
from fleet.store.database import Database, notify
from fleet.store.subjects import StoredSubject, lock_subjects
from fleet.store.terminals import find_terminals

APPROVED = "erasure"
"""Kind of object under which `fleet.store.approvals` has the words of two persons."""
ENTITLED = "entitled"
"""Stands in the id of an erasure of somebody who is still paid."""
_FIRST = ("duplicate_searched", "feed_delivery_rows", "reminder_deliveries")
"""What would go with a row of another table goes before it, so that it is counted."""
_LAST = ("case_photos", "made_references", "subjects")
"""What others are found by goes last, in this order."""


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for an erasure and why."""

    ground: Ground
    by: str
    because: str
    although_entitled: bool = False
    """Erase somebody who is still paid: whoever pays must have what the law asks for elsewhere."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What a request came to."""

    erasure_id: str
    words: int
    """Persons who have asked for it."""
    proof: ErasureProof | None = None
    """None as long as another person must ask."""
    token: bytes = b""
    """The signed proof."""


def erase(
    database: Database,
    keys: FleetKeys,
    who: str,
    request: Request,
    *,
    fleet_id: str,
    zone: tzinfo,
    word_kept: timedelta,
    now: datetime,
) -> Erased:
    """Write down one person's word; the second person's carries it out.

    Both name the same ground, and say the same of whether the person is still paid.

    Args:
        database: where.
        keys: the fleet's.
        who: number or id of the subject.
        request: who asks and why.
        fleet_id: of this fleet, for the proof.
        zone: where a day ends.
        word_kept: so long a first word waits for the second.
        now: the time.

    Raises:
        NotFound: if there is no such subject.
        Refused: if this person asked before, somebody asked on another ground, the subject is still entitled, or name or reason cannot be
            taken.
        DatabaseUnavailable: nothing was erased.
    """
    with database.begin() as connection:
        # As everything that changes rosters, see `fleet.references.enrol.enrol`.
        find_terminals(connection, lock=True)
        subject = _found(connection, find_subject(connection, who, keys))
        if not (
            request.although_entitled or consents.has_ended(connection, subject.subject_id, today=day_of(now, zone))
        ):
            raise Refused(
                f"subject {subject.subject_id}: is on a list of benefits, and nothing confirmed ends that; withdraw the references"
                " (privacy withdraw), or say that payments are proven elsewhere (--although-entitled)",
                code="still_paid",
            )
        # Not the subject's id: the words stay when the person is gone.
        object_id = subject_sha256(subject.subject_id)[:32]
        asked = asked_as(object_id, request)
        approvals.drop_old(connection, APPROVED, object_id, before=now - word_kept)
        if set(approvals.open_about(connection, APPROVED, object_id)) - {asked}:
            raise Refused(
                f"erasure {object_id}: was asked for on another ground; say the same, or have that word taken back",
                code="another_ground",
            )
        words = approvals.approve(
            connection, keys.cipher, APPROVED, asked, name=request.by, reason=request.because, now=now
        )
        done = Erased(object_id, words)
        if words >= approvals.NEEDED:
            done = _carry_out(connection, keys, subject, request.ground, object_id, fleet_id=fleet_id, now=now)
        log.note(
            connection,
            keys.cipher,
            actor=request.by,
            action="subject.erased" if done.proof else "subject.erasure_asked",
            object_kind=APPROVED,
            object_id=object_id,
            detail={
                "ground": request.ground.value,
                "although_entitled": request.although_entitled,
                **_summary(done.proof),
            },
            now=now,
        )
    return done


def asked_as(erasure_id: str, request: Request) -> str:
    """Return under which id the words on an erasure stand: two mean the same only on the same ground."""
    return f"{erasure_id}/{request.ground.value}/{ENTITLED if request.although_entitled else 'ended'}"


def reapply(
    database: Database, keys: FleetKeys, proofs: Sequence[ErasureProof], *, fleet_id: str, by: str, now: datetime
) -> list[Erased]:
    """Erase again whoever proofs say was erased, and is here: after a backup was restored.

    The proofs are signed, so one person's word is enough: two had asked for each.

    Raises:
        Refused: if the name cannot be taken.
        DatabaseUnavailable: as any transaction; run it again.
    """
    wanted = {proof.subject_sha256 for proof in proofs}
    with database.begin() as connection:
        back = [found for found in subjects.all_ids(connection) if subject_sha256(found) in wanted]
    done: list[Erased] = []
    for subject_id in back:
        with database.begin() as connection:
            find_terminals(connection, lock=True)
            subject = _found(connection, subject_id)
            erasure_id = os.urandom(16).hex()
            done.append(_carry_out(connection, keys, subject, Ground.RESTORED, erasure_id, fleet_id=fleet_id, now=now))
            log.note(
                connection,
                keys.cipher,
                actor=by,
                action="subject.erased",
                object_kind=APPROVED,
                object_id=erasure_id,
                detail={"ground": Ground.RESTORED.value, **_summary(done[-1].proof)},
                now=now,
            )
    return done


def plan() -> list[Entry]:
    """Return the tables that an erasure changes, in the order in which it must."""
    entries = [entry for entry in load_register().table if entry.erase in ("delete", "pseudonymise")]
    return sorted(entries, key=lambda entry: (_place(entry.name, _LAST), -_place(entry.name, _FIRST)))


def _place(name: str, names: tuple[str, ...]) -> int:
    return 1 + names.index(name) if name in names else 0


def _carry_out(
    connection: Connection,
    keys: FleetKeys,
    subject: StoredSubject,
    ground: Ground,
    erasure_id: str,
    *,
    fleet_id: str,
    now: datetime,
) -> Erased:
    cards.lock_cards(connection)
    lock_subjects(connection, [subject.subject_id])
    person = erasure.person_of(connection, subject.subject_id, subject.claim_token)
    _close_cases(connection, keys, subject.subject_id, now=now)
    held = rosters.holders(connection, subject.subject_id)
    affected = {
        entry.name: (entry, erasure.erase_table(connection, entry.name, entry.erase, entry.by, person, now=now))
        for entry in plan()
    }
    # The subject is gone: whoever holds them gets a removed entry, and the revoked cards go out.
    rosters.refresh(connection, held)
    notify(connection, cards.CARD_CHANNEL)
    proof = ErasureProof(
        fleet_id=fleet_id,
        erasure_id=erasure_id,
        subject_sha256=subject_sha256(subject.subject_id),
        ground=ground,
        erased_at=now,
        approvals=approvals.NEEDED,
        register_sha256=register_sha256(),
        erased=tuple(
            ErasedTable(
                table=name,
                erase="delete" if entry.erase == "delete" else "pseudonymise",
                rows=found.rows,
                sha256=found.sha256,
            )
            for name, (entry, found) in sorted(affected.items())
        ),
        kept=tuple(
            KeptTable(table=entry.name, because=entry.keeps)
            for entry in load_register().table
            if entry.erase == "keep" and entry.keeps is not None
        ),
        terminals=len(held),
    )
    token = sign_proof(proof, keys.signing)
    erasure.add_proof(connection, erasure_id, proof.subject_sha256, token, now=now)
    return Erased(erasure_id, approvals.NEEDED, proof, token)


def _close_cases(connection: Connection, keys: FleetKeys, subject_id: str, *, now: datetime) -> None:
    """Close what is not decided: it stays, and nobody is left whom a decision could be about."""
    for case in case_events.cases_of(connection, subject_id):
        if case.state not in OVER:
            event = Event(Step.CLOSED, now, reason="erased")
            history.add(connection, keys.cipher, history.locked(connection, case.case_id), event)


def _found(connection: Connection, subject_id: str) -> StoredSubject:
    subject = subjects.find_by_id(connection, subject_id)
    if subject is None:
        raise Refused(f"subject {subject_id}: was erased meanwhile", code="erased_meanwhile")
    return subject


def _summary(proof: ErasureProof | None) -> dict[str, int]:
    return {} if proof is None else {"rows": sum(table.rows for table in proof.erased), "terminals": proof.terminals}
