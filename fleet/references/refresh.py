"""References that follow a person's ageing: proposed by certified sessions, approved, limited in number, and with a way back.

A face changes over years, so a reference of the enrolment alone ends in refusals (ISO/IEC 24745 asks that references can be renewed). A
certified session may propose its probe as a further reference. What is proposed is compared here with what the fleet itself has, never
believed by the terminal's score, and always with the anchor too: the oldest reference in use, which somebody made on purpose. Without
it a chain of small steps could lead from one person to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import FleetError, NotFound, Refused
from fleet.keys import FleetKeys
from fleet.references.domains import feature_keys, in_current_domain
from fleet.store import lives, made, rosters, subjects
from fleet.store.database import Database
from fleet.store.lives import KeptReference
from fleet.store.names import seal_approver
from fleet.store.terminals import find_terminals
from protocol.references import CaptureKind, Reference, rekey

MOST_IN_USE = 3
"""References of a person in use: the anchor and the newest ones. Each costs a row on every terminal and a chance of a false match."""


@dataclass(frozen=True, slots=True)
class RefreshRules:
    """When a proposal is taken, when it needs nobody's approval, and how many references a person has in use."""

    least_likeness: float
    """Cosine with the newest reference in use, at least; the policy's match threshold of the network."""
    least_anchor: float
    """Cosine with the anchor, at least; the policy's grey threshold: between a match and it, somebody must look."""
    least_quality: float = 80.0
    """Overall quality of the probe, 0..100. A reference is used for years, so more is asked of it than of a probe."""
    least_age: timedelta = timedelta(days=180)
    """So old the newest reference in use must be. Half of the yearly certification, so that one year gives one or two proposals."""
    approve_from: float | None = None
    """Cosine with newest and anchor from which no person needs to approve; None: somebody always does."""
    most: int = MOST_IN_USE


@dataclass(frozen=True, slots=True)
class Proposed:
    """What became of a proposal."""

    reference_id: str
    likeness: float
    is_approved: bool


def choose_active(references: Sequence[KeptReference], most: int) -> tuple[KeptReference, ...]:
    """Return which references are to be in use: of each network the anchor and the newest of the others, newest first.

    Those of one network do not count against those of another: while terminals run two of them, a person needs both.

    Args:
        references: of one subject, in use or just approved.
        most: how many of a network, at least 1.
    """
    found: tuple[KeptReference, ...] = ()
    for model_sha256 in sorted({kept.reference.model_sha256 for kept in references}):
        own = [kept for kept in references if kept.reference.model_sha256 == model_sha256]
        anchor = anchor_of(own)
        others = sorted(
            (kept for kept in own if kept is not anchor),
            key=lambda kept: (kept.reference.captured_at, kept.reference.reference_id),
            reverse=True,
        )
        found += tuple(others[:most]) if anchor is None else (*others[: most - 1], anchor)
    return found


def anchor_of(references: Sequence[KeptReference]) -> KeptReference | None:
    """Return the oldest reference that somebody made on purpose, a live one before one of a photo; None if all were proposed."""
    made = [kept for kept in references if kept.proposed_record is None]
    trust = (CaptureKind.LIVE, CaptureKind.PHOTO_CONFIRMED, CaptureKind.PHOTO)
    return min(made, key=lambda kept: (trust.index(kept.reference.capture), kept.reference.captured_at), default=None)


def propose(
    connection: Connection,
    keys: FleetKeys,
    subject_id: str,
    reference: Reference,
    *,
    record_id: str,
    rules: RefreshRules,
    now: datetime,
) -> Proposed:
    """Store what a certified session proposes, approved at once where the rules let it be.

    The caller has locked all terminals, and has seen that the record counts as a pass. Given twice, the second time is refused.

    Args:
        connection: a transaction.
        keys: the fleet's.
        subject_id: whose.
        reference: the live reference that the terminal made; its id stays, its domain may be one since replaced.
        record_id: of the session.
        rules: what is asked.
        now: when.

    Raises:
        Refused: with the reason in a word: `not_live`, `no_anchor`, `other_network`, `too_soon`, `poor`, `not_alike`, `waiting` or `known`.
    """
    if reference.capture is not CaptureKind.LIVE:
        raise Refused("not_live")
    found = lives.kept(connection, [subject_id], states=("active", "proposed")).get(subject_id, ())
    if any(kept.reference.reference_id == reference.reference_id for kept in found):
        raise Refused("known")
    own = [kept for kept in found if kept.reference.model_sha256 == reference.model_sha256]
    if found and not own:
        raise Refused("other_network")
    if any(kept.state == "proposed" for kept in own):
        raise Refused("waiting")
    active = [kept for kept in own if kept.state == "active"]
    anchor = anchor_of(active)
    if anchor is None or anchor.reference.capture is CaptureKind.PHOTO:
        raise Refused("no_anchor")
    newest = max(active, key=lambda kept: kept.reference.captured_at)
    if reference.captured_at - newest.reference.captured_at < rules.least_age:
        raise Refused("too_soon")
    if reference.quality < rules.least_quality:
        raise Refused("poor")
    moved = in_current_domain(connection, keys, reference)
    likeness, to_anchor = (likeness_of(connection, keys, moved, kept.reference) for kept in (newest, anchor))
    if likeness < rules.least_likeness or to_anchor < rules.least_anchor:
        raise Refused("not_alike")
    subjects.add_reference(connection, subject_id, moved, officer_sealed=None)
    lives.propose(connection, moved.reference_id, record_id=record_id, likeness=likeness)
    is_approved = rules.approve_from is not None and min(likeness, to_anchor) >= rules.approve_from
    if is_approved:
        _put_in_use(connection, subject_id, moved.reference_id, most=rules.most, now=now, decider_sealed=None)
    return Proposed(moved.reference_id, likeness, is_approved)


def approve(database: Database, keys: FleetKeys, reference_id: str, *, by: str, most: int, now: datetime) -> str:
    """Put a proposed reference in use; what is above the limit is set aside, as the way back. Return its subject.

    Raises:
        NotFound: if nothing of this id waits.
        Refused: if the name cannot be taken.
    """
    with database.begin() as connection:
        find_terminals(connection, lock=True)
        waiting = _waiting(connection, reference_id)
        sealed = seal_approver(keys.cipher, by, of=reference_id).sealed
        _put_in_use(connection, waiting.subject_id, reference_id, most=most, now=now, decider_sealed=sealed)
        _note(connection, keys, by, "approved", reference_id, now, subject_id=waiting.subject_id)
    return waiting.subject_id


def reject(database: Database, keys: FleetKeys, reference_id: str, *, by: str, now: datetime) -> str:
    """Erase the features of a proposed reference; return its subject.

    Raises:
        NotFound: if nothing of this id waits.
        Refused: if the name cannot be taken.
    """
    with database.begin() as connection:
        waiting = _waiting(connection, reference_id)
        sealed = seal_approver(keys.cipher, by, of=reference_id).sealed
        made.erase_seal(connection, reference_id)
        lives.decide(connection, reference_id, "rejected", now=now, decider_sealed=sealed, forget=True)
        _note(connection, keys, by, "rejected", reference_id, now, subject_id=waiting.subject_id)
    return waiting.subject_id


def revert(database: Database, keys: FleetKeys, subject_id: str, *, by: str, now: datetime) -> tuple[str, str | None]:
    """Take the newest refresh of a subject out of use and what was set aside for it back in.

    Return the id that was taken out, and the one that came back, None if none had been set aside.

    Raises:
        NotFound: if the subject has no refresh in use.
        Refused: if the name cannot be taken.
    """
    with database.begin() as connection:
        find_terminals(connection, lock=True)
        found = lives.kept(connection, [subject_id], states=("active", "set_aside")).get(subject_id, ())
        refreshed = [kept for kept in found if kept.state == "active" and kept.proposed_record is not None]
        if not refreshed:
            raise NotFound(f"subject {subject_id}: no refreshed reference in use")
        last = max(refreshed, key=lambda kept: kept.decided_at or kept.reference.captured_at)
        last_id = last.reference.reference_id
        sealed = seal_approver(keys.cipher, by, of=last_id).sealed
        lives.decide(connection, last_id, "rejected", now=now, decider_sealed=sealed, forget=True)
        network = last.reference.model_sha256
        aside = [kept for kept in found if kept.state == "set_aside" and kept.reference.model_sha256 == network]
        back = max(aside, key=lambda kept: kept.decided_at or kept.reference.captured_at, default=None)
        if back is not None:
            lives.decide(connection, back.reference.reference_id, "active", now=now, decider_sealed=sealed)
        rosters.touch(connection, subject_id)
        back_id = None if back is None else back.reference.reference_id
        _note(connection, keys, by, "reverted", last_id, now, subject_id=subject_id, back=back_id)
    return last_id, back_id


def _note(
    connection: Connection, keys: FleetKeys, by: str, verb: str, reference_id: str, now: datetime, **ids: str | None
) -> None:
    note(
        connection,
        keys.cipher,
        actor=by,
        action=f"reference.{verb}",
        object_kind="reference",
        object_id=reference_id,
        detail=ids,
        now=now,
    )


def _waiting(connection: Connection, reference_id: str) -> KeptReference:
    found = lives.find_kept(connection, reference_id)
    if found is None or found.state != "proposed":
        raise NotFound(f"reference {reference_id}: does not wait for approval")
    return found


def _put_in_use(
    connection: Connection,
    subject_id: str,
    reference_id: str,
    *,
    most: int,
    now: datetime,
    decider_sealed: bytes | None,
) -> None:
    lives.decide(connection, reference_id, "active", now=now, decider_sealed=decider_sealed)
    active = lives.kept(connection, [subject_id], states=("active",)).get(subject_id, ())
    staying = {kept.reference.reference_id for kept in choose_active(active, most)}
    for kept in active:
        if kept.reference.reference_id not in staying:
            lives.decide(connection, kept.reference.reference_id, "set_aside", now=now, decider_sealed=decider_sealed)
    rosters.touch(connection, subject_id)


def likeness_of(connection: Connection, keys: FleetKeys, one: Reference, other: Reference) -> float:
    """Return the cosine of two references of one network, brought to one domain, -1..1.

    Raises:
        FleetError: if they are of two networks: there is no such number.
    """
    if one.model_sha256 != other.model_sha256:
        raise FleetError(f"references {one.reference_id} and {other.reference_id}: of two networks")
    a, b = one.vector(), other.vector()
    if other.key_domain != one.key_domain:
        known = feature_keys(connection, keys)
        b = rekey(b, known[other.key_domain], known[one.key_domain])
    x, y = a.astype(np.float64), b.astype(np.float64)
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
