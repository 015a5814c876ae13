"""What people do to terminals: register, move, retire, say whom each knows. Who did it and why is kept with the terminal."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from fleet.admission import Refusal
from fleet.audit.log import note
from fleet.errors import FleetError, NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import held, policies, quarantine, rosters, terminal_changes, terminal_settings, terminals
from fleet.store.certificates import restore_certificates, revoke_certificates
from fleet.store.database import notify
from fleet.store.names import cleaned
from fleet.store.quarantine import RefusedMessage
from fleet.store.rosters import AssignmentKind
from fleet.store.terminal_changes import StoredChange
from fleet.store.terminal_settings import Scope, Target
from fleet.store.terminals import StoredTerminal
from protocol.decommissioning import DecommissionProof, read_proof, unverified_proof
from protocol.envelope import sha256_of
from protocol.errors import ProtocolError
from protocol.registration import TerminalRegistration, read_registration

LONGEST_REASON = 500
LONGEST_REGISTRATION = 16 * 1024
"""Bytes; one that a terminal prints has some 900."""
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class ChangeKind(StrEnum):
    """What was done; the audit log has it as `terminal.<kind>`."""

    REGISTERED = "registered"
    MOVED = "moved"
    RETIRED = "retired"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    CERTIFICATES_REVOKED = "certificates_revoked"
    HELD_TAKEN_IN = "held_taken_in"
    HELD_REFUSED = "held_refused"
    REPLACES = "replaces"
    """It took the place of another one."""
    REPLACED = "replaced"
    """Another one took its place; it was retired with that."""
    DECOMMISSIONED = "decommissioned"
    """It has proven that it erased itself."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, for whoever may see the terminal."""

    kind: ChangeKind
    by: str
    reason: str | None
    detail: Mapping[str, str | int]
    changed_at: datetime


class TerminalChanges:
    """Changes of terminals by one person, in one transaction; the change itself is the last thing in it, as it is audited.

    Args:
        connection: of the transaction.
        cipher: the fleet's.
        by: who does it.
        reason: why, up to 500 characters; None where it is not asked for.
        now: in UTC.

    Raises:
        Refused: if name or reason is empty or too long.
    """

    def __init__(
        self, connection: Connection, cipher: FieldCipher, *, by: str, reason: str | None, now: datetime
    ) -> None:
        self._connection, self._cipher, self._now = connection, cipher, now
        self._by = cleaned(by)
        self._reason = None if reason is None else checked_reason(reason)

    def register(self, registration: TerminalRegistration, area: str, *, fleet_id: str) -> bool:
        """Register a terminal by its own word; once more only changes its area. Return whether it is new.

        Raises:
            Refused: if it is made for another fleet, is known with other keys, or was retired.
        """
        terminal_id, connection = registration.terminal_id, self._connection
        if registration.fleet_id != fleet_id:
            raise Refused(
                f"made for fleet {registration.fleet_id}, this is {fleet_id}",
                code="foreign_fleet",
                theirs=registration.fleet_id,
                ours=fleet_id,
            )
        is_new = terminals.add_terminal(
            connection,
            terminal_id,
            area=area,
            signing_key=registration.signing_key,
            sealing_key=registration.sealing_key,
            now=self._now,
        )
        known = terminals.find_terminals(connection, [terminal_id], lock=True)[terminal_id]
        if not is_new:
            _check_same(known, registration)
            terminals.set_area(connection, terminal_id, area, now=self._now)
        rosters.refresh(connection, [terminal_id])
        # Whoever hears this sends all that the broker keeps for a terminal.
        notify(connection, policies.POLICY_CHANNEL, terminal_id)
        if is_new or known.area != area:
            self._note(ChangeKind.REGISTERED, terminal_id, {"area": area, "new": int(is_new)})
        return is_new

    def move(self, terminal_id: str, area: str) -> None:
        """Have a terminal serve another area; its standing orders stay.

        Raises:
            NotFound: if no such terminal is in service.
            Refused: if it serves this area already.
        """
        known = self._not_retired(terminal_id)
        if known.area == area:
            raise Refused(f"terminal {terminal_id}: serves area {area} already", code="same_area")
        terminals.set_area(self._connection, terminal_id, area, now=self._now)
        self._note(ChangeKind.MOVED, terminal_id, {"from": known.area, "area": area})

    def retire(self, terminal_id: str) -> None:
        """Take a terminal out of service: what it sends from now on has no effect, and it gets nothing more.

        Raises:
            NotFound: if no such terminal is in service.
        """
        self._not_retired(terminal_id)
        self._put_out(terminal_id)
        self._note(ChangeKind.RETIRED, terminal_id, {})

    def suspend(self, terminal_id: str) -> None:
        """Believe a terminal nothing for now: its certificates are put on hold, its records kept for a person, it gets nothing more.

        Raises:
            NotFound: if no such terminal is in service.
            Refused: if it is suspended already.
        """
        known = self._not_retired(terminal_id)
        if known.suspended_at is not None:
            raise Refused(f"terminal {terminal_id}: is suspended already", code="is_suspended")
        terminals.set_suspended(self._connection, terminal_id, self._now)
        count = revoke_certificates(self._connection, terminal_id, now=self._now, on_hold=True)
        self._note(ChangeKind.SUSPENDED, terminal_id, {"certificates": count})

    def resume(self, terminal_id: str) -> int:
        """Believe a terminal again: its certificates hold, and what was held is taken in; return how many messages that are.

        Raises:
            NotFound: if no such terminal is in service.
            Refused: if it is not suspended.
        """
        if self._not_retired(terminal_id).suspended_at is None:
            raise Refused(f"terminal {terminal_id}: is not suspended", code="not_suspended")
        terminals.set_suspended(self._connection, terminal_id, None)
        restore_certificates(self._connection, terminal_id)
        released = held.release(self._connection, terminal_id, now=self._now)
        # Whoever hears this sends all that the broker keeps for a terminal; what it missed of its roster follows.
        notify(self._connection, policies.POLICY_CHANNEL, terminal_id)
        self._note(ChangeKind.RESUMED, terminal_id, {"messages": released})
        return released

    def judge_held(self, terminal_id: str, *, take_in: bool) -> int:
        """Decide about what is held of a terminal, for good; return how many messages that are.

        Of a terminal that is still suspended this judges what has come until now.

        Args:
            terminal_id: which.
            take_in: whether it counts as if it had come from a terminal in service; else it goes into the quarantine.

        Raises:
            NotFound: if no such terminal is registered, or nothing is held of it.
        """
        known = self._registered(terminal_id)
        if take_in:
            count = held.release(self._connection, terminal_id, now=self._now)
        else:
            reason = Refusal.SUSPENDED_TERMINAL if known.retired_at is None else Refusal.RETIRED_TERMINAL
            refused = held.take_out(self._connection, terminal_id)
            count = len(refused)
            for each in refused:
                quarantine.keep(
                    self._connection,
                    RefusedMessage(
                        terminal_id, True, each.kind, reason, sha256_of(each.envelope), each.envelope, each.received_at
                    ),
                )
        if not count:
            raise NotFound(f"terminal {terminal_id}: nothing of it is held", code="nothing_held")
        kind = ChangeKind.HELD_TAKEN_IN if take_in else ChangeKind.HELD_REFUSED
        self._note(kind, terminal_id, {"messages": count})
        return count

    def revoke_certificates(self, terminal_id: str) -> int:
        """Take all certificates of a terminal back, for good; return how many there were. In service it can ask for new ones.

        Raises:
            NotFound: if no such terminal is registered, or it has no certificate that holds.
        """
        self._registered(terminal_id)
        count = revoke_certificates(self._connection, terminal_id, now=self._now)
        if not count:
            raise NotFound(f"terminal {terminal_id}: has no certificate that holds", code="no_certificate")
        self._note(ChangeKind.CERTIFICATES_REVOKED, terminal_id, {"certificates": count})
        return count

    def replace(self, terminal_id: str, *, by: str) -> int:
        """Have a terminal that was just registered take another one's place, which is retired; return the entries of its roster.

        Args:
            terminal_id: whose place it is; one that is retired already keeps its day.
            by: the new one, which serves the same area.

        Raises:
            NotFound: if no such terminal is registered.
            Refused: if another one has its place.
        """
        known = self._registered(terminal_id)
        demand_place(known)
        rosters.copy_orders(self._connection, by, of=terminal_id)
        self._copy_settings(terminal_id, by)
        entries = rosters.refresh(self._connection, [by])
        self._put_out(terminal_id)
        terminals.set_replaced(self._connection, terminal_id, by)
        self._note(ChangeKind.REPLACES, by, {"other": terminal_id, "entries": entries})
        self._note(ChangeKind.REPLACED, terminal_id, {"other": by})
        return entries

    def decommission(self, token: bytes, *, fleet_id: str) -> DecommissionProof:
        """Take the proof that a terminal has erased itself; one that is not retired is retired with it. Again changes nothing.

        Raises:
            Refused: if it is none, of another fleet, or not signed by the terminal's own key.
            NotFound: if no such terminal is registered.
        """
        try:
            claimed = unverified_proof(token)
        except ProtocolError as error:
            raise Refused(f"proof: {error}", code="proof_unreadable") from error
        if claimed.fleet_id != fleet_id:
            raise Refused(
                f"proof: of fleet {claimed.fleet_id}, this is {fleet_id}",
                code="foreign_fleet",
                theirs=claimed.fleet_id,
                ours=fleet_id,
            )
        known = self._registered(claimed.terminal_id)
        try:
            proof = read_proof(token, known.signing_key)
        except ProtocolError as error:
            raise Refused(f"proof: not signed by terminal {claimed.terminal_id}", code="proof_signature") from error
        self._put_out(proof.terminal_id)
        if terminals.set_decommissioned(self._connection, proof.terminal_id, token, now=self._now):
            lost = proof.records_lost + proof.pictures_lost
            self._note(ChangeKind.DECOMMISSIONED, proof.terminal_id, {"lost": lost})
        return proof

    def _copy_settings(self, terminal_id: str, by: str) -> None:
        """Set a terminal as the one whose place it takes; whoever works out what is wanted of terminals asks it for them."""
        found = terminal_settings.find_settings(self._connection, Target(Scope.TERMINAL, terminal_id))
        if found is None:
            return
        target = Target(Scope.TERMINAL, by)
        by_sealed, reason_sealed = (
            self._cipher.encrypt(words, subject_id=terminal_settings.sealed_of(target), field_name=name)
            for name, words in (("changed_by", self._by), ("reason", f"takes the place of {terminal_id}"))
        )
        terminal_settings.save_settings(
            self._connection, target, found.settings, by=by_sealed, reason=reason_sealed, now=self._now
        )

    def _put_out(self, terminal_id: str) -> None:
        """Retire a terminal for good, if it was not before."""
        terminals.retire(self._connection, terminal_id, now=self._now)
        revoke_certificates(self._connection, terminal_id, now=self._now)

    def assign(self, terminal_id: str, kind: AssignmentKind, value: str) -> int:
        """Give a terminal people, now and later; return how many entries of its roster changed.

        Args:
            terminal_id: which.
            kind: whether everybody, an area's people, or one of them.
            value: the area's code, the subject's id, or nothing.

        Raises:
            NotFound: if no such terminal is registered.
        """
        self._registered(terminal_id)
        with rosters.renewing(self._connection, terminal_id):
            rosters.assign(self._connection, terminal_id, kind, value)
        return self._assigned(ChangeKind.ASSIGNED, terminal_id, kind, value)

    def unassign(self, terminal_id: str, kind: AssignmentKind, value: str) -> int:
        """Take a standing order back; return how many entries of the roster changed.

        Raises:
            NotFound: if no such terminal is registered, or it has no such order.
        """
        self._registered(terminal_id)
        with rosters.renewing(self._connection, terminal_id):
            if not rosters.unassign(self._connection, terminal_id, kind, value):
                raise NotFound(f"terminal {terminal_id}: has no such assignment", code="not_assigned")
        return self._assigned(ChangeKind.UNASSIGNED, terminal_id, kind, value)

    def _assigned(self, change: ChangeKind, terminal_id: str, kind: AssignmentKind, value: str) -> int:
        changed = rosters.refresh(self._connection, [terminal_id])
        # Whose id it is stands in the audit log alone: what is kept here stays when somebody is erased.
        kept: dict[str, str | int] = {"who": kind, "entries": changed} | ({"value": value} if kind == "area" else {})
        self._note(change, terminal_id, kept, audited={"who": kind, "value": value, "entries": changed})
        return changed

    def _registered(self, terminal_id: str) -> StoredTerminal:
        found = terminals.find_terminals(self._connection, [terminal_id], lock=True).get(terminal_id)
        if found is None:
            raise NotFound(f"terminal {terminal_id}: not registered", code="not_registered")
        return found

    def _not_retired(self, terminal_id: str) -> StoredTerminal:
        found = terminals.find_terminals(self._connection, [terminal_id], lock=True).get(terminal_id)
        if found is None or found.retired_at is not None:
            raise NotFound(f"terminal {terminal_id}: none of this name is in service", code="not_in_service")
        return found

    def _note(
        self,
        kind: ChangeKind,
        terminal_id: str,
        detail: Mapping[str, str | int],
        *,
        audited: Mapping[str, str | int] | None = None,
    ) -> None:
        change_id = secrets.token_hex(16)
        seal = self._cipher.encrypt
        number = terminal_changes.add_change(
            self._connection,
            StoredChange(
                change_id,
                terminal_id,
                kind.value,
                seal(self._by, subject_id=change_id, field_name="by"),
                None if self._reason is None else seal(self._reason, subject_id=change_id, field_name="reason"),
                detail,
                self._now,
            ),
        )
        note(
            self._connection,
            self._cipher,
            actor=self._by,
            action=f"terminal.{kind.value}",
            object_kind="terminal",
            object_id=terminal_id,
            detail={**(detail if audited is None else audited), "change": number},
            now=self._now,
        )


def demand_place(known: StoredTerminal) -> None:
    """Go on only if a terminal's place is its own yet.

    Raises:
        Refused: if another one took it.
    """
    if known.replaced_by is not None:
        raise Refused(
            f"terminal {known.terminal_id}: {known.replaced_by} has its place already",
            code="has_successor",
            terminal=known.terminal_id,
            successor=known.replaced_by,
        )


def checked_reason(reason: str) -> str:
    """Return a reason on one line.

    Raises:
        Refused: if there is none, or it is too long.
    """
    why = " ".join(reason.split())
    if not why:
        raise Refused(f"reason: 1 to {LONGEST_REASON} characters expected", code="reason_missing")
    if len(why) > LONGEST_REASON:
        raise Refused(f"reason: 1 to {LONGEST_REASON} characters expected", code="reason_long", most=LONGEST_REASON)
    return why


def registration_in(token: bytes) -> TerminalRegistration:
    """Return what a terminal printed, checked.

    Raises:
        Refused: if it is none, or not signed by the key inside it; the message says which.
    """
    if len(token) > LONGEST_REGISTRATION:
        raise Refused("too large for a registration", code="registration_unreadable")
    try:
        registration = read_registration(token)
        # A key that is no point on the curve would fail at the first record instead of here.
        registration.sealing_key.key()
    except ProtocolError as error:
        raise Refused(str(error), code="registration_unreadable") from error
    return registration


def version_of(connection: Connection, terminal_id: str) -> int:
    """Return what forms about a terminal carry: how often people have changed it."""
    return terminal_changes.last_number(connection, terminal_id)


def changes_of(
    connection: Connection, cipher: FieldCipher, terminal_id: str, *, after: int = 0, limit: int = 30
) -> list[Change]:
    """Return what people did to a terminal after a version, the newest first."""
    return [
        _opened(cipher, stored)
        for stored in terminal_changes.changes_of(connection, terminal_id, after=after, limit=limit)
    ]


def _opened(cipher: FieldCipher, stored: StoredChange) -> Change:
    def text_of(sealed: bytes, field_name: str) -> str:
        try:
            return cipher.decrypt(bytes(sealed), subject_id=stored.change_id, field_name=field_name)
        except FleetError:
            # One that does not open must not take the page away.
            return _UNREADABLE

    return Change(
        kind=ChangeKind(stored.kind),
        by=text_of(stored.by_sealed, "by"),
        reason=None if stored.reason_sealed is None else text_of(stored.reason_sealed, "reason"),
        detail=stored.detail,
        changed_at=stored.changed_at,
    )


def _check_same(known: StoredTerminal, registration: TerminalRegistration) -> None:
    if (known.signing_key, known.sealing_key) != (registration.signing_key, registration.sealing_key):
        raise Refused(
            f"terminal {known.terminal_id}: registered with other keys; a name is never used twice: give the new one another",
            code="other_keys",
            terminal=known.terminal_id,
        )
    if known.retired_at is not None:
        raise Refused(
            f"terminal {known.terminal_id}: was retired; give it new keys and another name",
            code="was_retired",
            terminal=known.terminal_id,
        )
