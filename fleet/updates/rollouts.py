"""Roll-outs of bundles and of settings: made, agreed to, started, watched, held and turned back; `fleet.updates.rollout` decides."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection

from fleet.admission.convergence import Match, Wanted, bundle_line, setting_lines
from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import bundles, desired, rollouts
from fleet.store.approvals import NEEDED, approve, withdraw_approvals
from fleet.store.bundles import StoredBundle
from fleet.store.names import cleaned
from fleet.store.rollouts import MemberFacts, StoredRollout
from fleet.store.terminal_settings import Scope, Target
from fleet.updates import rollout as machine
from fleet.updates.bundles import find_bundle
from fleet.updates.desired import refresh
from fleet.updates.rollout import Facts, NotPossible, Plan, Rollout, Standing, State, Verdict
from fleet.updates.terminal_settings import differences, put, settings_of, settings_told
from protocol.bundle import BundleKind
from protocol.desired import DesiredBundle, SettingValues

OBJECT = "rollout"
"""Kind of object under which approvals are stored, and in the audit log."""
ACTOR = "fleet"
"""Stands in the audit log for what nobody did by hand."""
_UNDER_WAY = (State.RUNNING, State.PAUSED)
_OPEN = (State.WAITING, *_UNDER_WAY)


@dataclass(frozen=True, slots=True)
class Means:
    """What whoever changes roll-outs works with."""

    cipher: FieldCipher
    door: str | None
    """As of `fleet.updates.desired.door_of`."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants rolled out, to whom and how."""

    plan: Plan
    bundle_id: str | None = None
    """The bundle, or the first characters of its id."""
    settings: SettingValues | None = None
    """In its place: all settings of the areas or of the fleet."""
    areas: tuple[str, ...] = ()
    """Codes, with all areas below; empty for the whole fleet. Settings go to one area, or to the fleet."""
    canary: tuple[str, ...] = ()
    """Terminals of the canary group; empty to have some drawn."""
    canary_count: int = 3


@dataclass(frozen=True, slots=True)
class Watched:
    """A roll-out with how far it is."""

    stored: StoredRollout
    plan: Plan
    bundle: StoredBundle | None
    counts: Mapping[int, Mapping[str, int]]
    """Terminals by phase and standing."""

    @property
    def state(self) -> State:
        """Where it stands."""
        return State(self.stored.state)

    @property
    def needs_two(self) -> bool:
        """Whether two persons must agree before it starts: a bundle can stop every terminal at once, settings cannot."""
        return needs_two(self.stored)

    @property
    def totals(self) -> Mapping[str, int]:
        """Terminals by standing."""
        return {each.value: sum(phase.get(each.value, 0) for phase in self.counts.values()) for each in Standing}

    @property
    def is_held(self) -> bool:
        """Whether it waits for a person because nobody of its phase was kept."""
        found = [
            (phase, Standing(name)) for phase, here in self.counts.items() for name, count in here.items() if count
        ]
        return self.state is State.RUNNING and machine.is_held(self.stored.phase, found)


def make_rollout(connection: Connection, means: Means, wish: Wish, *, by: str, reason: str, now: datetime) -> str:
    """Store a roll-out, which waits to be started; return its id. Call it last in a transaction.

    Raises:
        NotFound: if there is no such bundle or area.
        Refused: if it would reach nobody, another one is under way, nothing would change, or name or reason cannot be taken.
    """
    rollout_id = f"ro-{secrets.token_hex(8)}"
    who, why = cleaned(by), cleaned(reason)
    bundle = None if wish.bundle_id is None else _present(connection, wish.bundle_id)
    _check_areas(connection, wish.areas)
    target = None if wish.settings is None else _target(wish.areas)
    plan = wish.plan
    if bundle is None or bundle.kind is not BundleKind.NETWORKS:
        plan = replace(plan, shadow=timedelta())
    reached = rollouts.terminals_in(connection, wish.areas or None)
    if not reached:
        raise Refused("roll-out: no terminal in service there", code="rollout_empty")
    strangers = sorted(set(wish.canary) - set(reached))
    if strangers:
        raise Refused(
            f"canary group: {strangers[0]} is not among the terminals", code="rollout_stranger", terminal=strangers[0]
        )
    if target and wish.settings and not differences(settings_of(connection, target), wish.settings):
        raise Refused("roll-out: these settings hold there already", code="settings_same")
    rollouts.lock_making(connection)
    _check_alone(connection, bundle, target, reached)
    members = machine.placed(reached, plan, canary=wish.canary, canary_count=wish.canary_count, seed=rollout_id)
    rollouts.add_rollout(
        connection,
        StoredRollout(
            rollout_id=rollout_id,
            place=0,
            bundle_id=None if bundle is None else bundle.bundle_id,
            settings=wish.settings,
            target=target,
            areas=wish.areas or None,
            plan=plan_json(plan),
            state=State.WAITING.value,
            phase=plan.first,
            phase_since=None,
            why=None,
            version=1,
            made_at=now,
            started_at=None,
            ended_at=None,
            made_by_sealed=means.cipher.encrypt(who, subject_id=rollout_id, field_name="made_by"),
            reason_sealed=means.cipher.encrypt(why, subject_id=rollout_id, field_name="reason"),
        ),
        members,
    )
    detail = _told(bundle, wish.settings) | {"terminals": len(members)}
    _note(connection, means.cipher, "made", rollout_id, detail, by=who, now=now)
    return rollout_id


def needs_two(stored: StoredRollout) -> bool:
    """Return whether two persons must agree before a roll-out starts."""
    return stored.bundle_id is not None


def start_rollout(
    connection: Connection, means: Means, rollout_id: str, *, by: str, reason: str, now: datetime
) -> bool:
    """Take one person's word that a roll-out may start; of a bundle's it takes the second one. Return whether it runs.

    Call it last in a transaction.

    Raises:
        NotFound: if there is none of this id, or its bundle is gone.
        Refused: if it does not wait, another one runs, this person has said so before, or name or reason cannot be taken.
    """
    rollouts.lock_making(connection)
    stored = _locked(connection, rollout_id)
    before = state_of(stored)
    if before.state is not State.WAITING:
        raise _not_possible(stored)
    bundle = None if stored.bundle_id is None else _present(connection, stored.bundle_id)
    # Two may lie there since before they were made one at a time.
    own = rollouts.membership(connection, [rollout_id], None)[rollout_id]
    _check_alone(connection, bundle, stored.target, own, states=_UNDER_WAY)
    if needs_two(stored):
        words = approve(connection, means.cipher, OBJECT, rollout_id, name=by, reason=reason, now=now)
        if words < NEEDED:
            _note(connection, means.cipher, "approved", rollout_id, {}, by=by, now=now)
            return False
    plan = plan_of(stored.plan)
    _change(connection, means, stored, machine.start(before, plan, now), now=now)
    _note(connection, means.cipher, "started", rollout_id, {}, by=by, now=now)
    return True


def drop_rollout(connection: Connection, means: Means, rollout_id: str, *, by: str, now: datetime) -> None:
    """Give a roll-out up that has not started. Errors as of `pause_rollout`. Call it last in a transaction."""
    stored = _locked(connection, rollout_id)
    _by_person(connection, means, stored, machine.drop, now=now)
    withdraw_approvals(connection, OBJECT, rollout_id)
    _note(connection, means.cipher, "dropped", rollout_id, {}, by=by, now=now)


def pause_rollout(connection: Connection, means: Means, rollout_id: str, *, by: str, now: datetime) -> None:
    """Ask nobody new; who was asked goes on. Call it last in a transaction.

    Raises:
        NotFound: if there is none of this id.
        Refused: if it does not go with where the roll-out stands.
    """
    stored = _locked(connection, rollout_id)
    _by_person(connection, means, stored, machine.pause, now=now)
    _note(connection, means.cipher, "paused", rollout_id, {}, by=by, now=now)


def resume_rollout(connection: Connection, means: Means, rollout_id: str, *, by: str, now: datetime) -> None:
    """Go on with a roll-out that is paused. Errors as of `pause_rollout`. Call it last in a transaction."""
    stored = _locked(connection, rollout_id)
    _by_person(connection, means, stored, machine.resume, now=now)
    _note(connection, means.cipher, "resumed", rollout_id, {}, by=by, now=now)


def abort_rollout(connection: Connection, means: Means, rollout_id: str, *, by: str, now: datetime) -> None:
    """Turn back: everybody is asked for what they were asked for before. Errors as of `pause_rollout`. Call it last in a transaction."""
    stored = _locked(connection, rollout_id)
    _by_person(connection, means, stored, machine.abort, now=now)
    _note(connection, means.cipher, "aborted", rollout_id, {}, by=by, now=now)


def leave_out(
    connection: Connection,
    means: Means,
    rollout_id: str,
    terminal_id: str,
    *,
    by: str,
    now: datetime,
) -> None:
    """Take one terminal out of a roll-out, which then waits for it no more. Call it last in a transaction.

    Raises:
        NotFound: if there is no such roll-out, or the terminal is not in it.
        Refused: if the roll-out is over.
    """
    stored = _locked(connection, rollout_id)
    if State(stored.state) not in _OPEN:
        raise _not_possible(stored)
    if not rollouts.leave_out(connection, rollout_id, terminal_id):
        raise NotFound(f"roll-out {rollout_id}: {terminal_id} is not in it", code="rollout_not_in")
    rollouts.touch(connection, rollout_id)
    refresh(connection, [terminal_id], door=means.door, now=now)
    detail = {"terminal": terminal_id}
    _note(connection, means.cipher, "left_out", rollout_id, detail, by=by, now=now)


def take_turn(connection: Connection, means: Means, rollout_id: str, *, zone: tzinfo, now: datetime) -> bool:
    """Look at all terminals of a roll-out and go on where that is due; return whether its state has changed.

    Any number of programs may do this at any time: the row is locked, and a second one finds nothing left to do. Call it last in a
    transaction.
    """
    stored = rollouts.find_rollout(connection, rollout_id, lock=True)
    if stored is None or State(stored.state) not in (State.RUNNING, State.PAUSED):
        return False
    plan = plan_of(stored.plan)
    known = rollouts.facts_of(connection, rollout_id)
    asked = (
        None
        if stored.bundle_id is None
        else bundles.find_bundles(connection, [stored.bundle_id])[stored.bundle_id].asked
    )
    standings = {each.member: _standing(each, asked, plan, now) for each in known}
    changed = {
        member.terminal_id: (standing.value, why)
        for member, (standing, why) in standings.items()
        if (standing, why) != (member.standing, member.why)
    }
    rollouts.save_standings(connection, rollout_id, changed)
    members = {member.terminal_id: (member.phase, standing) for member, (standing, _) in standings.items()}
    before = state_of(stored)
    after = machine.turn(before, plan, members, hour=now.astimezone(zone).hour, now=now)
    if after == before:
        return False
    if after.state is State.DONE:
        _settle(connection, means.cipher, stored, now=now)
    _change(connection, means, stored, after, now=now)
    detail: dict[str, Any] = {"phase": after.phase} if after.why is None else {"why": after.why.value}
    _note(
        connection,
        means.cipher,
        "done" if after.state is State.DONE else "turned_back" if after.state is State.ABORTED else "went_on",
        rollout_id,
        detail,
        by=ACTOR,
        now=now,
    )
    return True


def watched(connection: Connection, stored: Collection[StoredRollout]) -> list[Watched]:
    """Return roll-outs with how far they are."""
    counts = rollouts.counts_of(connection, [each.rollout_id for each in stored])
    known = bundles.find_bundles(connection, {each.bundle_id for each in stored if each.bundle_id is not None})
    return [
        Watched(
            each,
            plan_of(each.plan),
            None if each.bundle_id is None else known.get(each.bundle_id),
            counts[each.rollout_id],
        )
        for each in stored
    ]


def state_of(stored: StoredRollout) -> Rollout:
    """Return where a stored roll-out stands."""
    why = None if stored.why is None else machine.Why(stored.why)
    return Rollout(State(stored.state), stored.phase, stored.phase_since, why)


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as it is stored: lengths of time in seconds."""
    found = asdict(plan)
    return {
        name: value.total_seconds()
        if isinstance(value, timedelta)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in found.items()
    }


def plan_of(stored: Mapping[str, Any]) -> Plan:
    """Return a stored plan."""
    lengths = {name: timedelta(seconds=stored[name]) for name in ("soak", "shadow", "lost_after")}
    return Plan(**{**stored, **lengths, "shares": tuple(stored["shares"])})


def plan_from(
    *,
    shares: str,
    soak_hours: float,
    shadow_hours: float,
    from_hour: int | None,
    until_hour: int | None,
    abort_percent: int,
    least_counted: int,
    lost_hours: float,
) -> Plan:
    """Return a plan as somebody typed it.

    Raises:
        Refused: if it is none.
    """
    try:
        return Plan(
            shares=tuple(int(each) for each in shares.replace(",", " ").replace("，", " ").split()),
            soak=timedelta(hours=soak_hours),
            shadow=timedelta(hours=shadow_hours),
            from_hour=from_hour,
            until_hour=until_hour,
            abort_percent=abort_percent,
            least_counted=least_counted,
            lost_after=timedelta(hours=lost_hours),
        )
    except (ValueError, OverflowError) as error:
        raise Refused(f"plan: {error}", code="rollout_plan") from error


def _standing(
    facts: MemberFacts, asked: DesiredBundle | None, plan: Plan, now: datetime
) -> tuple[Standing, str | None]:
    """Return where a terminal stands, and the code that it gives where it went back or refused."""
    member = facts.member
    # Whoever was kept stays so: what comes later is another roll-out's, or a concern of that terminal.
    kept = member.standing == Standing.KEPT
    verdict, why = (Verdict.KEPT, None) if kept else _verdict(facts, asked)
    standing = machine.standing_of(
        Facts(verdict, member.released_at, facts.last_word_at, member.is_left_out or facts.is_out), plan, now
    )
    return standing, why if standing in (Standing.WENT_BACK, Standing.REFUSED) else None


def _verdict(facts: MemberFacts, asked: DesiredBundle | None) -> tuple[Verdict, str | None]:
    reported = desired.parsed_report(facts.reported)
    if reported is not None and reported.desired_number > facts.number:
        # It has heard of another database's wishes, not of this one's (`desired.find_unknown`).
        reported = reported.model_copy(update={"desired_number": 0})
    wanted = Wanted() if facts.wanted is None else Wanted.model_validate(facts.wanted)
    if asked is not None:
        # As this terminal was asked for it, with the number from which on its word is an answer to this roll-out.
        wish = next((each for each in wanted.bundles if each.bundle_id == asked.bundle_id), None)
        unasked = asked.model_copy(update={"since": facts.number + 1})
        line = bundle_line(wish or unasked, reported)
        return _VERDICTS.get(line.match, Verdict.OPEN), line.why
    if reported is None or facts.wanted is None or reported.desired_number < facts.number:
        return Verdict.OPEN, None
    # What it was asked for, not what its area was: its own settings win.
    lines = setting_lines(wanted.settings, reported)
    return Verdict.KEPT if all(line.match is Match.SAME for line in lines) else Verdict.OPEN, None


_VERDICTS = {Match.SAME: Verdict.KEPT, Match.WENT_BACK: Verdict.WENT_BACK, Match.REFUSED: Verdict.REFUSED}


def _change(connection: Connection, means: Means, stored: StoredRollout, after: Rollout, *, now: datetime) -> None:
    """Store another state, and ask whomever it concerns."""
    rollouts.save_state(
        connection,
        stored.rollout_id,
        state=after.state.value,
        phase=after.phase,
        phase_since=after.phase_since,
        why=None if after.why is None else after.why.value,
        is_over=after.is_over,
        now=now,
    )
    if after.state is State.RUNNING:
        rollouts.release(connection, stored.rollout_id, phase=after.phase, now=now)
    if after.state in (State.RUNNING, State.DONE, State.ABORTED):
        # Once it is done it holds for terminals that came meanwhile, too.
        own = rollouts.membership(connection, [stored.rollout_id], None)[stored.rollout_id]
        refresh(connection, None if after.state is State.DONE else own, door=means.door, now=now)


def _settle(connection: Connection, cipher: FieldCipher, stored: StoredRollout, *, now: datetime) -> None:
    """Have the settings of a roll-out that is done stand with all others."""
    if stored.target is None or stored.settings is None:
        return
    by = cipher.decrypt(stored.made_by_sealed, subject_id=stored.rollout_id, field_name="made_by")
    reason = cipher.decrypt(stored.reason_sealed, subject_id=stored.rollout_id, field_name="reason")
    put(connection, cipher, stored.target, stored.settings, by=by, reason=reason, now=now)


def _by_person(
    connection: Connection,
    means: Means,
    stored: StoredRollout,
    work: Callable[[Rollout], Rollout],
    *,
    now: datetime,
) -> None:
    try:
        after = work(state_of(stored))
    except NotPossible as error:
        raise _not_possible(stored) from error
    _change(connection, means, stored, after, now=now)


def _not_possible(stored: StoredRollout) -> Refused:
    return Refused(f"roll-out {stored.rollout_id}: it is {stored.state}", code="rollout_state", state=stored.state)


def _locked(connection: Connection, rollout_id: str) -> StoredRollout:
    found = rollouts.find_rollout(connection, rollout_id, lock=True)
    if found is None:
        raise NotFound(f"roll-out {rollout_id}: there is none", code="rollout_unknown")
    return found


def _present(connection: Connection, bundle_id: str) -> StoredBundle:
    found = find_bundle(connection, bundle_id)
    if found.removed_at is not None:
        raise NotFound(f"bundle {bundle_id}: was removed", code="bundle_unknown")
    return found


def _check_areas(connection: Connection, areas: Collection[str]) -> None:
    known = rollouts.parents(connection) if areas else {}
    for code in areas:
        # An agency without a tree of areas has those of its terminals.
        if known and code not in known:
            raise NotFound(f"area {code}: none of this code", code="area_unknown")


def _target(areas: tuple[str, ...]) -> Target:
    if len(areas) > 1:
        raise Refused("settings: of one area, or of the whole fleet", code="settings_one_area")
    return Target(Scope.AREA, areas[0]) if areas else Target(Scope.FLEET)


def _check_alone(
    connection: Connection,
    bundle: StoredBundle | None,
    target: Target | None,
    reached: Collection[str],
    *,
    states: Collection[State] = _OPEN,
) -> None:
    """Refuse a second roll-out of the same to the same: each would undo the other.

    Args:
        connection: a transaction with `rollouts.lock_making`.
        bundle: what is rolled out.
        target: in its place, whose settings.
        reached: to which terminals.
        states: of the others that count.
    """
    under_way = rollouts.rollouts_in(connection, states)
    kinds = bundles.find_bundles(connection, {each.bundle_id for each in under_way if each.bundle_id is not None})
    for other in under_way:
        if target is not None and other.target == target:
            raise _under_way(other)
        if bundle is None or other.bundle_id is None or kinds[other.bundle_id].kind is not bundle.kind:
            continue
        if rollouts.membership(connection, [other.rollout_id], reached)[other.rollout_id]:
            raise _under_way(other)


def _under_way(other: StoredRollout) -> Refused:
    return Refused(
        f"roll-out {other.rollout_id}: is under way to some of these terminals; end it first",
        code="rollout_under_way",
        rollout=other.rollout_id,
    )


def _told(bundle: StoredBundle | None, settings: SettingValues | None) -> dict[str, Any]:
    if bundle is not None:
        return {"bundle": bundle.bundle_id, "kind": bundle.kind.value, "number": bundle.number}
    return {"settings": settings_told(settings or SettingValues())}


def _note(
    connection: Connection,
    cipher: FieldCipher,
    verb: str,
    rollout_id: str,
    detail: Mapping[str, Any],
    *,
    by: str,
    now: datetime,
) -> None:
    note(
        connection,
        cipher,
        actor=by,
        action=f"rollout.{verb}",
        object_kind=OBJECT,
        object_id=rollout_id,
        detail=detail,
        now=now,
    )
