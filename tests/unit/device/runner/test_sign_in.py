"""Signing in: who is let in, who is locked out, and that pulling the plug helps nobody."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.desk.events import SignedIn
from device.errors import StaffUnavailable
from device.ports import Attempts
from device.runner.sign_in import (
    FIRST_LOCK_S,
    FORGET_S,
    FREE_ATTEMPTS,
    LONGEST_LOCK_S,
    TERMINAL_ATTEMPTS,
    Refused,
    SignInGuard,
)
from device.simulated.clock import SteppedClock
from device.simulated.stores import MemoryStaff
from protocol.staff import Operator, OperatorCode, PinHash, Role, StaffList

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
PIN, CODE = "493817", OperatorCode("w-1", bytes(16))
HASH = PinHash.of(PIN, bytes(16))


def operator(**changes: object) -> Operator:
    known = Operator(
        operator_id="w-1",
        name="Worker",
        roles=(Role.WORKER,),
        pin=HASH,
        code_sha256=CODE.sha256(),
        valid_until=date(2027, 1, 1),
    )
    return known.model_copy(update=changes)


def staff_list(*operators: Operator, days: int = 30) -> StaffList:
    return StaffList(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=NOW,
        expires_at=NOW + timedelta(days=days),
        operators=operators or (operator(),),
    )


def guard(staff: MemoryStaff, clock: SteppedClock) -> SignInGuard:
    return SignInGuard(staff, clock, today=lambda: clock.now().wall_clock.date())


class Door:
    def __init__(self, staff: MemoryStaff | None = None) -> None:
        self.staff = MemoryStaff(staff_list()) if staff is None else staff
        self.clock = SteppedClock(NOW)
        self.guard = guard(self.staff, self.clock)

    def after(self, seconds: float) -> Door:
        self.clock.advance_to(self.clock.monotonic_ns() + round(seconds * 1e9))
        return self

    def pull_the_plug(self) -> Door:
        self.guard = guard(self.staff, self.clock)
        return self

    def wrong(self, operator_id: str = "w-1") -> Refused:
        found = self.guard.by_pin(operator_id, "000000")
        assert isinstance(found, Refused)
        return found


def test_number_and_pin_or_the_code_let_somebody_in() -> None:
    door = Door()
    assert door.guard.by_pin("w-1", PIN) == SignedIn("w-1", "Worker", (Role.WORKER,))
    assert isinstance(door.guard.by_code(CODE.text()), SignedIn)


def test_a_number_typed_in_capitals_without_hyphens_is_the_operators_unless_two_are_alike() -> None:
    door = Door(MemoryStaff(staff_list(operator(operator_id="w-7kq2ma"), operator(operator_id="w-1"))))
    assert door.guard.by_pin("W7KQ2MA", PIN) == SignedIn("w-7kq2ma", "Worker", (Role.WORKER,))
    assert door.wrong("W7KQ2MA").operator_id == "w-7kq2ma"
    door = Door(MemoryStaff(staff_list(operator(operator_id="w-11"), operator(operator_id="w1-1"))))
    assert isinstance(door.guard.by_pin("w1-1", PIN), SignedIn)
    assert isinstance(door.guard.by_pin("W11", PIN), Refused)


@pytest.mark.parametrize(
    ("operator_id", "pin"), [("w-1", "000000"), ("w-2", PIN), ("", ""), ("w-1", ""), ("w-1", "四九三八一七")]
)
def test_anything_else_does_not(operator_id: str, pin: str) -> None:
    found = Door().guard.by_pin(operator_id, pin)
    assert isinstance(found, Refused)
    assert (found.event.problem, found.attempts) == ("pin_wrong", 1)


def test_a_code_with_another_secret_or_of_another_operator_does_not_open() -> None:
    door = Door()
    for code in (OperatorCode("w-1", bytes(15) + b"x"), OperatorCode("w-2", bytes(16))):
        found = door.guard.by_code(code.text())
        assert isinstance(found, Refused)
        assert found.event.problem == "code_unknown"


def test_ten_wrong_ones_lock_ever_longer_and_the_right_pin_waits_too() -> None:
    door = Door()
    waits = []
    for _ in range(10):
        refused = door.wrong()
        waits.append(refused.lock_s)
        door.after(refused.lock_s)
    assert waits[: FREE_ATTEMPTS - 1] == [0] * (FREE_ATTEMPTS - 1)
    assert waits[FREE_ATTEMPTS - 1 :] == [300, 600, 1200, 2400, 3600, 3600]
    assert waits[-1] == LONGEST_LOCK_S
    assert door.wrong().is_counted
    found = door.guard.by_pin("w-1", PIN)
    assert isinstance(found, Refused)
    assert (found.event.problem, found.is_counted, found.operator_id) == ("sign_in_locked", False, "w-1")
    assert isinstance(door.after(LONGEST_LOCK_S).guard.by_pin("w-1", PIN), SignedIn)
    assert door.staff.attempts() == Attempts()


def test_signing_in_oneself_gives_no_more_attempts_at_a_colleagues_pin() -> None:
    door = Door(MemoryStaff(staff_list(operator(), operator(operator_id="w-2"))))
    for _ in range(FREE_ATTEMPTS - 1):
        door.wrong("w-2")
    assert isinstance(door.guard.by_pin("w-1", PIN), SignedIn)
    assert door.staff.attempts().by_operator == {"w-2": FREE_ATTEMPTS - 1}
    refused = door.wrong("w-2")
    assert (refused.event.problem, refused.lock_s) == ("sign_in_locked", FIRST_LOCK_S)


def test_whose_pin_is_guessed_at_locks_out_nobody_else() -> None:
    door = Door(MemoryStaff(staff_list(operator(), operator(operator_id="w-2"))))
    for _ in range(FREE_ATTEMPTS):
        refused = door.wrong("w-2")
    assert (refused.event.problem, refused.event.wait_s, refused.lock_s) == ("sign_in_locked", 0, FIRST_LOCK_S)
    assert isinstance(door.guard.by_pin("w-1", PIN), SignedIn)
    assert isinstance(door.guard.by_pin("w-2", PIN), Refused)


def test_many_tries_at_many_numbers_lock_the_whole_terminal_for_a_while() -> None:
    names = [f"w-{number}" for number in range(9)]
    door = Door(MemoryStaff(staff_list(*(operator(operator_id=name) for name in names))))
    for number in range(TERMINAL_ATTEMPTS):
        refused = door.wrong(names[number % 8])
        assert bool(refused.event.wait_s) == (number + 1 == TERMINAL_ATTEMPTS)
    door.after(FORGET_S - 60).pull_the_plug()
    found = door.guard.by_pin("w-8", PIN)
    assert isinstance(found, Refused)
    assert (found.event.wait_s, found.is_counted) == (FORGET_S, False)
    assert isinstance(door.after(FORGET_S).guard.by_pin("w-8", PIN), SignedIn)


def test_numbers_that_nobody_has_are_counted_together_and_forgotten_when_somebody_signs_in() -> None:
    door = Door()
    for number in range(FREE_ATTEMPTS):
        refused = door.wrong(f"x-{number}")
    assert (refused.attempts, refused.operator_id, refused.lock_s) == (FREE_ATTEMPTS, None, FIRST_LOCK_S)
    assert list(door.staff.attempts().by_operator.values()) == [FREE_ATTEMPTS]
    assert isinstance(door.guard.by_pin("w-1", PIN), SignedIn)
    assert door.wrong("x-1").attempts == 1


def test_pulling_the_plug_ends_no_lock_and_gives_no_attempt_back() -> None:
    door = Door()
    for _ in range(FREE_ATTEMPTS):
        door.wrong()
    door.after(200).pull_the_plug()
    found = door.guard.by_pin("w-1", PIN)
    assert isinstance(found, Refused)
    assert found.lock_s == FIRST_LOCK_S


def test_an_attempt_is_counted_before_it_is_looked_at() -> None:
    class Cut(MemoryStaff):
        def note_attempts(self, attempts: object) -> None:
            raise StaffUnavailable("attempts: input/output error")

    found = Door(Cut(staff_list())).guard.by_pin("w-1", PIN)
    assert isinstance(found, Refused)
    assert found.event.problem == "staff_list_missing"


def test_nobody_signs_in_without_a_list_or_with_one_that_expired() -> None:
    assert Door(MemoryStaff()).guard.by_pin("w-1", PIN) == Refused(type(Door().wrong().event)("staff_list_missing"))
    door = Door().after(timedelta(days=31).total_seconds())
    found = door.guard.by_pin("w-1", PIN)
    assert isinstance(found, Refused)
    assert found.event.problem == "staff_list_missing"


def test_an_operator_whose_time_is_over_is_told_so() -> None:
    found = Door(MemoryStaff(staff_list(operator(valid_until=date(2026, 11, 27))))).guard.by_pin("w-1", PIN)
    assert isinstance(found, Refused)
    assert found.event.problem == "operator_expired"


def test_a_number_alone_or_something_else_proves_nobody_and_is_not_counted() -> None:
    door = Door()
    assert isinstance(door.guard.by_either(CODE.text()), SignedIn)
    assert isinstance(door.guard.by_either(f"w-1/{PIN}"), SignedIn)
    base45 = "HC1:6BF/493817"
    for text in (
        "w-1",
        "",
        "99999919400101001",
        "https://example.org/493817",
        base45,
        "w-1/493817/493817",
        "w-1/",
        "/493817",
    ):
        found = door.guard.by_either(text)
        assert isinstance(found, Refused)
        assert not found.is_counted
    assert door.staff.attempts() == Attempts()
    assert isinstance(found := door.guard.by_either("w-1/000000"), Refused)
    assert found.attempts == 1


STEPS = st.lists(st.sampled_from(["w-1", "w-2", "x-1", "own", "wait", "plug"]), max_size=60)


@given(STEPS)
def test_no_way_of_trying_is_faster_than_the_locks_allow(steps: list[str]) -> None:
    others = (operator(pin=None), operator(operator_id="w-2", pin=None))
    door = Door(MemoryStaff(staff_list(*others, operator(operator_id="own", pin=None))))
    own = OperatorCode("own", bytes(16)).text()
    began, looked = door.clock.monotonic_ns(), dict.fromkeys(("w-1", "w-2", "x-1"), 0)
    for step in steps:
        if step in looked:
            looked[step] += door.wrong(step).is_counted
        elif step == "own":
            door.guard.by_code(own)
        elif step == "wait":
            door.after(FIRST_LOCK_S)
        else:
            door.pull_the_plug()
    passed_s = (door.clock.monotonic_ns() - began) / 1e9
    assert max(looked["w-1"], looked["w-2"]) <= FREE_ATTEMPTS + passed_s / FIRST_LOCK_S
    assert sum(looked.values()) <= TERMINAL_ATTEMPTS + passed_s / FORGET_S
