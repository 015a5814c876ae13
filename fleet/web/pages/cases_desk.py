"""Cases that are opened at the desk, and what is handed in for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from fleet.accounts.roles import Permission
from fleet.cases.catalogue import catalogue
from fleet.cases.desk import AT_THE_DESK, Request, open_request
from fleet.cases.files import MAX_PDF_BYTES, FaceProgram, Role, add_file, check_content, noon_of, rules_of_case
from fleet.cases.machine import Kind
from fleet.errors import FleetError, NotFound
from fleet.web.forms import day_in
from fleet.web.pages.cases_case import case_page
from fleet.web.pages.cases_words import demand_within, letter_words, office_of, person_within, refusals
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
_OPEN = Permission.CASES_OPEN


@router.get("/cases/new")
def new(visit: Annotated[Visit, needs(_OPEN)], person: str = "") -> HTMLResponse:
    """Show the form; a person is named in the address by their opaque id only."""
    return _form(visit, who=person[:64])


@router.post("/cases/new")
def open_it(visit: Annotated[Visit, sends(_OPEN)]) -> Response:
    """Open the case of a request."""
    sent = visit.sent
    kind, _, reason = sent.text("asked").partition(":")
    who = sent.text("who")
    seen_on = day_in(sent.text("seen_on"))
    problems = [
        code
        for code, is_wrong in (
            ("request_reason", kind not in AT_THE_DESK),
            ("day_unreadable", bool(sent.text("seen_on")) and seen_on is None),
        )
        if is_wrong
    ]
    if problems:
        return _form(visit, who=who, problems=[_refused(visit, code) for code in problems], status=422)
    try:
        with visit.begin() as connection:
            subject_id = person_within(visit, connection, who, _OPEN)
            asked = Request(
                Kind(kind), subject_id, reason, sent.text("body") or None, seen_on, sent.text("note") or None
            )
            case_id = open_request(connection, office_of(visit), asked, by=visit.visitor.name, now=visit.now)
    except NotFound:
        # The same words for a number that nobody has and for somebody elsewhere.
        return _form(visit, who=who, problems=[_refused(visit, "nobody")], status=422)
    except FleetError as error:
        return _form(visit, who=who, problems=refusals(visit, error), status=422)
    return visit.done(f"/cases/{case_id}", "case_opened")


@router.post("/cases/{case_id}/files")
def add(visit: Annotated[Visit, sends(_OPEN, files=MAX_PDF_BYTES)], case_id: str) -> Response:
    """Take a file in: checked, sealed, and never written anywhere in the open."""
    sent = visit.sent
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, _OPEN)
    day, role = day_in(sent.text("day")), sent.text("role")
    content = _content(visit)
    missing = "no_file" if content is None else "no_role" if role not in list(Role) else ""
    if sent.text("day") and day is None:
        missing = "day_unreadable"
    if missing or content is None:
        return case_page(visit, case_id, problems=[_refused(visit, missing)], status=422)
    made = visit.console.settings.references
    try:
        checked = check_content(
            role,
            content,
            Role(role),
            rules_of_case(visit.console.database, case_id),
            FaceProgram(made.feature_command(), made.timeout_s),
        )
        add_file(
            visit.console.database,
            visit.keys,
            office_of(visit),
            case_id,
            Role(role),
            checked,
            by=visit.visitor.name,
            sampled_at=None if day is None else noon_of(day, visit.zone, visit.now),
            now=visit.now,
        )
    except FleetError as error:
        return case_page(visit, case_id, problems=refusals(visit, error), status=422)
    return visit.done(f"/cases/{case_id}", "case_file_added")


def _form(visit: Visit, *, who: str, problems: Sequence[str] = (), status: int = 200) -> HTMLResponse:
    known = catalogue()
    choices: dict[str, list[tuple[str, str]]] = {
        kind.value: [(f"{kind}:{code}", letter_words(visit, "opened_for", code)) for code in known.opened_for[kind]]
        for kind in AT_THE_DESK
    }
    contents: dict[str, Any] = {
        "who": who,
        "choices": choices,
        "bodies": [(code, letter_words(visit, "bodies", code)) for code in known.bodies],
        "problems": problems,
    }
    return visit.page("cases/new.html", status=status, **contents)


def _content(visit: Visit) -> bytes | None:
    """Return the file that was sent; None if none was."""
    files = visit.sent.files.get("file", ())
    if not files:
        return None
    with files[0].file as opened:
        # One byte more tells that it is too large.
        return opened.read(MAX_PDF_BYTES + 1)


def _refused(visit: Visit, code: str) -> str:
    return str(visit.texts["cases"]["refused"][code])
