"""Lists that units and villages hand in, and lists that go out to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.intake.handed_in import Body, Evidence, HandedIn
from fleet.intake.outgoing_lists import Format, make_list
from fleet.intake.unit_lists import TO_REPORT, approve_list, counted, has_taken_in, look, take_in
from fleet.store import exchange_pages, unit_lists
from fleet.store.approvals import NEEDED
from fleet.tables.reading import MAX_BYTES
from fleet.web.forms import day_in
from fleet.web.lists import listing, moment_in
from fleet.web.pages.exchange import tabs
from fleet.web.sending import CSV, HTML, XLSX, Refusals, download, said, uploaded
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.documents import parse_document

router = APIRouter(include_in_schema=False)
_LOOK = Permission.EXCHANGE
_TAKE = Permission.EXCHANGE_DELIVER
_APPROVE = Permission.CONTRADICTIONS_DECIDE
"""Whoever takes lists in does not approve them."""
_PATH = "/exchange/lists"
_MEDIA = {Format.CSV: CSV, Format.XLSX: XLSX, Format.HTML: HTML}


@router.get(_PATH)
def lists(visit: Annotated[Visit, needs(_LOOK)], after: str = "", before: str = "") -> Response:
    """Show what was handed in, the newest first."""
    return _lists(visit, after=after, before=before)


def _lists(
    visit: Visit, *, after: str = "", before: str = "", problems: Sequence[str] = (), status: int = 200, form: str = ""
) -> Response:
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        shown = listing(
            _PATH,
            {},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: exchange_pages.handed_in(
                connection, codes, below=moment_in(behind), above=moment_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.taken_at.isoformat()}|{row.list_id}",
        )
    return visit.page(
        "exchange/lists.html",
        status=status,
        tabs=tabs(visit, "lists"),
        shown=shown,
        needed=NEEDED,
        may_take=visit.visitor.may(_TAKE),
        problems=problems,
        typed=visit.sent.fields,
        form=form,
    )


@router.post(_PATH)
def hand_in(visit: Annotated[Visit, sends(_TAKE, files=MAX_BYTES)]) -> Response:
    """Take a list in, to be approved by two others: all of it or nothing."""
    sent, file = visit.sent, uploaded(visit, "file")
    texts = visit.texts["exchange"]
    missing = [
        texts["needed"].format(what=texts["list"][name])
        for name in ("unit", "handler", "handler_document", "verified_on")
        if not sent.text(name)
    ]
    if file is None:
        missing.append(texts["no_file"])
    day = day_in(sent.text("verified_on"))
    if sent.text("verified_on") and day is None:
        missing.append(texts["no_day"])
    if missing or file is None or day is None:
        return _lists(visit, problems=missing, status=422, form="in")
    try:
        papers = HandedIn(
            body=Body(sent.text("body")) if sent.text("body") in set(Body) else Body.UNIT,
            unit=sent.text("unit"),
            evidence=Evidence(sent.text("evidence")) if sent.text("evidence") in set(Evidence) else Evidence.LIST,
            is_sealed="sealed" in sent.fields,
            matches_originals="originals" in sent.fields,
            register_copies=sent.count("copies"),
            verified_on=day,
            handler=sent.text("handler"),
            handler_document=parse_document(sent.text("handler_document")),
        )
        with visit.begin() as connection:
            codes = visit.codes(connection, _TAKE)
        list_id, _ = take_in(
            visit.console.database,
            visit.keys,
            file,
            papers,
            by=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
            areas=codes,
        )
    except Refusals as error:
        return _lists(visit, problems=said(visit, error), status=422, form="in")
    return visit.done(f"{_PATH}/{list_id}", "list_taken")


@router.get(_PATH + "/{list_id}")
def handed(visit: Annotated[Visit, needs(_LOOK)], list_id: str) -> Response:
    """Show everybody on a list with what becomes of them."""
    return _handed(visit, list_id)


def _handed(visit: Visit, list_id: str, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        if not exchange_pages.is_list_within(connection, list_id, codes):
            raise not_found()
        found = unit_lists.find_unit_list(connection, list_id)
    if found is None:
        raise not_found()
    place, lines = look(
        visit.console.database, visit.keys, list_id, by=visit.visitor.name, now=visit.now, zone=visit.zone
    )
    is_own = has_taken_in(visit.cipher, found, visit.visitor.name)
    return visit.page(
        "exchange/list.html",
        status=status,
        tabs=tabs(visit, "lists"),
        found=found,
        lines=lines[:_MOST],
        left=max(0, len(lines) - _MOST),
        counts=counted(lines),
        reported={result.value for result in TO_REPORT},
        place=place,
        needed=NEEDED,
        may_approve=visit.visitor.may(_APPROVE) and found.decided_at is None and not is_own,
        is_own=is_own and found.decided_at is None and visit.visitor.may(_APPROVE),
        problems=problems,
        typed=visit.sent.fields,
    )


_MOST = 1000
"""Lines of a list that are shown: within 300 KB."""


@router.post(_PATH + "/{list_id}")
def approve(visit: Annotated[Visit, sends(_APPROVE)], list_id: str) -> Response:
    """Approve a list; the second person's approval certifies."""
    with visit.begin() as connection:
        if not exchange_pages.is_list_within(connection, list_id, visit.codes(connection, _APPROVE)):
            raise not_found()
    try:
        place, _ = approve_list(
            visit.console.database,
            visit.keys,
            list_id,
            by=visit.visitor.name,
            reason=visit.sent.text("reason"),
            now=visit.now,
            zone=visit.zone,
        )
    except Refusals as error:
        status = 409 if visit.sent.text("reason") else 422
        return _handed(visit, list_id, problems=said(visit, error), status=status)
    return visit.done(f"{_PATH}/{list_id}", "list_certifies" if place == NEEDED else "list_approved")


@router.post("/exchange/lists-out")
def make(visit: Annotated[Visit, sends(_TAKE)]) -> Response:
    """Give the list of who is to be certified, of a unit or an area."""
    sent, texts = visit.sent, visit.texts["exchange"]
    whose = sent.text("whose")
    if not whose or sent.text("scope") not in ("unit", "area") or sent.text("format") not in set(Format):
        return _lists(visit, problems=[texts["needed"].format(what=texts["out"]["whose"])], status=422, form="out")
    kind = Format(sent.text("format"))
    with visit.begin() as connection:
        codes = visit.codes(connection, _TAKE)
    is_area = sent.text("scope") == "area"
    try:
        made = make_list(
            visit.console.database,
            visit.keys,
            unit=None if is_area else whose,
            area=whose if is_area else None,
            kind=kind,
            language=visit.language,
            by=visit.visitor.name,
            now=visit.now,
            zone=visit.zone,
            within=codes,
        )
    except Refusals as error:
        return _lists(visit, problems=said(visit, error), status=422, form="out")
    if not made.persons:
        return _lists(visit, problems=[texts["nobody"]], status=422, form="out")
    return download(made.content, f"to-certify-{visit.today.isoformat()}.{kind.value}", _MEDIA[kind])
