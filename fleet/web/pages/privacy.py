"""Privacy: the register, what went when its time was over, the filing duty, who looked at whom.

All of it is about the whole fleet: what is erased and who looked at somebody belongs to no area.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.audit.looks import Look, looks_at
from fleet.clock import day_of
from fleet.privacy import filing, register
from fleet.privacy.working_days import load_calendar
from fleet.references.enrol import find_subject
from fleet.store import consents, privacy_pages
from fleet.store.subjects import find_by_id
from fleet.web.beside import Job
from fleet.web.forms import day_in
from fleet.web.labels import scheme_word
from fleet.web.logged import what as done_to
from fleet.web.pages.audit import page_of
from fleet.web.pages.privacy_asked import word_kept
from fleet.web.pages.runs import begin, lately
from fleet.web.sending import HTML, Refusals, download, said
from fleet.web.texts import Texts
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
LOOK = Permission.PRIVACY
CHANGE = Permission.PRIVACY_ERASE
_RUNS = 30
_LOOKS = 200


def tabs(visit: Visit, here: str) -> list[tuple[str, str, bool]]:
    """Return the pages of the group."""
    texts = visit.texts["privacy"]["tabs"]
    names = ("overview", "register", "consents", "erasures", "looks")
    return [("/privacy" if name == "overview" else f"/privacy/{name}", texts[name], name == here) for name in names]


def options(visit: Visit, table: str, codes: Iterable[StrEnum]) -> list[tuple[str, str]]:
    """Return codes with their words in a table of the texts, for a choice."""
    return [(code.value, visit.texts["privacy"][table][code.value]) for code in codes]


def may_change(visit: Visit) -> bool:
    """Return whether the visitor may erase and record, which is done for the whole fleet."""
    return visit.visitor.may(CHANGE) and visit.tops(CHANGE) is None


@router.get("/privacy")
def overview(visit: Annotated[Visit, needs(LOOK)]) -> Response:
    """Show the filing duty, requests that wait, terms, and what went by them."""
    visit.whole_fleet(LOOK)
    return _overview(visit)


def _overview(visit: Visit, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    settings = visit.console.settings
    calendar = load_calendar(settings.privacy.calendar_file)
    with visit.begin() as connection:
        runs = consents.retention_runs(connection, limit=_RUNS)
        marks = consents.marks(connection)
        asked = privacy_pages.asked_erasures(connection, since=visit.now - word_kept(visit))
    persons = runs[0].persons if runs else 0
    found = filing.filing(persons, marks, calendar, today=visit.today)
    return visit.page(
        "privacy/overview.html",
        status=status,
        tabs=tabs(visit, "overview"),
        filing=found,
        counted_at=runs[0].ran_at if runs else None,
        limit=filing.PERSONS,
        left=None if found.deadline is None else calendar.count(visit.today, found.deadline),
        asked=[(each, calendar.count(day_of(each.asked_at, visit.zone), visit.today)) for each in asked],
        runs=[run for run in runs if run.rows],
        terms=_terms(visit),
        lately=lately(visit, "privacy_count"),
        may_change=may_change(visit),
        problems=problems,
        typed=visit.sent.fields,
    )


def _terms(visit: Visit) -> list[tuple[str, int, str]]:
    """Return what is kept how long: its name among the texts, a number, and the unit."""
    settings = visit.console.settings
    kept = settings.privacy
    return [
        ("ended", kept.ended_days, "days"),
        ("erasure_words", kept.erasure_word_days, "days"),
        ("expired", kept.expired_days, "days"),
        ("records", kept.record_years, "years"),
        ("pictures", settings.cases.photo_days, "days"),
        ("unknown", kept.unknown_days, "days"),
        ("strangers", settings.exchange.unknown_days, "days"),
        ("quarantine", kept.quarantine_days, "days"),
        ("reminders", kept.reminder_days, "days"),
        ("photo_imports", kept.photo_import_days, "days"),
        ("webhooks", settings.webhooks.keep_days, "days"),
    ]


@router.post("/privacy/count")
def count(visit: Annotated[Visit, sends(LOOK)]) -> Response:
    """Count faces and on what they rest, now, beside the pages."""
    visit.whole_fleet(LOOK)

    def work(_job: Job) -> Mapping[str, Any]:
        with visit.begin() as connection:
            persons = filing.count(connection, today=visit.today)
            consents.note_retention(connection, {}, persons, now=visit.now)
            bases = consents.bases(connection)
            visit.note(connection, "filing.counted", "filing", "all", persons=persons)
        return {
            "persons": persons,
            "statute": bases.statute,
            "consent": bases.consent,
            "unrecorded": bases.unrecorded,
        }

    return begin(visit, "privacy_count", work)


@router.post("/privacy/filed")
def filed(visit: Annotated[Visit, sends(CHANGE)]) -> Response:
    """Note that the storage of faces was filed."""
    visit.whole_fleet(CHANGE)
    day = day_in(visit.sent.text("on"))
    if day is None or day > visit.today:
        return _overview(visit, problems=[visit.texts["privacy"]["no_day"]], status=422)
    try:
        filing.note_filed(visit.console.database, visit.keys, on=day, by=visit.visitor.name, now=visit.now)
    except Refusals as error:
        return _overview(visit, problems=said(visit, error), status=409)
    return visit.done("/privacy", "filing_noted")


@router.get("/privacy/register")
def show_register(visit: Annotated[Visit, needs(LOOK)], form: str = "") -> Response:
    """Show the register of processing, or give it as a page of its own."""
    visit.whole_fleet(LOOK)
    language: Literal["zh", "en"] = "zh" if visit.language == "zh" else "en"
    found = register.load_register()
    if form == "html":
        return download(register.as_html(found, language).encode(), f"register-{language}.html", HTML)
    heads, rows = register.as_table(found, language)
    return visit.page(
        "privacy/register.html",
        tabs=tabs(visit, "register"),
        title=found.words.title.in_(language),
        register_note=found.words.note.in_(language),
        heads=heads,
        rows=rows,
        sha256=register.register_sha256(),
    )


@router.get("/privacy/looks")
def looks(visit: Annotated[Visit, needs(LOOK)], subject: str = "") -> Response:
    """Show who looked at somebody, or changed something of theirs."""
    visit.whole_fleet(LOOK)
    return _looks(visit, subject)


@router.post("/privacy/looks")
def find(visit: Annotated[Visit, sends(LOOK)]) -> Response:
    """Find somebody by document number or id; a number never stands in an address."""
    visit.whole_fleet(LOOK)
    try:
        with visit.begin() as connection:
            found = find_subject(connection, visit.sent.text("who"), visit.keys)
    except Refusals as error:
        return _looks(visit, "", problems=said(visit, error), status=404)
    return _looks(visit, found)


@dataclass(frozen=True, slots=True)
class LookRow:
    """One entry about a person, in words."""

    look: Look
    action: str
    what: str
    """Which picture, list or way; empty where the action says all."""
    link: str | None
    reason: str


def _look(visit: Visit, look: Look) -> LookRow:
    texts = visit.texts
    detail = look.detail
    what = ""
    if look.action == "picture.viewed":
        what = _word(texts["cases"]["roles"], str(detail.get("role", "")))
    elif "scheme" in detail:
        what = scheme_word(str(detail["scheme"]), visit.texts)
    reason = look.reason or ""
    if look.action == "subject.document_viewed":
        reason = _word(texts["people"]["document_reasons"], str(detail.get("reason", "")))
    else:
        code, _, words = reason.partition(": ")
        known = texts["cases"]["picture_reasons"]
        if look.action == "picture.viewed" and code in known:
            reason = f"{known[code]}: {words}" if words else str(known[code])
    link = None if look.object_kind == "subject" else page_of(look.object_kind, look.object_id)
    return LookRow(look, done_to(texts, look.action), what, link, reason)


def _word(table: Texts, code: str) -> str:
    return str(table[code]) if code in table else code


def _looks(visit: Visit, subject: str, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    entries: list[LookRow] = []
    name = ""
    if subject:
        with visit.begin() as connection:
            person = find_by_id(connection, subject)
            if person is None:
                raise not_found()
            name = visit.opened(person.name_sealed, of=subject)
            entries = [_look(visit, each) for each in looks_at(connection, visit.cipher, subject, limit=_LOOKS)]
            visit.note(connection, "looks.viewed", "subject", subject)
    return visit.page(
        "privacy/looks.html",
        status=status,
        tabs=tabs(visit, "looks"),
        subject=subject,
        name=name,
        entries=entries,
        most=_LOOKS,
        problems=problems,
        typed=visit.sent.fields if problems else {},
    )
