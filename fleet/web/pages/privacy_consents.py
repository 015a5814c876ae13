"""Consents and their withdrawals, recorded as they were given on paper or by word."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Annotated

from fastapi import APIRouter, Response

from fleet.privacy import consent
from fleet.store import privacy_pages
from fleet.web.forms import day_in
from fleet.web.lists import listing, moment_in
from fleet.web.pages.privacy import CHANGE, LOOK, may_change, options, tabs
from fleet.web.sending import Refusals, said
from fleet.web.visits import Visit, needs, sends
from protocol.cases import OtherWay

router = APIRouter(include_in_schema=False)
_ONCE = re.compile(r"[0-9a-f]{32}")
"""What a form carries so that a second click records nothing again."""


@router.get("/privacy/consents")
def show_consents(visit: Annotated[Visit, needs(LOOK)], show: str = "", after: str = "", before: str = "") -> Response:
    """Show consents, or withdrawals, the newest first."""
    visit.whole_fleet(LOOK)
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
                connection, below=moment_in(behind), above=moment_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.at.isoformat()}|{row.line_id}",
        )
        names = {row.line_id: visit.opened(row.name_sealed, of=row.subject_id) for row in shown.rows}
        if names:
            visit.note(
                connection,
                "consents.listed",
                "consents",
                "all",
                about=[row.subject_id for row in shown.rows],
                names_shown=len(names),
            )
    return visit.page(
        "privacy/consents.html",
        status=status,
        tabs=tabs(visit, "consents"),
        shown=shown,
        names=names,
        is_withdrawals=show == "withdrawals",
        version_options=[(version, version) for version in reversed(consent.consent_texts())],
        way_options=options(visit, "ways", consent.Way),
        other_way_options=options(visit, "other_ways", OtherWay),
        once=visit.sent.text("once") or secrets.token_hex(16),
        may_change=may_change(visit),
        problems=problems,
        typed=visit.sent.fields,
        form=form,
    )


@router.post("/privacy/consents")
def record(visit: Annotated[Visit, sends(CHANGE)]) -> Response:
    """Record a consent as it was given."""
    visit.whole_fleet(CHANGE)
    sent = visit.sent
    chosen = consent.consent_texts().get(sent.text("version"))
    day = day_in(sent.text("given_on"))
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
def withdraw(visit: Annotated[Visit, sends(CHANGE)]) -> Response:
    """Withdraw somebody's consent: references erased, cards revoked, another way offered."""
    visit.whole_fleet(CHANGE)
    sent = visit.sent
    if sent.text("other_way") not in set(OtherWay):
        return _consents(visit, problems=[visit.texts["privacy"]["unusable"]], status=422, form="withdraw")
    words = visit.texts["privacy"]
    told = [(words["who"], sent.text("who")), (words["other_way"], words["other_ways"][sent.text("other_way")])]
    try:
        visit.make_sure("withdraw", told)
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
