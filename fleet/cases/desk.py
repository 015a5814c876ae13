"""What is handed in at the agency: special certification, the assistance form, a proxy, wrong data.

Source: domain rules R1-18, R4-8, R4-13, R4-18 to R4-22, R8-14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection

from fleet.cases.catalogue import catalogue
from fleet.cases.machine import Kind
from fleet.cases.opening import NewCase, Registry, open_case
from fleet.clock import day_of
from fleet.errors import Refused
from fleet.store import subjects
from fleet.store.case_lists import Wanted, rows_of
from fleet.tables.telephones import telephone_in
from protocol.errors import Problem

AT_THE_DESK = (Kind.SPECIAL, Kind.REMOTE_FORM, Kind.PROXY, Kind.WRONG_DATA)
"""Kinds that people open; visits have commands of their own, everything else opens by itself."""
_MOST_OPEN = 100
_OLDEST = timedelta(days=366)
"""Nothing is taken in that is older: an act of then would be of an earlier cycle of every source (R2-5: twelve months)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for at a desk or by post."""

    kind: Kind
    subject_id: str
    reason: str
    """Why, a code of the catalogue; for wrong data which field."""
    body: str | None = None
    """Who helped with an assistance form."""
    seen_on: date | None = None
    """The day of the newspaper, or on which the form was signed in the person's presence."""
    note: str | None = None
    """Free text; for a telephone number the number."""


class RequestRefused(Refused):
    """A request that cannot be taken in as it stands; everything that is wrong with it stands in `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problems), code="request")
        self.problems = list(problems)


def open_request(connection: Connection, office: Registry, asked: Request, *, by: str, now: datetime) -> str:
    """Open the case of a request and return its id; what must be handed in with it is asked for then.

    Raises:
        RequestRefused: with everything that is wrong with it.
        Refused: if the note cannot be taken.
    """
    known = catalogue()
    if asked.kind not in AT_THE_DESK:
        raise Refused(f"{asked.kind}: not opened by hand; one of {', '.join(AT_THE_DESK)} expected")
    problems = [
        *_reason_problems(asked),
        *_day_problems(asked, day_of(now, office.zone)),
        *_body_problems(connection, asked),
    ]
    if asked.kind is Kind.WRONG_DATA and asked.reason == "phone" and telephone_in(asked.note or "") is None:
        sentence = "note: a telephone number expected, with + before a country's"
        problems.append(Problem(sentence, "phone"))
    problems += _open_problems(connection, asked)
    if problems:
        raise RequestRefused(problems)
    facts: dict[str, str] = {"reason": asked.reason}
    if asked.kind is Kind.WRONG_DATA:
        facts = {"field": asked.reason}
    if asked.body is not None:
        facts["body"] = asked.body
    sampled_at = None
    if asked.seen_on is not None:
        # Nobody knows the hour: noon is of the same day wherever the agency's clocks are set anew.
        sampled_at = min(datetime.combine(asked.seen_on, time(12), office.zone), now)
        facts["newspaper_date" if asked.kind is Kind.SPECIAL else "signed_on"] = asked.seen_on.isoformat()
    needs = known.needs.get(asked.kind, ()) if asked.body is None else known.body(asked.body).needs
    new = NewCase(asked.kind, asked.subject_id, now, facts=facts, needs=needs, sampled_at=sampled_at)
    return open_case(connection, office, new, by=by, note=asked.note, now=now)


def _open_problems(connection: Connection, asked: Request) -> list[Problem]:
    """Return what is open already; of wrong data each field has a case of its own."""
    # Of two who open the same at once, the second sees the case of the first.
    subjects.lock_subjects(connection, [asked.subject_id])
    wanted = Wanted(is_open_only=True, kinds=(asked.kind.value,), subject_id=asked.subject_id)
    return [
        Problem(
            f"case {row.number} of this person and kind is open; add to it (`lifecert-fleet cases add`), or decide it first",
            "open_already",
            number=row.number or row.case_id,
        )
        for row in rows_of(connection, wanted, limit=_MOST_OPEN)
        if asked.kind is not Kind.WRONG_DATA or row.reason == asked.reason
    ]


def _reason_problems(asked: Request) -> list[Problem]:
    fitting = catalogue().opened_for[asked.kind]
    return (
        [] if asked.reason in fitting else [Problem(f"reason: one of {', '.join(fitting)} expected", "request_reason")]
    )


def _day_problems(asked: Request, today: date) -> list[Problem]:
    is_asked_for = asked.kind in (Kind.SPECIAL, Kind.REMOTE_FORM)
    what = "the day of the newspaper" if asked.kind is Kind.SPECIAL else "the day on which the form was signed"
    if asked.seen_on is None:
        code = "day_of_newspaper" if asked.kind is Kind.SPECIAL else "day_signed"
        return [Problem(f"on: {what} expected", code)] if is_asked_for else []
    if not is_asked_for:
        return [Problem(f"on: {asked.kind} has no such day", "no_such_day")]
    if asked.seen_on > today:
        return [Problem(f"on: {asked.seen_on} is still to come", "day_to_come")]
    if asked.seen_on < today - _OLDEST:
        return [Problem(f"on: {asked.seen_on} is more than a year ago", "day_too_old")]
    return []


def _body_problems(connection: Connection, asked: Request) -> list[Problem]:
    known = catalogue()
    if (asked.kind is Kind.REMOTE_FORM) != (asked.body is not None):
        named = ", ".join(known.bodies)
        return [Problem(f"body: who helped, one of {named}, belongs to {Kind.REMOTE_FORM} and only there", "body")]
    if asked.body is None:
        return []
    if asked.body not in known.bodies:
        return [Problem(f"body: one of {', '.join(known.bodies)} expected", "body")]
    if known.bodies[asked.body].is_for_injured_only:
        benefits = subjects.benefits_of(connection, [asked.subject_id]).get(asked.subject_id, {})
        if not any(known.is_injured_or_dependant(benefit.category) for benefit in benefits.values()):
            sentence = "body: a certificate of the unit is enough for the work-injured and for dependants only (R4-21)"
            return [Problem(sentence, "body_for_injured")]
    return []
