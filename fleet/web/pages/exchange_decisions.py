"""What cannot both be so, for persons to decide; and whom data certified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.exchange.resolving import Keep, find_open, open_contradictions, resolve, words_about
from fleet.status.contradictions import Contradiction, ContradictionKind, Side
from fleet.store import contradictions, exchange_pages
from fleet.store.approvals import Approval
from fleet.store.areas import area_names
from fleet.store.subject_areas import outside_of
from fleet.store.subjects import find_by_id, find_by_ids
from fleet.web.lists import listing, moment_in, place_in
from fleet.web.pages.exchange import tabs
from fleet.web.sending import Refusals, said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
_LOOK = Permission.EXCHANGE
_DECIDE = Permission.CONTRADICTIONS_DECIDE
_PATH = "/exchange/contradictions"


@router.get(_PATH)
def queue(visit: Annotated[Visit, needs(_LOOK)], kind: str = "", after: str = "", before: str = "") -> Response:
    """Show what waits for a decision, the oldest first."""
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        chosen = next((each for each in ContradictionKind if each.value == kind), None)
        is_known = chosen is not None or not kind
        shown = listing(
            _PATH,
            {"kind": kind},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: (
                open_contradictions(
                    connection, codes, kind=chosen, behind=place_in(behind), ahead=place_in(ahead), limit=limit
                )
                if is_known
                else []
            ),
            key=lambda found: f"{found.since}|{found.contradiction_id}",
        )
        names = {
            each.subject_id: visit.opened(each.name_sealed, of=each.subject_id)
            for each in find_by_ids(connection, [found.subject_id for found in shown.rows])
        }
        if names:
            visit.note(
                connection,
                "contradictions.listed",
                "contradiction",
                "queue",
                about=[found.subject_id for found in shown.rows],
                names_shown=len(names),
            )
    return visit.page(
        "exchange/contradictions.html",
        tabs=tabs(visit, "contradictions"),
        shown=shown,
        names=names,
        kinds=[(each.value, visit.texts["exchange"]["kinds"][each.value]) for each in ContradictionKind],
    )


@router.get(_PATH + "/{contradiction_id}")
def contradiction(visit: Annotated[Visit, needs(_LOOK)], contradiction_id: str) -> Response:
    """Show both sides, and what was said about them."""
    return _contradiction(visit, contradiction_id)


def _is_theirs(connection: Connection, subject_id: str, codes: Sequence[str] | None) -> bool:
    return codes is None or not outside_of(connection, [subject_id], codes)


def _contradiction(visit: Visit, contradiction_id: str, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        found = find_open(connection, contradiction_id, codes)
        over = None if found is not None else contradictions.resolution_of(connection, contradiction_id)
        if found is None and (over is None or not _is_theirs(connection, over.subject_id, codes)):
            raise not_found()
        subject_id = found.subject_id if found is not None else over.subject_id if over is not None else ""
        person = find_by_id(connection, subject_id)
        words = words_about(connection, visit.keys, contradiction_id)
        deciding = visit.codes(connection, _DECIDE) if visit.visitor.may(_DECIDE) else []
        may_decide = found is not None and _is_theirs(connection, subject_id, deciding)
        areas = {} if person is None else area_names(connection, {person.area})
        visit.note(connection, "contradiction.viewed", "contradiction", contradiction_id, subject_id=subject_id)
    if person is None:
        raise not_found()
    return visit.page(
        "exchange/contradiction.html",
        status=status,
        tabs=tabs(visit, "contradictions"),
        contradiction_id=contradiction_id,
        found=found,
        over=over,
        person=person,
        areas=areas,
        name=visit.opened(person.name_sealed, of=person.subject_id),
        words=[(keep if _is_told(visit, word, is_open=found is not None) else None, word) for keep, word in words],
        has_said=any(word.name == visit.visitor.name for _, word in words),
        may_decide=may_decide,
        choices=[] if found is None else _choices(visit, found),
        problems=problems,
        typed=visit.sent.fields,
    )


def _is_told(visit: Visit, word: Approval, *, is_open: bool) -> bool:
    """Return whether somebody's word is shown: until it is decided, two persons are two opinions."""
    return not is_open or word.name == visit.visitor.name


def _choices(visit: Visit, found: Contradiction) -> list[tuple[str, str]]:
    """Return what can be decided, each with what it does."""
    texts = visit.texts["exchange"]["keep"]

    def told(side: Side, loser: Side) -> str:
        what = visit.texts["exchange"]["events"][side.what]
        named = what if side.day is None else f"{what} {side.day.isoformat()}"
        return str(texts["two" if loser.is_loss else "one"]).format(side=named)

    return [
        (Keep.FIRST.value, told(found.first, found.second)),
        (Keep.SECOND.value, told(found.second, found.first)),
        (Keep.BOTH.value, texts["both"]),
    ]


@router.post(_PATH + "/{contradiction_id}")
def decide(visit: Annotated[Visit, sends(_DECIDE)], contradiction_id: str) -> Response:
    """Take a person's decision."""
    sent = visit.sent
    with visit.begin() as connection:
        codes = visit.codes(connection, _DECIDE)
        is_open = find_open(connection, contradiction_id, codes) is not None
    if not is_open:
        # Decided meanwhile, or not the visitor's: the page tells one from the other.
        problem = visit.texts["exchange"]["decided_meanwhile"]
        return _contradiction(visit, contradiction_id, problems=[problem], status=409)
    if sent.text("keep") not in set(Keep) or not sent.text("version").isdecimal():
        problem = visit.texts["exchange"]["choose_side"]
        return _contradiction(visit, contradiction_id, problems=[problem], status=422)
    try:
        done = resolve(
            visit.console.database,
            visit.keys,
            contradiction_id,
            Keep(sent.text("keep")),
            name=visit.visitor.name,
            reason=sent.text("reason"),
            judging=visit.console.judging(visit.now),
            now=visit.now,
            zone=visit.zone,
            areas=codes,
            seen=int(sent.text("version")),
        )
    except Refusals as error:
        status = 422 if isinstance(error, Refused) and not sent.text("reason") else 409
        return _contradiction(visit, contradiction_id, problems=said(visit, error), status=status)
    visit.console.after_reports(visit.now)
    code = "contradiction_resolved" if done.is_done else "contradiction_first_word"
    return visit.done(f"{_PATH}/{contradiction_id}", code)


@router.get("/exchange/silent")
def silent(visit: Annotated[Visit, needs(_LOOK)], after: str = "", before: str = "") -> Response:
    """Show whom data certified, the newest first."""
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        shown = listing(
            "/exchange/silent",
            {},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: exchange_pages.silent(
                connection, codes, below=moment_in(behind), above=moment_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.recorded_at.isoformat()}|{row.act_id}",
        )
        names = {row.act_id: visit.opened(row.name_sealed, of=row.subject_id) for row in shown.rows}
        areas = area_names(connection, {row.area for row in shown.rows})
        if names:
            visit.note(
                connection,
                "silent.listed",
                "subjects",
                "silent",
                about=[row.subject_id for row in shown.rows],
                names_shown=len(names),
            )
    return visit.page("exchange/silent.html", tabs=tabs(visit, "silent"), shown=shown, names=names, areas=areas)
