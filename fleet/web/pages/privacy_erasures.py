"""Erasures, which two persons ask for, and their signed proofs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Response

from fleet.clock import day_of
from fleet.privacy import erasure
from fleet.privacy.proof import ErasureProof, Ground, read_proof
from fleet.privacy.working_days import load_calendar
from fleet.store import privacy_pages
from fleet.web.lists import listing, moment_in
from fleet.web.pages.privacy import CHANGE, LOOK, may_change, options, tabs
from fleet.web.pages.privacy_asked import told_asked, word_kept
from fleet.web.sending import Refusals, download, said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
_GROUNDS = tuple(ground for ground in Ground if ground is not Ground.RESTORED)
"""What people ask for; erasing again after a backup was restored is done with the proofs."""


@router.get("/privacy/erasures")
def show_erasures(visit: Annotated[Visit, needs(LOOK)], after: str = "", before: str = "") -> Response:
    """Show erasures with their proofs, and those that wait for a second person."""
    visit.whole_fleet(LOOK)
    return _erasures(visit, after=after, before=before)


def _erasures(
    visit: Visit, *, after: str = "", before: str = "", problems: Sequence[str] = (), status: int = 200
) -> Response:
    calendar = load_calendar(visit.console.settings.privacy.calendar_file)
    with visit.begin() as connection:
        asked = privacy_pages.asked_erasures(connection, since=visit.now - word_kept(visit))
        shown = listing(
            "/privacy/erasures",
            {},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: privacy_pages.proofs(
                connection, below=moment_in(behind), above=moment_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.erased_at.isoformat()}|{row.erasure_id}",
        )
    return visit.page(
        "privacy/erasures.html",
        status=status,
        tabs=tabs(visit, "erasures"),
        asked=[
            (told_asked(visit, each), calendar.count(day_of(each.asked_at, visit.zone), visit.today)) for each in asked
        ],
        shown=shown,
        proofs={row.erasure_id: _proof(visit, row.proof) for row in shown.rows},
        ground_options=options(visit, "grounds", _GROUNDS),
        may_change=may_change(visit),
        problems=problems,
        typed=visit.sent.fields,
    )


def _proof(visit: Visit, token: bytes) -> ErasureProof | None:
    """Return what a proof says, None if its signature does not hold."""
    try:
        return read_proof(token, visit.keys.signing.public().only)
    except Refusals:
        return None


@router.post("/privacy/erasures")
def erase(visit: Annotated[Visit, sends(CHANGE, is_fresh=True)]) -> Response:
    """Take one person's word that somebody is to be erased; the second person's carries it out."""
    visit.whole_fleet(CHANGE)
    sent = visit.sent
    if sent.text("ground") not in {ground.value for ground in _GROUNDS}:
        return _erasures(visit, problems=[visit.texts["privacy"]["unusable"]], status=422)
    request = erasure.Request(
        Ground(sent.text("ground")), visit.visitor.name, sent.text("reason"), "although_entitled" in sent.fields
    )
    words = visit.texts["privacy"]
    told = [
        (words["who"], sent.text("who")),
        (words["ground"], words["grounds"][sent.text("ground")]),
        (words["reason"], sent.text("reason")),
        (words["although_entitled"], visit.texts["console"]["yes"] if "although_entitled" in sent.fields else ""),
    ]
    try:
        visit.make_sure("erase", told)
        done = erasure.erase(
            visit.console.database,
            visit.keys,
            sent.text("who"),
            request,
            fleet_id=visit.console.settings.fleet_id,
            zone=visit.zone,
            word_kept=word_kept(visit),
            now=visit.now,
        )
    except Refusals as error:
        return _erasures(visit, problems=said(visit, error), status=422)
    return visit.done("/privacy/erasures", "erasure_asked" if done.proof is None else "erased")


@router.get("/privacy/erasures/{erasure_id}")
def proof(visit: Annotated[Visit, needs(LOOK)], erasure_id: str) -> Response:
    """Give the signed proof of an erasure."""
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        token = privacy_pages.proof_of(connection, erasure_id)
    if token is None:
        raise not_found()
    return download(token + b"\n", f"{erasure_id}.jws", "application/jose")
