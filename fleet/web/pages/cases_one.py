"""One case: what is asked, what was found, the word of a reviewer, and the letter to the person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.cases import history
from fleet.cases.answers import letter
from fleet.cases.catalogue import LANGUAGES, texts
from fleet.cases.deciding import Meanwhile, Said, decide_shown
from fleet.cases.history import checked_note
from fleet.cases.machine import Verdict
from fleet.cases.opening import Registry
from fleet.cases.views import note_look
from fleet.errors import FleetError, Refused
from fleet.web.pages.cases import CASES, Looks, clock_on
from fleet.web.pages.cases_shown import demand_within, shown_of
from fleet.web.visits import Visit, sends

router = APIRouter(include_in_schema=False)
Reviews = Annotated[Visit, sends(Permission.CASES_REVIEW)]
_VERSION_DIGITS = 9


@router.get(CASES + "/{case_id}")
def show(case_id: str, visit: Looks) -> Response:
    """Show one case; that it was looked at is written down."""
    return case_page(visit, case_id)


@router.post(CASES + "/{case_id}/decision")
def decide(case_id: str, visit: Reviews) -> Response:
    """Take the visitor's word."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, Permission.CASES_REVIEW)
    problems = visit.texts["cases"]["problems"]
    verdict, _, reason = visit.sent.text("word").partition(".")
    if verdict not in set(Verdict) or not reason:
        return case_page(visit, case_id, status=422, problems=[problems["verdict"]])
    version = visit.sent.text("version")
    seen = int(version) if version.isdecimal() and len(version) <= _VERSION_DIGITS else 0
    typed = visit.sent.text("note")
    try:
        said = Said(Verdict(verdict), reason, visit.visitor.name, checked_note(typed) if typed else None)
        decide_shown(visit.console.database, office_of(visit), case_id, said, version=seen, now=visit.now)
    except Meanwhile as error:
        return case_page(visit, case_id, status=409, problems=[sentence(visit, error)], since=seen)
    except Refused as error:
        return case_page(visit, case_id, status=409 if error.code else 422, problems=[sentence(visit, error)])
    return visit.done(f"{CASES}/{case_id}", "case_word")


@router.get(CASES + "/{case_id}/letter")
def show_letter(case_id: str, visit: Looks) -> Response:
    """Show the letter to the person in every language, as it is printed; that somebody has it is written down."""
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, Permission.CASES)
        is_known = history.read(connection, case_id).subject_id is not None
        letters = [
            (
                language,
                letter(
                    connection,
                    office_of(visit),
                    case_id,
                    language=language,
                    by=visit.visitor.name,
                    now=visit.now,
                ),
            )
            for language in (LANGUAGES if is_known else ())
        ]
    return visit.page("cases/letter.html", case_id=case_id, letters=letters)


def case_page(
    visit: Visit,
    case_id: str,
    *,
    status: int = 200,
    problems: Iterable[str] = (),
    since: int | None = None,
    opened: Sequence[tuple[str, str]] = (),
    scans: Sequence[str] = (),
    **more: Any,
) -> Response:
    """Return the page of a case.

    Args:
        visit: the request.
        case_id: which case.
        status: of the answer.
        problems: sentences above the page.
        since: how many events the visitor had been shown; what happened afterwards stands above the page.
        opened: role and address of each picture that was opened for this answer.
        scans: roles of documents that are not shown in a page.
        more: for the template.
    """
    with visit.begin() as connection:
        shown = shown_of(visit, connection, case_id)
        note_look(connection, office_of(visit), shown.case, visit.visitor.name, visit.now)
    return visit.page(
        "cases/one.html",
        status=status,
        shown=shown,
        clock=clock_on(shown.case.state, shown.due_on, visit.today),
        said=texts(visit.language),
        problems=list(problems),
        meanwhile=[] if since is None else shown.entries[since:],
        typed=visit.sent.fields,
        opened=opened,
        scans=scans,
        **more,
    )


def office_of(visit: Visit) -> Registry:
    """Return what the functions of cases work with."""
    return Registry(visit.cipher, visit.zone)


def sentence(visit: Visit, error: FleetError) -> str:
    """Return in the visitor's language why something was refused."""
    known = visit.texts["cases"]["problems"]
    return str(known[error.code if error.code in known else "other"]).format(**error.facts)
