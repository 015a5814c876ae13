"""Answers somebody who asks how they stand: from roster and rule packs alone, without a session and without a record."""

from __future__ import annotations

import logging
from datetime import date
from typing import Protocol

from device.desk.events import MyStatusFound, MyStatusRefused
from device.desk.my_status import my_status, said_of, unknown_status
from device.errors import DeviceError
from device.runner.claims import Claimed, ClaimUnfit, look_up
from device.runner.loop import Ports
from device.session.acquiring import CLAIM_LINES
from device.session.commands import Line
from protocol.entitlements import Rule
from protocol.errors import Malformed
from protocol.times import agency_day, at_agency

logger = logging.getLogger(__name__)


class RulesFor(Protocol):
    """Gives the rules that hold for somebody, see `device.runner.loop.Runner.rules_for`."""

    def __call__(self, claimed: Claimed, *, today: date) -> tuple[Rule, ...]:
        """Return them."""


def answer(text: str, ports: Ports, *, rules_for: RulesFor, features_sha256: str) -> MyStatusFound | MyStatusRefused:
    """Return how whoever a document names stands, or what to say where it names nobody.

    Args:
        text: as it was read or typed.
        ports: roster, packs and clock.
        rules_for: gives the person's rules.
        features_sha256: digest of the network in use; looking somebody up asks for it.
    """
    references, shelf = ports.references, ports.packs.shelf()
    try:
        issued_at = references.issued_at()
        told_on = None if issued_at is None else at_agency(issued_at)
        # A clock that nothing bounds may be behind the roster.
        today = max(agency_day(ports.clock.now()), told_on or date.min)
        found = look_up(text, references, model_sha256=features_sha256, today=today)
    except Malformed:
        return MyStatusRefused(Line.CLAIM_UNREADABLE)
    except ClaimUnfit as error:
        return MyStatusRefused(CLAIM_LINES[error.problem])
    except DeviceError as error:
        logger.warning("nobody's standing without the roster why=%s", error)
        return MyStatusRefused(Line.NOT_READY)
    if found is None:
        return MyStatusRefused(Line.NOT_READY)
    if found.entitlements:
        # What was certified here since is known as well.
        known = max((act.day for act in found.acts), default=date.min)
        status = my_status(rules_for(found, today=today), today=today, as_of=max(told_on or today, known))
    else:
        status = unknown_status(shelf.default, as_of=told_on)
    return MyStatusFound(status, *said_of(status, today=today))
