"""Sealed pictures of a case, opened for one look of one reviewer, after the ledger says so."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.cases.machine import NotAllowed
from fleet.cases.pictures import open_picture
from fleet.cases.scans import PDF, pages_of
from fleet.cases.watermark import chinese_font, marked
from fleet.errors import FleetError, NotFound
from fleet.web.pages.cases_case import PICTURE_REASONS, case_page
from fleet.web.pages.cases_words import demand_within, refusals
from fleet.web.visits import Visit, not_found, sends

router = APIRouter(include_in_schema=False)
_DECIDE = Permission.CASES_REVIEW
SHOWN_S = 120
"""So long a picture stays on the page."""


@router.post("/cases/{case_id}/pictures/{role}")
def look(visit: Annotated[Visit, sends(_DECIDE)], case_id: str, role: str) -> Response:
    """Send a picture, or the pages of a scan, as part of a page that nothing keeps; the file itself is given to nobody."""
    why, words = visit.sent.text("why"), visit.sent.text("words")
    with visit.begin() as connection:
        demand_within(visit, connection, case_id, _DECIDE)
    if why not in PICTURE_REASONS or (why == "other" and not words):
        problem = str(visit.texts["cases"]["refused"]["picture_reason"])
        return case_page(visit, case_id, problems=[problem], status=422)
    # The ledger is in the agency's language, whatever the reviewer reads.
    reason = f"{why}: {words}" if words else why
    try:
        picture = open_picture(
            visit.console.database,
            visit.keys,
            case_id,
            role,
            reader=visit.visitor.name,
            reason=reason,
            is_for_review=True,
            now=visit.now,
        )
        pictures = pages_of(picture) if picture.startswith(PDF) else [picture]
    except NotFound as error:
        if not error.code:
            raise not_found() from error
        return case_page(visit, case_id, problems=refusals(visit, error), status=409)
    except FleetError as error:
        status = 409 if isinstance(error, NotAllowed) else 422
        return case_page(visit, case_id, problems=refusals(visit, error), status=status)
    shown = [base64.b64encode(_with_mark(visit, each)).decode() for each in pictures]
    answer = visit.page("cases/picture.html", case_id=case_id, role=role, pictures=shown, seconds=SHOWN_S)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _with_mark(visit: Visit, picture: bytes) -> bytes:
    font, name = chinese_font(), visit.visitor.name
    # Without the characters the account says who it was, rather than a row of boxes.
    who = name if font is not None or name.isascii() else visit.visitor.account_id
    return marked(picture, f"{who} {visit.now.astimezone(visit.zone):%Y-%m-%d %H:%M}", font=font)
