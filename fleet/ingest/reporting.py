"""What terminals say of the bundles and settings that they were asked for: in a presence, and in their chain, which a stick may bring."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from fleet.admission.convergence import PREFIX, Wanted, is_converged, with_ending
from fleet.admission.moments import bracket_of
from fleet.store import bundles, desired, rollouts
from fleet.store.database import notify
from fleet.store.rollouts import ROLLOUT_CHANNEL
from protocol.desired import ReportedState
from protocol.events import EventKind, TerminalEvent
from protocol.presence import Presence

logger = logging.getLogger(__name__)


def note_reported(connection: Connection, presence: Presence, *, now: datetime) -> None:
    """Store what a presence says of its terminal's bundles and settings; one that says nothing of them changes nothing."""
    if presence.reported is not None:
        _save(connection, presence.terminal_id, presence.reported, said_at=presence.said_at, now=now)


def note_endings(connection: Connection, events: Sequence[TerminalEvent], *, now: datetime) -> None:
    """Add to each terminal's word what its chain says of trials that ended since; what is older than that word changes nothing."""
    for event in sorted(events, key=lambda each: (each.terminal_id, each.counter)):
        detail = event.detail
        if event.kind is not EventKind.UPDATE_ENDED or len(detail.get("bundle", "")) != PREFIX:
            continue
        bundle = bundles.find_by_prefix(connection, detail["bundle"])
        known = desired.find_reported(connection, event.terminal_id)
        said_at = event.at.wall_clock
        if bundle is None or known is None or (known.said_at is not None and known.said_at > said_at):
            continue
        why, is_kept = detail.get("why", ""), detail.get("kept") == "yes"
        heard = _heard(connection, event, bundle.bundle_id, now=now)
        if heard is None and not is_kept:
            # It was tried for a wish of before, and is tried anew for the one of now.
            continue
        try:
            reported = with_ending(
                known.state or ReportedState(),
                bundle.asked,
                is_kept=is_kept,
                why=why,
                heard=heard or 0,
            )
        except ValueError:
            logger.warning("end of a trial not readable terminal=%s why=%r", event.terminal_id, why)
            continue
        _save(connection, event.terminal_id, reported, said_at=said_at, now=now)


def _heard(connection: Connection, event: TerminalEvent, bundle_id: str, *, now: datetime) -> int | None:
    """Return the number of the wish to which the end of a trial is the answer: 0 where that is not certain, None where it is none.

    A terminal says which wish it had when the trial began; a stick may have brought it one that was out of date. An older program does
    not say, and then its clock does: who tried the bundle after it was asked had heard of that. A clock that nothing bounds makes
    nothing certain.
    """
    asked = desired.find_desired(connection, [event.terminal_id]).get(event.terminal_id)
    wish = None if asked is None else next((each for each in asked.wanted.bundles if each.bundle_id == bundle_id), None)
    if asked is None or wish is None:
        return 0
    if (said := event.detail.get("wish", "")).isdecimal():
        # Above the last number lies what was asked before this database was restored.
        return wish.since if wish.since <= int(said) <= asked.number else None
    because = asked.wanted.because.get(wish.kind.value, "")
    since = rollouts.released_at(connection, because, event.terminal_id) or asked.changed_at
    earliest = bracket_of(event.at, now).earliest
    return wish.since if earliest is not None and earliest >= since else 0


def _save(
    connection: Connection, terminal_id: str, reported: ReportedState, *, said_at: datetime, now: datetime
) -> None:
    asked = desired.find_desired(connection, [terminal_id]).get(terminal_id)
    wanted = Wanted() if asked is None else asked.wanted
    is_unknown = reported.desired_number > (0 if asked is None else asked.number)
    if is_unknown:
        _note_unknown(connection, terminal_id, reported.desired_number)
    is_behind = is_unknown or not is_converged(wanted, reported)
    desired.save_reported(connection, terminal_id, reported, is_behind=is_behind, said_at=said_at, now=now)


def _note_unknown(connection: Connection, terminal_id: str, number: int) -> None:
    """Have a terminal asked anew that took more than this database ever asked of it (`fleet.updates.driver`)."""
    if number <= desired.MOST_HEARD:
        notify(connection, ROLLOUT_CHANNEL)
        return
    before = desired.find_reported(connection, terminal_id)
    if before is None or before.state is None or before.state.desired_number != number:
        logger.error(
            "number of a desired state not believed, the terminal hears of no other terminal=%s number=%d most=%d",
            terminal_id,
            number,
            desired.MOST_HEARD,
        )
