"""One case: the decision of the record replayed, what was handed in, taking it up, one's word on it, the letter, closing it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from fleet.accounts.roles import Permission
from fleet.cases.answers import FOR_THE_PERSON
from fleet.cases.catalogue import LANGUAGES, Reason, catalogue
from fleet.cases.deciding import CLOSED_UNDECIDED, Said, close, closings_asked, decide, take_up
from fleet.cases.dossier import Dossier, dossier
from fleet.cases.files import Role
from fleet.cases.letters import letter
from fleet.cases.machine import DECIDED, OVER, Case, State, Verdict
from fleet.cases.standing import Standing, Waits
from fleet.errors import FleetError
from fleet.store.areas import area_names
from fleet.store.case_queue import area_of
from fleet.web.pages.cases_words import demand_within, is_within, letter_words, office_of, refusals
from fleet.web.visits import Visit, needs, sends
from protocol.documents import mask, parse_document
from protocol.errors import Malformed
from protocol.explain import explain, explain_measures
from protocol.rules.days import age_on

router = APIRouter(include_in_schema=False)
_LOOK, _DECIDE, _OPEN = Permission.CASES, Permission.CASES_REVIEW, Permission.CASES_OPEN
_WRITTEN = OVER | {State.MORE_EVIDENCE}
"""States of which there is something to write to the person."""
PICTURE_REASONS = ("compare", "document", "date", "sharper", "other")
"""Why somebody opens a picture; `other` needs words."""


@router.get("/cases/{case_id}")
def one(visit: Annotated[Visit, needs(_LOOK)], case_id: str) -> HTMLResponse:
    """Show a case; who looks is written down."""
    return case_page(visit, case_id)


@router.post("/cases/{case_id}/take-up")
def take(visit: Annotated[Visit, sends(_DECIDE)], case_id: str) -> Response:
    """Begin a review; pressed twice it is begun once."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, _DECIDE)
    try:
        take_up(visit.console.database, office_of(visit), case_id, by=visit.visitor.name, now=visit.now)
    except FleetError as error:
        return case_page(visit, case_id, problems=refusals(visit, error), status=409)
    return visit.done(f"/cases/{case_id}", "case_taken_up")


@router.post("/cases/{case_id}/decide")
def say(visit: Annotated[Visit, sends(_DECIDE)], case_id: str) -> Response:
    """Take the visitor's word on a case."""
    verdict, _, reason = visit.sent.text("said").partition(":")
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, _DECIDE)
    if verdict not in list(Verdict):
        return case_page(visit, case_id, problems=[_refused(visit, "no_reason")], status=422)
    said = Said(Verdict(verdict), reason, visit.visitor.name, visit.sent.text("note") or None)
    words = visit.texts["cases"]
    told = [
        (words["decision"], words["verdicts"][verdict]),
        (words["why"], words["check"][reason] if reason in words["check"] else ""),  # noqa: SIM401 - no mapping
        (words["note"], visit.sent.text("note")),
    ]
    try:
        visit.make_sure("decide_case", told)
        case = decide(
            visit.console.database, office_of(visit), case_id, said, seen=visit.sent.count("version"), now=visit.now
        )
    except FleetError as error:
        status = 422 if error.code in ("no_reason", "note_length") else 409
        return case_page(visit, case_id, problems=refusals(visit, error), status=status)
    return visit.done(f"/cases/{case_id}", "case_decided" if case.state in DECIDED else "case_said")


@router.post("/cases/{case_id}/close")
def close_it(visit: Annotated[Visit, sends(_DECIDE)], case_id: str) -> Response:
    """Close a case that was answered, or needs no decision."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, _DECIDE)
    reason = visit.sent.text("closing")
    try:
        case = close(
            visit.console.database,
            office_of(visit),
            case_id,
            by=visit.visitor.name,
            reason=reason,
            seen=visit.sent.count("version"),
            now=visit.now,
        )
    except FleetError as error:
        return case_page(visit, case_id, problems=refusals(visit, error), status=409)
    return visit.done(f"/cases/{case_id}", "case_closed" if case.state is State.CLOSED else "case_closing_asked")


@router.post("/cases/{case_id}/letter")
def write(visit: Annotated[Visit, sends(_LOOK)], case_id: str) -> Response:
    """Show the letter in one language, as it is printed; that somebody has it is written down."""
    language = visit.sent.text("language") or visit.language
    try:
        with visit.begin() as connection:
            demand_within(visit, connection, case_id, _LOOK)
            written = letter(
                connection,
                office_of(visit),
                case_id,
                agency=visit.console.settings.agency.words,
                language=language,
                by=visit.visitor.name,
                now=visit.now,
            )
    except FleetError as error:
        return case_page(visit, case_id, problems=refusals(visit, error), status=409)
    others = [each for each in LANGUAGES if each != language]
    return visit.page("cases/letter.html", case_id=case_id, written=written, tongue=language, others=others)


def case_page(
    visit: Visit, case_id: str, *, problems: Sequence[str] = (), status: int = 200, **more: Any
) -> HTMLResponse:
    """Return the page of a case, with what was typed and what is wrong with it."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, _LOOK)
        area = area_of(connection, case_id)
        may_review = is_within(visit, connection, case_id, _DECIDE)
        may_add = is_within(visit, connection, case_id, _OPEN)
        names = area_names(connection, [area] if area else [])
        closings = closings_asked(connection, office_of(visit), case_id)
        found = dossier(connection, office_of(visit), case_id, by=visit.visitor.name, now=visit.now)
    case = found.case
    return visit.page(
        "cases/case.html",
        status=status,
        found=found,
        case=case,
        person=_person(visit, found, is_whole=may_review),
        area=names.get(area or "", area),
        is_late=case.state not in OVER and case.first.due_on < visit.today,
        days_left=(case.first.due_on - visit.today).days,
        evidence=_evidence(visit, found),
        quality=_quality(visit, found),
        may_take_up=may_review and found.standing is Standing.MAY_DECIDE and not found.is_taken_up,
        may_decide=may_review and found.standing is Standing.MAY_DECIDE and found.is_taken_up,
        may_open=may_review and found.standing is not Standing.TOOK_IN,
        may_close=may_review and found.standing is not Standing.TOOK_IN and case.state is not State.CLOSED,
        is_decided=case.state in DECIDED,
        closings_asked=closings,
        may_add=may_add and found.waits is not Waits.NOTHING,
        is_over=case.state in OVER,
        roles=[role.value for role in Role],
        choices=_choices(case),
        closings=["finished"] if case.state in DECIDED else CLOSED_UNDECIDED,
        picture_reasons=PICTURE_REASONS,
        has_letter=found.subject is not None and case.kind in FOR_THE_PERSON and case.state in _WRITTEN,
        reason_words={code: letter_words(visit, "reasons", code) for code in catalogue().reasons},
        word=lambda table, code: letter_words(visit, table, code),
        problems=problems,
        **more,
    )


def _person(visit: Visit, found: Dossier, *, is_whole: bool) -> dict[str, Any] | None:
    """Return who it is about; with day of birth and the end of the document's number for whoever compares them with what was handed in."""
    subject = found.subject
    if subject is None:
        return None
    person: dict[str, Any] = {
        "name": visit.opened(subject.name_sealed, of=subject.subject_id),
        "age": None if subject.birth_date is None else age_on(subject.birth_date, visit.today),
        "document": None,
    }
    if is_whole:
        opened = visit.opened(subject.document_sealed, of=subject.subject_id, field_name="document")
        # What does not open is no document.
        with suppress(Malformed):
            person |= {"document": mask(parse_document(opened)), "born": subject.birth_date}
    return person


def _evidence(visit: Visit, found: Dossier) -> list[dict[str, Any]]:
    """Return every kind of evidence with its sentence, and how far its score is from its threshold."""
    return [
        {
            "kind": result.kind.value,
            "status": result.status.value,
            "score": result.score,
            "threshold": result.threshold,
            "top": max(1.0, result.score or 0.0, result.threshold or 0.0),
            "sentence": explain(result, visit.language),
            "measures": explain_measures(result, visit.language),
        }
        for result in (found.record.evidence if found.record else ())
    ]


def _quality(visit: Visit, found: Dossier) -> list[tuple[str, float]]:
    """Return the components of quality by the words that the policy's page has for them; larger values are better."""
    known = visit.texts["rules"]["policy"]["fields"]["minimum"]
    measured = found.record.quality if found.record else {}
    return [(known[name] if name in known else name, value) for name, value in measured.items()]  # noqa: SIM401 - no mapping


def _choices(case: Case) -> list[tuple[Verdict, list[tuple[int, Reason]]]]:
    """Return the closed list of reasons by verdict, numbered through."""
    fitting = [each for each in catalogue().reasons.values() if case.kind in each.kinds]
    numbered = list(enumerate(sorted(fitting, key=lambda each: list(Verdict).index(each.verdict)), 1))
    return [
        (verdict, found)
        for verdict in Verdict
        if (found := [(number, each) for number, each in numbered if each.verdict is verdict])
    ]


def _refused(visit: Visit, code: str) -> str:
    return str(visit.texts["cases"]["refused"][code])
