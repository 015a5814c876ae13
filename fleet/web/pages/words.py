"""Taking back one's own first word, of whatever two persons decide; the pages where it was given offer it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from fleet.benefits.inspection import STOP
from fleet.cases import open_words
from fleet.cases.deciding import CLOSING
from fleet.errors import NotFound, Refused
from fleet.intake import unit_lists
from fleet.privacy import erasure
from fleet.rules import publishing
from fleet.store import duplicates
from fleet.updates import rollouts
from fleet.web.pages.cases_words import office_of
from fleet.web.visits import Visit, not_found, sends

router = APIRouter(include_in_schema=False)
_KINDS = frozenset(
    {
        open_words.CASE,
        CLOSING,
        STOP,
        publishing.OBJECT,
        unit_lists.OBJECT_KIND,
        erasure.APPROVED,
        duplicates.APPROVED,
        "contradiction",
        rollouts.OBJECT,
    }
)
"""Whatever has a page where the macro `take_back` stands."""


@router.post("/words/take-back")
def take_back(visit: Annotated[Visit, sends(None)]) -> Response:
    """Take back a word of the visitor's own that waits for a second one; it takes no role, as they may have lost it."""
    kind, object_id, back = (visit.sent.text(name) for name in ("kind", "object_id", "back"))
    if kind not in _KINDS:
        raise not_found()
    # An address of this site alone.
    if not back.startswith("/") or back.startswith(("//", "/\\")):
        back = "/"
    try:
        with visit.begin() as connection:
            open_words.take_back(connection, office_of(visit), kind, object_id, by=visit.visitor.name, now=visit.now)
    except (NotFound, Refused):
        return visit.done(back, "word_gone")
    return visit.done(back, "word_taken_back")
