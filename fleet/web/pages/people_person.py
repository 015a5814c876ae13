"""One person's page: where they stand and why, what happened, what is stored; every look is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.errors import NotFound, Refused
from fleet.people.person import NOBODY, older_history, person_page, record_of_person, slip_of_person, whole_document
from fleet.store.approvals import NEEDED
from fleet.store.i_am_here import HereCase, open_case_of
from fleet.store.life_events import StoredLifeEvent, life_events_of
from fleet.store.packs import shelf_of
from fleet.store.people import may_see
from fleet.store.timeline import approvals_about, approved_ids
from fleet.web.pages.people_words import told
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.explain import explain, explain_measures
from protocol.slip_words import LANGUAGES, copy_line, slip_lines

router = APIRouter(include_in_schema=False)
LOOK = Permission.PEOPLE
_Seen = TypeVar("_Seen")
DOCUMENT_REASONS = ("compare_document", "ask_authority", "check_duplicate", "correct_data")
"""Why somebody needs a whole number; codes, which stand in the audit log."""


@router.get("/people/{subject_id}")
def person(visit: Annotated[Visit, needs(LOOK)], subject_id: str) -> HTMLResponse:
    """Show a person."""
    return _page(visit, subject_id)


@router.post("/people/{subject_id}")
def document(visit: Annotated[Visit, sends(LOOK)], subject_id: str) -> Response:
    """Show the page with the whole number of the document, for a reason that is written down."""
    reason = visit.sent.text("reason")
    if reason not in DOCUMENT_REASONS:
        return _page(visit, subject_id, problems=[visit.texts["people"]["refused"]["reason_missing"]], status=422)
    try:
        with visit.begin() as connection:
            found = whole_document(
                connection,
                visit.cipher,
                subject_id,
                reason=reason,
                tops=visit.tops(LOOK),
                by=visit.visitor.name,
                now=visit.now,
            )
    except NotFound as error:
        raise not_found() from error
    return _page(visit, subject_id, number=found.number)


@router.get("/people/{subject_id}/older")
def older(visit: Annotated[Visit, needs(LOOK)], subject_id: str, before: str = "") -> HTMLResponse:
    """Show what happened before what is shown already: a part of the page, or a page of its own where there are no scripts."""
    try:
        with visit.begin() as connection:
            settled = _settled(connection, subject_id)
            page = older_history(
                connection,
                visit.cipher,
                subject_id,
                before=before,
                tops=visit.tops(LOOK),
                by=visit.visitor.name,
                now=visit.now,
                zone=visit.zone,
            )
    except (NotFound, Refused) as error:
        # An address that is none of ours is as good as none, whoever it is about.
        raise not_found() from error
    return visit.page(
        "people/history.html" if visit.is_part else "people/older.html",
        entries=[told(entry, visit.texts, settled=settled) for entry in page.entries],
        before=page.before,
        subject_id=subject_id,
    )


@router.get("/people/{subject_id}/records/{record_id}")
def record(visit: Annotated[Visit, needs(LOOK)], subject_id: str, record_id: str) -> HTMLResponse:
    """Show a session with its evidence in sentences."""
    found = _looked(visit, record_of_person, subject_id, record_id)
    evidence = [
        (each, explain(each, visit.language), explain_measures(each, visit.language)) for each in found.record.evidence
    ]
    return visit.page(
        "people/record_part.html" if visit.is_part else "people/record.html",
        found=found,
        record=found.record,
        evidence=evidence,
        subject_id=subject_id,
    )


@router.get("/people/{subject_id}/records/{record_id}/slip")
def slip(visit: Annotated[Visit, needs(LOOK)], subject_id: str, record_id: str) -> HTMLResponse:
    """Show what the terminal's slip of a session said, to be printed as a copy."""
    found = _looked(visit, slip_of_person, subject_id, record_id)
    copies = [(language, copy_line(language), slip_lines(found, language)) for language in LANGUAGES]
    return visit.page("people/slip.html", copies=copies, subject_id=subject_id)


def _looked(visit: Visit, look: Callable[..., _Seen], subject_id: str, record_id: str) -> _Seen:
    """Return what a look at a session of somebody gives, which writes itself down."""
    try:
        with visit.begin() as connection:
            return look(
                connection,
                visit.cipher,
                subject_id,
                record_id,
                tops=visit.tops(LOOK),
                by=visit.visitor.name,
                now=visit.now,
            )
    except NotFound as error:
        raise not_found() from error


@dataclass(frozen=True, slots=True)
class _More:
    """What the page has beside `PersonPage`."""

    settled: frozenset[tuple[str, str]]
    reports: Sequence[StoredLifeEvent]
    """Those that stand."""
    here: HereCase | None
    pack_titles: Mapping[str, str]
    """By id and version, `SX-2018/1`."""
    may: frozenset[str]
    """What the visitor may do about this person."""


def _page(
    visit: Visit, subject_id: str, *, problems: Sequence[str] = (), status: int = 200, number: str | None = None
) -> HTMLResponse:
    try:
        with visit.begin() as connection:
            more = _more(visit, connection, subject_id)
            found = person_page(
                connection,
                visit.cipher,
                subject_id,
                tops=visit.tops(LOOK),
                by=visit.visitor.name,
                now=visit.now,
                zone=visit.zone,
            )
    except NotFound as error:
        raise not_found() from error
    texts = visit.texts["people"]
    return visit.page(
        "people/person.html",
        status=status,
        problems=problems,
        person=found,
        identity=found.identity,
        number=number,
        more=more,
        packs=list(zip(found.standing.reasons, found.days, strict=True)),
        entries=[told(entry, visit.texts, settled=more.settled) for entry in found.history.entries],
        before=found.history.before,
        subject_id=subject_id,
        document_reasons=[(each, texts["document_reasons"][each]) for each in DOCUMENT_REASONS],
    )


def _more(visit: Visit, connection: Connection, subject_id: str) -> _More:
    """Return what else the page needs; asked for before the look is written down, which comes last."""
    if not may_see(connection, subject_id, visit.tops(LOOK)):
        raise NotFound(NOBODY)
    shelf = shelf_of(connection)
    titles = {
        f"{pack.pack_id}/{pack.version}": getattr(pack.title, visit.language) for pack in (*shelf.packs, shelf.default)
    }
    actions = (Permission.PEOPLE_CHANGE, Permission.CASES_OPEN, Permission.CASES, Permission.CONTRADICTIONS_DECIDE)
    return _More(
        _settled(connection, subject_id),
        life_events_of(connection, [subject_id]).get(subject_id, []),
        open_case_of(connection, subject_id),
        titles,
        frozenset(
            each.value
            for each in (*actions, Permission.STOPS, Permission.STOPS_PREPARE)
            if visit.visitor.may(each) and may_see(connection, subject_id, visit.tops(each))
        ),
    )


def _settled(connection: Connection, subject_id: str) -> frozenset[tuple[str, str]]:
    """Return what two persons have agreed on, or one where one is enough: until then nobody is to read the first one's reason."""
    words = Counter(
        (row.object_kind, row.object_id) for row in approvals_about(connection, approved_ids(connection, subject_id))
    )
    reports = life_events_of(connection, [subject_id], with_withdrawn=True).get(subject_id, [])
    over = {each.event_id for each in reports if each.withdrawn_at is not None}
    return frozenset(
        (kind, object_id)
        for (kind, object_id), given in words.items()
        if given >= NEEDED or (kind.startswith("life_event.") and object_id in over)
    )
