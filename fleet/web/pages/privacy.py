"""Privacy: the register, consents, erasures with proof, what went when its time was over, the filing duty, who looked at whom.

All of it is about the whole fleet: what is erased and who looked at somebody belongs to no area.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.audit.log import Question, newest, open_actor
from fleet.clock import day_of
from fleet.privacy import consent, erasure, filing, register
from fleet.privacy.proof import ErasureProof, Ground, read_proof
from fleet.privacy.working_days import load_calendar
from fleet.references.enrol import find_subject
from fleet.store import consents, privacy_pages
from fleet.store.consents import Basis
from fleet.store.subjects import find_by_id
from fleet.web.lists import listing
from fleet.web.pages.exchange_decisions import place_in
from fleet.web.sending import HTML, Refusals, download, said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.cases import OtherWay

router = APIRouter(include_in_schema=False)
_LOOK = Permission.PRIVACY
_CHANGE = Permission.PRIVACY_ERASE
_ONCE = re.compile(r"[0-9a-f]{32}")
"""What a form carries so that a second click records nothing again."""
_RUNS = 30
_LOOKS = 200
_GROUNDS = tuple(ground for ground in Ground if ground is not Ground.RESTORED)
"""What people ask for; erasing again after a backup was restored is done with the proofs."""


def _tabs(visit: Visit, here: str) -> list[tuple[str, str, bool]]:
    texts = visit.texts["privacy"]["tabs"]
    names = ("overview", "register", "consents", "erasures", "looks")
    return [("/privacy" if name == "overview" else f"/privacy/{name}", texts[name], name == here) for name in names]


def _options(visit: Visit, table: str, codes: Iterable[StrEnum]) -> list[tuple[str, str]]:
    return [(code.value, visit.texts["privacy"][table][code.value]) for code in codes]


def _may_change(visit: Visit) -> bool:
    return visit.visitor.may(_CHANGE) and visit.tops(_CHANGE) is None


@router.get("/privacy")
def overview(visit: Annotated[Visit, needs(_LOOK)]) -> Response:
    """Show the filing duty, requests that wait, terms, and what went by them."""
    visit.whole_fleet(_LOOK)
    return _overview(visit)


def _overview(visit: Visit, *, bases: Basis | None = None, problems: Sequence[str] = (), status: int = 200) -> Response:
    settings = visit.console.settings
    calendar = load_calendar(settings.privacy.calendar_file)
    with visit.begin() as connection:
        runs = consents.retention_runs(connection, limit=_RUNS)
        marks = consents.marks(connection)
        asked = privacy_pages.asked_erasures(connection)
    persons = runs[0].persons if runs else 0
    found = filing.filing(persons, marks, calendar, today=visit.today)
    return visit.page(
        "privacy/overview.html",
        status=status,
        tabs=_tabs(visit, "overview"),
        filing=found,
        counted_at=runs[0].ran_at if runs else None,
        limit=filing.PERSONS,
        left=None if found.deadline is None else calendar.count(visit.today, found.deadline),
        asked=[(each, calendar.count(day_of(each.asked_at, visit.zone), visit.today)) for each in asked],
        runs=[run for run in runs if run.rows],
        terms=_terms(visit),
        bases=bases,
        may_change=_may_change(visit),
        problems=problems,
        typed=visit.sent.fields,
    )


def _terms(visit: Visit) -> list[tuple[str, int, str]]:
    """Return what is kept how long: its name among the texts, a number, and the unit."""
    settings = visit.console.settings
    kept = settings.privacy
    return [
        ("ended", kept.ended_days, "days"),
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
def count(visit: Annotated[Visit, sends(_LOOK)]) -> Response:
    """Count faces and on what they rest, now; it takes a while, so it is done when somebody asks."""
    visit.whole_fleet(_LOOK)
    with visit.begin() as connection:
        persons = filing.count(connection, today=visit.today)
        consents.note_retention(connection, {}, persons, now=visit.now)
        bases = consents.bases(connection)
    return _overview(visit, bases=bases)


@router.post("/privacy/filed")
def filed(visit: Annotated[Visit, sends(_CHANGE)]) -> Response:
    """Note that the storage of faces was filed."""
    visit.whole_fleet(_CHANGE)
    day = _day(visit.sent.text("on"))
    if day is None or day > visit.today:
        return _overview(visit, problems=[visit.texts["privacy"]["no_day"]], status=422)
    try:
        filing.note_filed(visit.console.database, visit.keys, on=day, by=visit.visitor.name, now=visit.now)
    except Refusals as error:
        return _overview(visit, problems=said(visit, error), status=409)
    return visit.done("/privacy", "filing_noted")


def _day(written: str) -> date | None:
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


@router.get("/privacy/register")
def show_register(visit: Annotated[Visit, needs(_LOOK)], form: str = "") -> Response:
    """Show the register of processing, or give it as a page of its own."""
    visit.whole_fleet(_LOOK)
    language: Literal["zh", "en"] = "zh" if visit.language == "zh" else "en"
    found = register.load_register()
    if form == "html":
        return download(register.as_html(found, language).encode(), f"register-{language}.html", HTML)
    heads, rows = register.as_table(found, language)
    return visit.page(
        "privacy/register.html",
        tabs=_tabs(visit, "register"),
        title=found.words.title.in_(language),
        register_note=found.words.note.in_(language),
        heads=heads,
        rows=rows,
        sha256=register.register_sha256(),
    )


@router.get("/privacy/consents")
def show_consents(visit: Annotated[Visit, needs(_LOOK)], show: str = "", after: str = "", before: str = "") -> Response:
    """Show consents, or withdrawals, the newest first."""
    visit.whole_fleet(_LOOK)
    return _consents(visit, show=show, after=after, before=before)


def _consents(
    visit: Visit,
    *,
    show: str = "",
    after: str = "",
    before: str = "",
    problems: Sequence[str] = (),
    status: int = 200,
    form: str = "",
) -> Response:
    fetch = privacy_pages.withdrawals if show == "withdrawals" else privacy_pages.consents
    with visit.begin() as connection:
        shown = listing(
            "/privacy/consents",
            {"show": "withdrawals" if show == "withdrawals" else ""},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: fetch(
                connection, below=place_in(behind), above=place_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.at.isoformat()}|{row.line_id}",
        )
        names = {row.line_id: visit.opened(row.name_sealed, of=row.subject_id) for row in shown.rows}
        if names:
            visit.note(connection, "consents.listed", "consents", "all", names_shown=len(names))
    return visit.page(
        "privacy/consents.html",
        status=status,
        tabs=_tabs(visit, "consents"),
        shown=shown,
        names=names,
        is_withdrawals=show == "withdrawals",
        version_options=[(version, version) for version in reversed(consent.consent_texts())],
        way_options=_options(visit, "ways", consent.Way),
        other_way_options=_options(visit, "other_ways", OtherWay),
        once=visit.sent.text("once") or secrets.token_hex(16),
        may_change=_may_change(visit),
        problems=problems,
        typed=visit.sent.fields,
        form=form,
    )


@router.post("/privacy/consents")
def record(visit: Annotated[Visit, sends(_CHANGE)]) -> Response:
    """Record a consent as it was given."""
    visit.whole_fleet(_CHANGE)
    sent = visit.sent
    chosen = consent.consent_texts().get(sent.text("version"))
    day = _day(sent.text("given_on"))
    if chosen is None or day is None or sent.text("way") not in set(consent.Way):
        word = visit.texts["privacy"]["no_day" if day is None else "unusable"]
        return _consents(visit, problems=[word], status=422, form="record")
    start = datetime.combine(day, time(), visit.zone).astimezone(UTC)
    given = consent.Given(
        chosen,
        "en" if sent.text("language") == "en" else "zh",
        consent.Way(sent.text("way")),
        start,
        sent.text("witness") or visit.visitor.name,
    )
    try:
        consent.record(
            visit.console.database,
            visit.keys,
            sent.text("who"),
            given,
            by=visit.visitor.name,
            now=visit.now,
            consent_id=sent.text("once") if _ONCE.fullmatch(sent.text("once")) else "",
        )
    except Refusals as error:
        return _consents(visit, problems=said(visit, error), status=422, form="record")
    return visit.done("/privacy/consents", "consent_recorded")


@router.post("/privacy/withdrawals")
def withdraw(visit: Annotated[Visit, sends(_CHANGE)]) -> Response:
    """Withdraw somebody's consent: references erased, cards revoked, another way offered."""
    visit.whole_fleet(_CHANGE)
    sent = visit.sent
    if sent.text("other_way") not in set(OtherWay):
        return _consents(visit, problems=[visit.texts["privacy"]["unusable"]], status=422, form="withdraw")
    try:
        done = consent.withdraw(
            visit.console.database,
            visit.keys,
            sent.text("who"),
            other_way=OtherWay(sent.text("other_way")),
            by=visit.visitor.name,
            now=visit.now,
        )
    except Refusals as error:
        return _consents(visit, problems=said(visit, error), status=422, form="withdraw")
    return visit.done(
        "/privacy/consents?show=withdrawals", "consent_withdrawn_left" if done.left else "consent_withdrawn"
    )


@router.get("/privacy/erasures")
def show_erasures(visit: Annotated[Visit, needs(_LOOK)], after: str = "", before: str = "") -> Response:
    """Show erasures with their proofs, and those that wait for a second person."""
    visit.whole_fleet(_LOOK)
    return _erasures(visit, after=after, before=before)


def _erasures(
    visit: Visit, *, after: str = "", before: str = "", problems: Sequence[str] = (), status: int = 200
) -> Response:
    calendar = load_calendar(visit.console.settings.privacy.calendar_file)
    with visit.begin() as connection:
        asked = privacy_pages.asked_erasures(connection)
        shown = listing(
            "/privacy/erasures",
            {},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: privacy_pages.proofs(
                connection, below=place_in(behind), above=place_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.erased_at.isoformat()}|{row.erasure_id}",
        )
    return visit.page(
        "privacy/erasures.html",
        status=status,
        tabs=_tabs(visit, "erasures"),
        asked=[(each, calendar.count(day_of(each.asked_at, visit.zone), visit.today)) for each in asked],
        shown=shown,
        proofs={row.erasure_id: _proof(visit, row.proof) for row in shown.rows},
        ground_options=_options(visit, "grounds", _GROUNDS),
        may_change=_may_change(visit),
        problems=problems,
        typed=visit.sent.fields,
    )


def _proof(visit: Visit, token: bytes) -> ErasureProof | None:
    """Return what a proof says, None if its signature does not hold."""
    public = visit.keys.signing.public()
    try:
        return read_proof(token, lambda key_id: public if key_id == public.key_id else None)
    except Refusals:
        return None


@router.post("/privacy/erasures")
def erase(visit: Annotated[Visit, sends(_CHANGE)]) -> Response:
    """Take one person's word that somebody is to be erased; the second person's carries it out."""
    visit.whole_fleet(_CHANGE)
    sent = visit.sent
    if sent.text("ground") not in {ground.value for ground in _GROUNDS}:
        return _erasures(visit, problems=[visit.texts["privacy"]["unusable"]], status=422)
    request = erasure.Request(
        Ground(sent.text("ground")), visit.visitor.name, sent.text("reason"), "although_entitled" in sent.fields
    )
    try:
        done = erasure.erase(
            visit.console.database,
            visit.keys,
            sent.text("who"),
            request,
            fleet_id=visit.console.settings.fleet_id,
            zone=visit.zone,
            now=visit.now,
        )
    except Refusals as error:
        return _erasures(visit, problems=said(visit, error), status=422)
    return visit.done("/privacy/erasures", "erasure_asked" if done.proof is None else "erased")


@router.get("/privacy/erasures/{erasure_id}")
def proof(visit: Annotated[Visit, needs(_LOOK)], erasure_id: str) -> Response:
    """Give the signed proof of an erasure."""
    visit.whole_fleet(_LOOK)
    with visit.begin() as connection:
        token = privacy_pages.proof_of(connection, erasure_id)
    if token is None:
        raise not_found()
    return download(token + b"\n", f"{erasure_id}.jws", "application/jose")


@router.get("/privacy/looks")
def looks(visit: Annotated[Visit, needs(_LOOK)], subject: str = "") -> Response:
    """Show who looked at somebody, or changed something of theirs."""
    visit.whole_fleet(_LOOK)
    return _looks(visit, subject)


@router.post("/privacy/looks")
def find(visit: Annotated[Visit, sends(_LOOK)]) -> Response:
    """Find somebody by document number or id; a number never stands in an address."""
    visit.whole_fleet(_LOOK)
    try:
        with visit.begin() as connection:
            found = find_subject(connection, visit.sent.text("who"), visit.keys)
    except Refusals as error:
        return _looks(visit, "", problems=said(visit, error), status=404)
    return _looks(visit, found)


def _looks(visit: Visit, subject: str, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    entries = []
    name = ""
    if subject:
        with visit.begin() as connection:
            person = find_by_id(connection, subject)
            if person is None:
                raise not_found()
            name = visit.opened(person.name_sealed, of=subject)
            question = Question(object_kind="subject", object_id=subject)
            entries = [
                (each.entry, open_actor(visit.cipher, each))
                for each in newest(connection, visit.cipher, question, limit=_LOOKS)
            ]
            visit.note(connection, "looks.viewed", "subject", subject)
    return visit.page(
        "privacy/looks.html",
        status=status,
        tabs=_tabs(visit, "looks"),
        subject=subject,
        name=name,
        entries=entries,
        most=_LOOKS,
        problems=problems,
        typed=visit.sent.fields if problems else {},
    )
