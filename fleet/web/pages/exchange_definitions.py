"""What feeds are: their definitions, who put each into force and why, and new ones, tried on a sample file before.

What is in force stands with the feed in the database and nowhere else; those that come with the program are only what one may begin with.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import FleetError, ImportRefused, Refused
from fleet.exchange import taking_up
from fleet.exchange.cycles import parse_month
from fleet.exchange.definitions import MAX_DEFINITION_BYTES, FeedDefinition, catalogue, read_definition, written
from fleet.exchange.deliveries import definition_of
from fleet.exchange.trying import Trial, try_on
from fleet.store import feeds
from fleet.tables.reading import MAX_BYTES
from fleet.web import saying, sending
from fleet.web.pages.exchange import tabs
from fleet.web.pages.rules_words import faults_of
from fleet.web.texts import REFUSED
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.errors import Problem, ProtocolError

router = APIRouter(include_in_schema=False)
_LOOK = Permission.EXCHANGE
_DELIVER = Permission.EXCHANGE_DELIVER
_PATH = "/exchange/definitions"
_NEW = "/exchange/new-definition"
_TAKE = "take"
"""Value of the button that puts a definition into force."""
_MOST_SHOWN = 200
"""Problems of a sample that a page shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One feed that is in use or comes with the program."""

    name: str
    definition: FeedDefinition
    is_used: bool
    is_shipped: bool
    """Whether it is as it comes with the program."""


@router.get(_PATH)
def definitions(visit: Annotated[Visit, needs(_LOOK)]) -> HTMLResponse:
    """Show every feed that is in use or comes with the program."""
    shipped = catalogue().feeds
    with visit.begin() as connection:
        used = {feed.name: definition_of(connection, feed.name) for feed in feeds.feeds(connection)}
    lines = [
        Line(name, each, name in used, shipped.get(name) == each) for name, each in sorted({**shipped, **used}.items())
    ]
    return visit.page(
        "definitions/list.html",
        group="exchange",
        tabs=tabs(visit, "definitions"),
        lines=sorted(lines, key=lambda line: not line.is_used),
        may_change=_may_change(visit),
    )


@router.get(_PATH + "/{name}")
def definition(visit: Annotated[Visit, needs(_LOOK)], name: str) -> HTMLResponse:
    """Show what a feed is, and who made it so."""
    with visit.begin() as connection:
        is_used = feeds.find_feed(connection, name) is not None
        found = definition_of(connection, name) if is_used else catalogue().feeds.get(name)
        changes = taking_up.changes_of(connection, visit.cipher, name)
    if found is None:
        raise not_found()
    return visit.page(
        "definitions/one.html",
        group="exchange",
        tabs=tabs(visit, "definitions"),
        name=name,
        definition=found,
        is_used=is_used,
        changes=changes,
        text=written(found),
        may_change=_may_change(visit),
    )


@router.get(_NEW)
def form(visit: Annotated[Visit, needs(_DELIVER)], like: str = "") -> HTMLResponse:
    """Show the form for a definition, begun with one that there is."""
    visit.whole_fleet(_DELIVER)
    with visit.begin() as connection:
        is_used = feeds.find_feed(connection, like) is not None
        begun = definition_of(connection, like) if is_used else catalogue().feeds.get(like)
    typed = {"text": "" if begun is None else written(begun), "name": like if is_used else ""}
    return _form(visit, typed)


@router.post(_NEW)
def send(visit: Annotated[Visit, sends(_DELIVER, files=MAX_BYTES)]) -> Response:
    """Try a definition on a sample; or put one into force that was tried as it is."""
    visit.whole_fleet(_DELIVER)
    sent = visit.sent
    files = sent.files.get("file", ())
    raw = files[0].file.read(MAX_DEFINITION_BYTES + 1) if files else sent.fields.get("text", "").encode()
    raw = raw.replace(b"\r\n", b"\n")
    typed = {**sent.fields, "text": raw.decode("utf-8", "replace")}
    try:
        if not raw.strip():
            raise ImportRefused([Problem("nothing was sent", "nothing_sent")])  # noqa: TRY301 - as every other fault
        found = read_definition(raw)
    except ImportRefused as error:
        return _form(visit, typed, faults=faults_of(visit, typed["text"], error.problems), status=422)
    if sent.text("do") == _TAKE:
        return _take(visit, typed, found)
    sample = sending.uploaded(visit, "sample")
    if sample is None:
        return _form(visit, typed, problems=[_sentence(visit, "no_sample")], status=422)
    try:
        trial = try_on(found, sample, today=visit.today)
    except (FleetError, ProtocolError) as error:
        return _form(visit, typed, problems=_said(visit, error), status=422)
    problems = _said(visit, ImportRefused(trial.problems)) if trial.problems else []
    tried = "" if trial.problems else _digest(visit, typed["text"])
    return _form(visit, typed, definition=found, trial=trial, trial_problems=problems, tried=tried)


def _take(visit: Visit, typed: dict[str, str], found: FeedDefinition) -> Response:
    """Put a definition into force, if a sample was read by this very text."""
    sent = visit.sent
    try:
        if not hmac.compare_digest(sent.text("tried"), _digest(visit, typed["text"])):
            raise Refused("not tried on a sample as it is", code="not_tried")  # noqa: TRY301 - as every other refusal
        if not sent.text("reason"):
            raise Refused("no reason", code="no_reason")  # noqa: TRY301 - as every other refusal
        taking_up.take_up(
            visit.console.database,
            visit.keys,
            sent.text("name"),
            found,
            first=parse_month(sent.text("first")) if sent.text("first") else None,
            by=visit.visitor.name,
            reason=sent.text("reason"),
            now=visit.now,
            zone=visit.zone,
        )
    except Refused as error:
        tried = sent.text("tried")
        return _form(visit, typed, definition=found, tried=tried, problems=_said(visit, error), status=422)
    return visit.done(f"{_PATH}/{sent.text('name')}", "definition_in_force")


def _form(
    visit: Visit,
    typed: dict[str, str],
    *,
    definition: FeedDefinition | None = None,
    trial: Trial | None = None,
    trial_problems: Sequence[str] = (),
    tried: str = "",
    problems: Sequence[str] = (),
    faults: Sequence[Any] = (),
    status: int = 200,
) -> HTMLResponse:
    if faults:
        problems = [visit.texts["rules"]["faults_found"].format(count=len(faults))]
    with visit.begin() as connection:
        used = [feed.name for feed in feeds.feeds(connection)]
    return visit.page(
        "definitions/new.html",
        status=status,
        group="exchange",
        tabs=tabs(visit, "definitions"),
        typed=typed,
        definition=definition,
        trial=trial,
        trial_problems=trial_problems[:_MOST_SHOWN],
        tried=tried,
        is_change=typed.get("name", "") in used,
        problems=problems,
        faults=faults,
        begin_with=sorted({*catalogue().feeds, *used}),
        most=MAX_DEFINITION_BYTES,
    )


def _digest(visit: Visit, text: str) -> str:
    """Return what says that this visitor tried this text on a sample; nobody can make it up."""
    # Not the bytes but what they say: a browser may send blanks at the end in another way.
    found = hashlib.sha256(text.strip().encode()).hexdigest()
    return visit.cipher.digest(found, subject_id=visit.visitor.account_id, field_name="tried_definition").hex()


def _said(visit: Visit, error: FleetError | ProtocolError) -> list[str]:
    return saying.all_said(visit.texts["definitions"], error)


def _sentence(visit: Visit, code: str) -> str:
    return str(visit.texts["definitions"][REFUSED][code])


def _may_change(visit: Visit) -> bool:
    return visit.visitor.may(_DELIVER) and visit.tops(_DELIVER) is None
