"""Gathers what presence says of the terminal's condition."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

from pydantic import ValidationError

from device.ports import Clock, Outbox, ReferenceStore, RulePackStore, RunningStore, StaffStore, Vitals
from protocol.envelope import unverified_payload
from protocol.errors import ProtocolError
from protocol.health import NOW_BITS, ClockState, Health, Held, LinkTimes
from protocol.times import DeviceTime, best_guess

_NS = 1_000_000_000


class HealthReport:
    """Reads stores, board and clock whenever it is asked.

    Args:
        vitals: the board.
        running: what the terminal's process says of itself.
        outbox: records.
        references: roster and card keys.
        packs: the rule packs.
        staff: who may sign in.
        clock: of this terminal.
        link: how often a word is to be expected from it.
    """

    def __init__(
        self,
        *,
        vitals: Vitals,
        running: RunningStore,
        outbox: Outbox,
        references: ReferenceStore,
        packs: RulePackStore,
        staff: StaffStore,
        clock: Clock,
        link: LinkTimes,
    ) -> None:
        self._vitals = vitals
        self._running = running
        self._outbox = outbox
        self._references = references
        self._packs = packs
        self._staff = staff
        self._clock = clock
        self._link = link

    def now(self) -> Health:
        """Return how the terminal is now.

        Raises:
            OutboxUnavailable: if the outbox cannot be read now.
            ReferencesUnavailable: if the roster cannot be read now.
        """
        moment = self._clock.now()
        oldest = self._outbox.unconfirmed(1)
        staff, card_keys = self._staff.current(), self._references.card_keys()
        return Health(
            board=self._vitals.read(),
            uptime_s=moment.monotonic_ns // _NS,
            clock=ClockState(source=moment.source, uncertainty_s=moment.uncertainty_s, jumps=moment.jumps),
            link=self._link,
            oldest_unconfirmed_s=age_s(oldest[0].envelope, moment) if oldest else None,
            held=Held(
                rule_packs=self._packs.issued_at(),
                staff=None if staff is None else staff.issued_at,
                card_keys=None if card_keys is None else card_keys.issued_at,
                roster_ends=self._references.expires_at(),
            ),
            running=self._running.current(),
        )


def age_s(envelope: bytes, now: DeviceTime) -> int | None:
    """Return how many seconds ago one of this terminal's own records was made; None when it does not say.

    Within one boot that is certain. A record of an earlier boot is as old as the clocks say, which may have been wrong.
    """
    try:
        found: Any = json.loads(unverified_payload(envelope))
        # A record, a case or an event: one of the three is there.
        made = DeviceTime.model_validate(found.get("decided") or found.get("opened") or found.get("at"))
    except (ProtocolError, ValidationError, ValueError, AttributeError):
        return None
    if made.boot_id == now.boot_id:
        return max(0, now.monotonic_ns - made.monotonic_ns) // _NS
    return max(0, int((best_guess(now) - best_guess(made)).total_seconds()))


def what_changes(health: Health) -> Hashable:
    """Return of a terminal's condition what is worth telling at once: not what moves all the time."""
    board, running = health.board, health.running
    what_runs = None if running is None else running.model_copy(update={"camera_rate_hz": None, "camera_rate_at": None})
    bits = None if board.throttled is None else board.throttled & NOW_BITS
    return (bits, board.is_charging, health.clock.source, health.clock.jumps, health.held, what_runs)
