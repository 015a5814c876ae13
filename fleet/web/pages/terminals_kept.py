"""Refused messages, of terminals and of senders that nobody knows: why each had no effect. For whoever looks after the whole fleet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from fleet.admission import Refusal
from fleet.store.quarantine import messages
from fleet.web.lists import LONGEST, listing, number_in
from fleet.web.pages.terminals import LOOK
from fleet.web.visits import Visit, needs

router = APIRouter(include_in_schema=False)
SENDERS = {"known": True, "unknown": False}


@router.get("/terminals/-/quarantine")
def kept(
    visit: Annotated[Visit, needs(LOOK)],
    sender: str = "",
    terminal: str = "",
    reason: str = "",
    after: str = "",
    before: str = "",
) -> HTMLResponse:
    """Show refused messages, the newest first; unknown senders belong to no area."""
    visit.whole_fleet(LOOK)
    name = terminal.replace("\0", "").strip()[:LONGEST]
    with visit.begin() as connection:
        shown = listing(
            "/terminals/-/quarantine",
            {"sender": sender, "terminal": name, "reason": reason},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: messages(
                connection,
                known=SENDERS.get(sender),
                terminal_id=name,
                reason=reason if reason in set(Refusal) else "",
                below=number_in(behind),
                above=number_in(ahead),
                limit=limit,
            ),
            key=lambda message: str(message.quarantine_id),
        )
    return visit.page("terminals/quarantine.html", shown=shown, senders=list(SENDERS), refusals=list(Refusal))
