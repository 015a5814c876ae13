"""Reviews and decisions, and what a decision does: an act that certifies, data that change, an answer to the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fleet.audit.log import note as note_audit
from fleet.benefits.acts import take_acts
from fleet.cases import history, open_words
from fleet.cases.catalogue import catalogue
from fleet.cases.machine import Case, Event, Kind, State, Step, Verdict, demand_closable
from fleet.cases.opening import Registry
from fleet.clock import day_of
from fleet.errors import Refused
from fleet.store import case_events, subjects
from fleet.store.acts import NewAct
from fleet.store.approvals import NEEDED, Approval, approvals_of, approve
from fleet.store.database import Database
from fleet.store.records import record_of
from fleet.store.reminders import note_occasion
from fleet.store.webhooks import tell_case_answered
from fleet.tables.telephones import telephone_in
from protocol.rules.acts import ActKind, Channel

CERTIFYING: Mapping[Kind, ActKind] = {
    # The session itself was live; two persons say what the machine could not (R6-1, R6-2).
    Kind.APPEAL: ActKind.LIVE,
    Kind.SPECIAL: ActKind.SPECIAL,
    Kind.REMOTE_FORM: ActKind.SPECIAL,
    Kind.HOME_VISIT: ActKind.SPECIAL,
}
"""Kinds of case that certify when two persons pass them. No other does: a photograph cannot tell the living from the dead (R1-19), a proxy
acts for somebody who was not seen (R4-19)."""
CLOSINGS = ("finished", "withdrawn", "mistake")
"""Why somebody closes a case."""
CLOSED_UNDECIDED = ("withdrawn", "mistake")
"""Why one is closed that needs no decision, by two persons."""
CLOSING = "case_closing"
"""Kind of object under which `fleet.store.approvals` has the words on closing a case that was not decided."""


@dataclass(frozen=True, slots=True)
class Said:
    """One reviewer's verdict as it is given."""

    verdict: Verdict
    reason: str
    by: str
    note: str | None = None


def take_up(database: Database, office: Registry, case_id: str, *, by: str, now: datetime) -> Case:
    """Begin a person's review of a case: they are shown all of it next, which is written down here.

    Raises:
        NotFound: if there is no such case.
        NotAllowed: if it cannot be reviewed now, or not by this person.
    """
    with database.begin() as connection:
        case = history.locked(connection, case_id)
        history.demand_no_operator(connection, case_id, by)
        event = Event(Step.TAKEN_UP, now, by=history.person(office.cipher, by, case_id))
        case = history.add(connection, office.cipher, case, event, name=by)
        _note(connection, office, "case.taken_up", case_id, by, {"state": case.state.value}, now)
    return case


def decide(
    database: Database, office: Registry, case_id: str, said: Said, *, seen: int | None = None, now: datetime
) -> Case:
    """Take one reviewer's verdict; where it decides the case, do what follows in the same transaction.

    Args:
        database: where.
        office: cipher and time zone.
        case_id: which case.
        said: the verdict.
        seen: number of events of the case that the reviewer saw; None where nobody counted.
        now: when.

    Raises:
        NotFound: if there is no such case.
        NotAllowed: if the machine does not allow it.
        Refused: if the reason is none of this verdict and kind, or what is to be certified is not known.
    """
    with database.begin() as connection:
        case = history.locked(connection, case_id)
        history.demand_unchanged(connection, case_id, seen)
        history.demand_no_operator(connection, case_id, said.by)
        case = open_words.without_void(connection, office, case, now=now)
        history.demand_unbound(connection, office.cipher, case, said.by)
        reason = catalogue().reason(said.reason, case.kind, said.verdict)
        if said.verdict is Verdict.PASSED:
            _check_passable(connection, case, office, now)
        event = Event(
            Step.VERDICT,
            now,
            by=history.person(office.cipher, said.by, case_id),
            verdict=said.verdict,
            reason=reason.code,
            ways=reason.ways,
        )
        case = history.add(connection, office.cipher, case, event, name=said.by, note=said.note)
        if case.state is State.PASSED:
            _carry_out(connection, office, case, now=now)
        if case.state in (State.PASSED, State.REFUSED):
            tell_case_answered(connection, case_id, case.subject_id)
            if case.kind is Kind.APPEAL and case.subject_id is not None:
                answered_on = day_of(now, office.zone)
                note_occasion(connection, case.subject_id, "appeal_answered", answered_on, now=now)
        detail = {
            "kind": case.kind.value,
            "verdict": said.verdict.value,
            "reason": reason.code,
            "state": case.state.value,
        }
        _note(connection, office, "case.decided", case_id, said.by, detail, now)
    return case


def close(
    database: Database, office: Registry, case_id: str, *, by: str, reason: str, seen: int | None = None, now: datetime
) -> Case:
    """Close a case: one that was decided and answered, or, by the words of two persons, one that needs no decision.

    Returns:
        The case; after the first of two words it is as it was.

    Raises:
        NotFound: if there is no such case.
        NotAllowed: if it is closed, or this person took it in.
        Refused: if the reason is none of such a case, or this person has said so before.
    """
    if reason not in CLOSINGS:
        raise Refused(f"reason: one of {', '.join(CLOSINGS)} expected", code="no_reason")
    with database.begin() as connection:
        case = history.locked(connection, case_id)
        history.demand_unchanged(connection, case_id, seen)
        history.demand_no_operator(connection, case_id, by)
        who = history.person(office.cipher, by, case_id)
        if not demand_closable(case, who):
            if reason not in CLOSED_UNDECIDED:
                raise Refused(
                    f"case {case_id}: is not decided; closed as {', '.join(CLOSED_UNDECIDED)}", code="undecided"
                )
            of = closing_of(connection, case_id, reason)
            if approve(connection, office.cipher, CLOSING, of, name=by, reason=reason, now=now) < NEEDED:
                _note(connection, office, "case.closing_asked", case_id, by, {"reason": reason}, now)
                return case
        event = Event(Step.CLOSED, now, by=who, reason=reason)
        case = history.add(connection, office.cipher, case, event, name=by)
        _note(connection, office, "case.closed", case_id, by, {"reason": reason}, now)
    return case


def closing_of(connection: Connection, case_id: str, reason: str) -> str:
    """Return under which id the words on closing a case stand: they are about the case as it is, and not as it may go on."""
    return f"{case_id}/{reason}/{len(case_events.events_of(connection, case_id))}"


def closings_asked(connection: Connection, office: Registry, case_id: str) -> dict[str, Approval]:
    """Return the first words on closing a case as it is, by reason."""
    found = {
        reason: approvals_of(connection, office.cipher, CLOSING, closing_of(connection, case_id, reason))
        for reason in CLOSED_UNDECIDED
    }
    return {reason: words[0] for reason, words in found.items() if words}


def _check_passable(connection: Connection, case: Case, office: Registry, now: datetime) -> None:
    if case.kind not in CERTIFYING:
        return
    if case.subject_id is None:
        raise Refused(
            f"case {case.case_id}: nobody known here is meant; import the person, then `cases rebuild`",
            code="nobody_known",
        )
    if case.kind is Kind.APPEAL and case_events.is_chain_broken(connection, [each.record_id for each in case.sources]):
        raise Refused(
            f"case {case.case_id}: the chain of its terminal is broken at this record; look at the terminal first",
            code="chain_broken",
        )
    if case.kind in (Kind.REMOTE_FORM, Kind.HOME_VISIT) and case.sampled_at is None:
        raise Refused(
            f"case {case.case_id}: on which day was the person seen? Add the form with --on DAY", code="no_day_seen"
        )
    written = case.facts.get("newspaper_date")
    if written is not None and written > day_of(now, office.zone).isoformat():
        raise Refused(
            f"case {case.case_id}: the newspaper is of {written}, which is still to come", code="newspaper_to_come"
        )


def _carry_out(connection: Connection, office: Registry, case: Case, *, now: datetime) -> None:
    if case.kind in CERTIFYING and case.subject_id is not None:
        act = NewAct(
            case.subject_id, CERTIFYING[case.kind], channel_of(connection, case), case.sample_at, "case", case.case_id
        )
        take_acts(connection, [act], now=now, zone=office.zone)
    if case.kind is Kind.WRONG_DATA and case.facts.get("field") == "phone" and case.subject_id is not None:
        _save_phone(connection, office, case)


def channel_of(connection: Connection, case: Case) -> Channel:
    """Return the way by which what a case certifies came."""
    if case.kind is Kind.SPECIAL:
        return Channel.PHOTOGRAPHS
    if case.kind is Kind.HOME_VISIT:
        return Channel.HOME_VISIT
    if case.kind is Kind.REMOTE_FORM:
        return catalogue().body(case.facts["body"]).channel
    record = None if case.first.record_id is None else record_of(connection, case.first.record_id)
    return Channel.TERMINAL if record is None or record.visit is None else Channel.HOME_VISIT


def _save_phone(connection: Connection, office: Registry, case: Case) -> None:
    """Take over a telephone number that two persons confirmed (R8-14); it stands in the note of the opening."""
    number = history.told(connection, office.cipher, case.case_id)[0].note
    if number is not None and case.subject_id is not None:
        sealed = office.cipher.encrypt(telephone_in(number) or number, subject_id=case.subject_id, field_name="phone")
        subjects.save_phone(connection, case.subject_id, sealed)


def _note(
    connection: Connection,
    office: Registry,
    action: str,
    case_id: str,
    by: str,
    detail: Mapping[str, str],
    now: datetime,
) -> None:
    note_audit(
        connection,
        office.cipher,
        actor=by,
        action=action,
        object_kind="case",
        object_id=case_id,
        detail=detail,
        now=now,
    )
