"""After a window without a result the agency decides from the data of other bodies (R7-11): what they say about one person. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from fleet.status.contradictions import find
from fleet.status.losses import Reported, losses
from protocol.rules.acts import Act
from protocol.rules.life import ENDING, SIGNS_OF_LIFE, SUSPENDING


class Finding(StrEnum):
    """What the data say, the gravest first."""

    CONTRADICTED = "contradicted"
    """Sources say what cannot both be so: a person decides first."""
    LOSS = "loss"
    """A loss of the entitlement is confirmed and lasts."""
    REPORTED = "reported"
    """A loss is reported, and by nobody whose word confirms."""
    ALIVE = "alive"
    """Identified since the period began, with too few points to be certified by it."""
    NOTHING = "nothing"
    """No body has seen the person."""


def compare(reports: Sequence[Reported], acts: Sequence[Act], since: date, today: date) -> Finding:
    """Return what the data say about somebody who did not come.

    Args:
        reports: everything that stands about the person.
        acts: what certified them before.
        since: the first day of the period that was missed.
        today: the day of the decision.
    """
    if find("", reports, acts):
        return Finding.CONTRADICTED
    if any(loss.since <= today and (loss.until is None or today < loss.until) for loss in losses(reports)):
        return Finding.LOSS
    if any(not each.confirmed and each.event.kind in ENDING | SUSPENDING for each in reports):
        return Finding.REPORTED
    if any(each.event.kind in SIGNS_OF_LIFE and each.event.since >= since for each in reports):
        return Finding.ALIVE
    return Finding.NOTHING
