"""Staff lists: who may sign in on one terminal, and the places to choose from; signed by the fleet, sealed to that terminal."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Connection

from fleet.admission import covers
from fleet.clock import day_of
from fleet.keys import FleetKeys
from fleet.store import operators
from fleet.store.operators import StoredOperator, StoredPlace
from fleet.store.terminals import StoredTerminal
from protocol.envelope import seal, sign
from protocol.staff import STAFF_TYP, Operator, PinHash, StaffList

logger = logging.getLogger(__name__)

STAFF_VALIDITY = timedelta(days=30)
"""How long a list holds: a mobile unit can be without a network for weeks and its workers must sign in all that time; who was retired
can sign in there for so long at most, and what such an operator enrols does not count (`fleet.admission.operators`)."""
RESEND_AFTER = STAFF_VALIDITY / 2
"""A list that did not change is sent anew after this, so that a terminal that is in touch never sees one run out."""
MOST_OPERATORS = 500
MOST_PLACES = 2000
"""What one list takes. Source: `protocol.staff.StaffList`."""


class StaffIssuer:
    """Makes the staff lists of one fleet's terminals in one transaction; reads operators and places once for all of them."""

    def __init__(self, connection: Connection, keys: FleetKeys, *, fleet_id: str, now: datetime, zone: tzinfo) -> None:
        self._connection = connection
        self._keys = keys
        self._fleet_id = fleet_id
        self._now = now
        self._operators = operators.operators_in_service(connection, today=day_of(now, zone))
        self._places = operators.all_places(connection)
        self._is_used = bool(self._operators or self._places) or bool(operators.all_operators(connection))
        self._by_area: dict[str, tuple[tuple[Operator, ...], tuple[StoredPlace, ...]]] = {}

    def due(self, terminals: Sequence[StoredTerminal], *, anew: bool = False) -> dict[str, bytes]:
        """Return the sealed lists that are to be sent, by terminal, and note that they are.

        Args:
            terminals: in service.
            anew: for all of them; else for those whose list changed or was sent long ago.
        """
        if not self._is_used:
            # A fleet that never had operators leaves its terminals as they are.
            return {}
        known = operators.sent_staff(self._connection, [terminal.terminal_id for terminal in terminals])
        found: dict[str, bytes] = {}
        for terminal in terminals:
            sent, digest = known[terminal.terminal_id], self._digest(terminal.area)
            if not anew and not sent.is_stale(self._now, RESEND_AFTER) and sent.digest == digest:
                continue
            found[terminal.terminal_id] = self._sealed(terminal)
            operators.note_sent(self._connection, terminal.terminal_id, digest=digest, now=self._now)
        return found

    def _content(self, area: str) -> tuple[tuple[Operator, ...], tuple[StoredPlace, ...]]:
        if area not in self._by_area:
            staff = [self._opened(known) for known in self._operators if covers(known.area, area)]
            places = [place for place in self._places if covers(place.area, area) or covers(area, place.area)]
            for what, found, most in (("operators", staff, MOST_OPERATORS), ("places", places, MOST_PLACES)):
                if len(found) > most:
                    logger.error("staff list cut off area=%r %s=%d most=%d", area, what, len(found), most)
            self._by_area[area] = (tuple(staff[:MOST_OPERATORS]), tuple(places[:MOST_PLACES]))
        return self._by_area[area]

    def _opened(self, stored: StoredOperator) -> Operator:
        cipher, who = self._keys.cipher, stored.operator_id
        pin = stored.pin_sealed
        return Operator(
            operator_id=who,
            name=cipher.decrypt(stored.name_sealed, subject_id=who, field_name="operator"),
            roles=stored.roles,
            pin=None
            if pin is None
            else PinHash.model_validate_json(cipher.decrypt(pin, subject_id=who, field_name="pin")),
            code_sha256=stored.code_sha256,
            valid_until=stored.valid_until,
        )

    def _digest(self, area: str) -> str:
        staff, places = self._content(area)
        parts = [operator.model_dump_json() for operator in staff] + [place.named.model_dump_json() for place in places]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _sealed(self, terminal: StoredTerminal) -> bytes:
        staff, places = self._content(terminal.area)
        message = StaffList(
            fleet_id=self._fleet_id,
            terminal_id=terminal.terminal_id,
            issued_at=self._now,
            expires_at=self._now + STAFF_VALIDITY,
            operators=staff,
            places=tuple(place.named for place in places),
        )
        signed = sign(message.to_bytes(), key=self._keys.signing, typ=STAFF_TYP)
        return seal(signed, reader=terminal.sealing_key)
