"""Whom and what the desk can name: people by document or name, and places. Belongs to the loop's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date

from device.desk.events import AnswerRefused, NamesFound, OptionsFound, PersonFound, ProxyFound
from device.desk.state import BY_RECEIVER, NO_PLACE
from device.desk.view import NameRow, Option, Problem
from device.errors import DeviceError
from device.ports import Labelled, Positioner, ReferenceStore, StaffStore
from device.runner.casework import Casework, Held
from device.runner.claims import Chosen, Claimed, ClaimUnfit, look_up
from device.session.acquiring import CLAIM_LINES
from device.session.commands import Line
from protocol.errors import Malformed
from protocol.staff import PlaceName
from protocol.visits import Place

logger = logging.getLogger(__name__)

NAMES_ON_A_PAGE = 8
"""As many as are read and touched with ease on a small screen."""


class Directory:
    """Looks people up, lets the case work hold whom it found, and holds the names that are on the screen.

    Args:
        references: the roster.
        staff: says how places are called.
        casework: holds the person of a task.
        features_sha256: the network whose references count.
        today: the agency's day.
        positioner: says where a visit is, or a case; None where nothing does.
    """

    def __init__(
        self,
        references: ReferenceStore,
        staff: StaffStore,
        casework: Casework,
        *,
        features_sha256: str,
        today: Callable[[], date],
        positioner: Positioner | None,
    ) -> None:
        self._references = references
        self._staff = staff
        self._casework = casework
        self._features_sha256 = features_sha256
        self._today = today
        self._positioner = positioner
        self._names: tuple[Labelled, ...] = ()

    def find(self, text: str, *, is_proxy: bool) -> PersonFound | ProxyFound | AnswerRefused:
        """Look up whom a document or card names, and hold them."""
        found = self._look_up(text)
        if isinstance(found, AnswerRefused):
            return found
        if is_proxy:
            self._casework.proxy = Held(text, found)
            return ProxyFound()
        self._casework.person = Held(text, found)
        return PersonFound()

    def choose(self, position: int) -> PersonFound | AnswerRefused:
        """Hold whoever stands at a position of the list that is shown."""
        if position >= len(self._names):
            return AnswerRefused(Problem.PERSON_UNKNOWN)
        labelled = self._names[position]
        chosen = Chosen(labelled.document, labelled.token)
        found = self._look_up(chosen)
        if isinstance(found, AnswerRefused):
            return found
        self._casework.person = Held(chosen, found)
        return PersonFound(labelled.label.name)

    def search(self, part: str, page: int) -> NamesFound | AnswerRefused:
        """Return a page of the people whose names have a part, `page` counting from 0."""
        try:
            found = self._references.people(part, offset=page * NAMES_ON_A_PAGE, limit=NAMES_ON_A_PAGE + 1)
            initials = () if part or page else tuple(self._references.initials())
        except DeviceError as error:
            logger.error("no name list why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            return AnswerRefused(Problem.ROSTER_MISSING)
        self._names = tuple(found[:NAMES_ON_A_PAGE])
        places = {place.code: place.name for place in self._place_names()}
        rows = tuple(
            NameRow(
                position,
                labelled.label.name,
                labelled.label.born,
                None if labelled.label.place is None else places.get(labelled.label.place),
            )
            for position, labelled in enumerate(self._names)
        )
        return NamesFound(rows, has_more=len(found) > NAMES_ON_A_PAGE, initials=initials)

    def places(self) -> OptionsFound:
        """Return the places that can be chosen, and a way on for whoever is at none of them."""
        listed = tuple(Option(place.code, place.name) for place in self._place_names())
        # Without it somebody who is elsewhere would have to sign a place that is not true.
        return OptionsFound((*listed, Option(NO_PLACE)) if self._positioner is None else (Option(BY_RECEIVER), *listed))

    def place(self, code: str | None) -> Place | None:
        """Return the place of a visit or a case: the position where there is one, with the chosen place's code."""
        position = self._positioner.place() if self._positioner is not None else None
        if position is None:
            return None if code is None else Place(code=code, source="chosen")
        if code is None:
            return position
        return position.model_copy(update={"code": code, "source": "both"})

    def forget(self) -> None:
        """Forget the names that were shown."""
        self._names = ()

    def _look_up(self, claim: str | Chosen) -> Claimed | AnswerRefused:
        try:
            found = look_up(claim, self._references, model_sha256=self._features_sha256, today=self._today())
        except Malformed as error:
            logger.info("claim refused why=%s", error)
            return AnswerRefused(Line.CLAIM_UNREADABLE.value)
        except ClaimUnfit as error:
            logger.info("claim refused why=%s", error)
            return AnswerRefused(CLAIM_LINES[error.problem].value)
        except DeviceError as error:
            logger.error("nobody can be looked up why=%s", error)  # noqa: TRY400 - likewise
            return AnswerRefused(Problem.ROSTER_MISSING)
        return AnswerRefused(Problem.ROSTER_MISSING) if found is None else found

    def _place_names(self) -> tuple[PlaceName, ...]:
        staff = self._staff.current()
        return () if staff is None else staff.places
