"""Buttons that bounce and stick, sensors that flap, power that comes and goes; time is passed by hand."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contacts import ButtonContact, ContactWatch, HeldInput, WatchedPin
from device.ports import BoardChange, BoardNotice, Button

MS = 1_000_000
S = 1000 * MS
STUCK = BoardNotice(BoardChange.BUTTON_STUCK, Button.START)
FREE = BoardNotice(BoardChange.BUTTON_FREE, Button.START)
PRESENT, ABSENT = BoardNotice(BoardChange.PRESENT), BoardNotice(BoardChange.ABSENT)
FLAPPING = BoardNotice(BoardChange.SENSOR_FLAPPING)
FAILING, BACK = BoardNotice(BoardChange.POWER_FAILING), BoardNotice(BoardChange.POWER_BACK)


class Wire:
    """An input, the level on its wire, and what happened when."""

    def __init__(self, watched, *, is_on=False):
        self.input, self.is_on, self.now_ns, self.happened = watched, is_on, 0, []
        watched.begin(is_on=is_on, now_ns=0)

    def wait(self, duration_ns):
        """Let time pass, looking at the input when it is due and at no other time."""
        end_ns = self.now_ns + duration_ns
        while (due_ns := self.input.due_ns()) is not None and due_ns <= end_ns:
            self.now_ns = max(self.now_ns, due_ns)
            happening = self.input.pass_time(is_on=self.is_on, now_ns=self.now_ns)
            if happening is not None:
                self.happened.append(happening)
        self.now_ns = end_ns

    def turn(self, is_on):
        if is_on != self.is_on:
            self.is_on = is_on
            self.input.edge(self.now_ns)

    def chatter(self, edges, every_ns):
        for _ in range(edges):
            self.turn(not self.is_on)
            self.wait(every_ns)


def button():
    return Wire(ButtonContact(Button.START, debounce_ns=50 * MS, stuck_ns=20 * S))


def sensor():
    return Wire(
        HeldInput(BoardChange.PRESENT, BoardChange.ABSENT, on_after_ns=500 * MS, off_after_ns=10 * S, may_flap=True)
    )


def supply(*, is_on=False):
    return Wire(
        HeldInput(
            BoardChange.POWER_FAILING,
            BoardChange.POWER_BACK,
            on_after_ns=500 * MS,
            off_after_ns=10 * S,
            restless_ns=5 * S,
        ),
        is_on=is_on,
    )


def test_a_press_counts_once_the_contact_rests_closed_and_not_before():
    wire = button()
    wire.turn(True)
    wire.wait(49 * MS)
    assert wire.happened == []
    wire.wait(1 * MS)
    assert wire.happened == [Button.START]
    assert wire.input.due_ns() == 50 * MS + 20 * S


def test_bounces_at_both_ends_of_a_press_make_one_press():
    wire = button()
    for count in (1, 2, 3):
        wire.chatter(21, 3 * MS)
        wire.wait(1 * S)
        assert wire.is_on
        wire.chatter(21, 3 * MS)
        wire.wait(1 * S)
        assert not wire.is_on
        assert wire.happened == [Button.START] * count
    assert wire.input.due_ns() is None


def test_a_knock_is_no_press_and_a_jolt_to_a_held_button_no_second_one():
    wire = button()
    wire.chatter(2, 10 * MS)
    wire.wait(1 * S)
    assert wire.happened == []
    wire.turn(True)
    wire.wait(1 * S)
    wire.chatter(2, 10 * MS)
    wire.wait(1 * S)
    assert wire.happened == [Button.START]


def test_edges_that_were_lost_in_a_storm_do_not_leave_a_wrong_state():
    wire = button()
    wire.turn(True)
    wire.is_on = False
    wire.wait(1 * S)
    assert wire.happened == []
    wire.turn(True)
    wire.wait(1 * S)
    assert wire.happened == [Button.START]


def test_a_button_that_stays_closed_is_stuck_once_and_ignored_until_it_is_free():
    wire = button()
    wire.turn(True)
    wire.wait(3600 * S)
    assert wire.happened == [Button.START, STUCK]
    # A worn contact opens for moments: neither free nor pressed.
    for _ in range(50):
        wire.chatter(2, 500 * MS)
    assert wire.happened == [Button.START, STUCK]
    wire.turn(False)
    wire.wait(1 * S)
    assert wire.happened == [Button.START, STUCK, FREE]
    wire.turn(True)
    wire.wait(1 * S)
    assert wire.happened[-1] is Button.START


def test_a_button_closed_at_the_start_was_not_pressed_and_is_stuck_in_the_end():
    wire = Wire(ButtonContact(Button.START, debounce_ns=50 * MS, stuck_ns=20 * S), is_on=True)
    wire.wait(19 * S)
    assert wire.happened == []
    wire.wait(1 * S)
    assert wire.happened == [STUCK]


def test_a_contact_that_never_rests_is_stuck_too():
    wire = button()
    wire.chatter(1000, 30 * MS)
    assert wire.happened == [STUCK]
    wire.turn(False)
    wire.wait(2 * S)
    assert wire.happened == [STUCK, FREE]


def test_who_walks_past_is_not_noticed_and_who_sits_still_has_not_left():
    wire = sensor()
    wire.turn(True)
    wire.wait(400 * MS)
    wire.turn(False)
    wire.wait(60 * S)
    assert wire.happened == []
    wire.turn(True)
    wire.wait(2 * S)
    assert wire.happened == [PRESENT]
    for _ in range(10):
        wire.turn(False)
        wire.wait(9 * S)
        wire.turn(True)
        wire.wait(2 * S)
    assert wire.happened == [PRESENT]
    wire.turn(False)
    wire.wait(10 * S)
    assert wire.happened == [PRESENT, ABSENT]


def test_a_flapping_sensor_is_told_once_and_says_nothing_more_until_it_is_calm():
    wire = sensor()
    wire.chatter(100_000, 20 * MS)
    assert wire.happened == [FLAPPING]
    wire.turn(True)
    wire.wait(120 * S)
    assert wire.happened == [FLAPPING, PRESENT]
    wire.turn(False)
    wire.wait(11 * S)
    assert wire.happened == [FLAPPING, PRESENT, ABSENT]


def test_who_was_there_before_the_sensor_flapped_is_told_anew_afterwards():
    wire = sensor()
    wire.turn(True)
    wire.wait(1 * S)
    wire.chatter(100, 100 * MS)
    assert wire.is_on
    wire.wait(120 * S)
    assert wire.happened == [PRESENT, FLAPPING, PRESENT]


def test_a_sensor_that_flaps_again_and_again_is_told_once_an_hour():
    wire = sensor()
    for _ in range(12):
        wire.chatter(100, 10 * MS)
        wire.wait(600 * S)
    assert wire.happened.count(FLAPPING) == 2


@given(st.lists(st.integers(1, 30_000), max_size=400))
def test_no_sensor_floods(pauses_ms):
    wire = sensor()
    for pause_ms in pauses_ms:
        wire.turn(not wire.is_on)
        wire.wait(pause_ms * MS)
    wire.wait(200 * S)
    told = [happening for happening in wire.happened if happening != FLAPPING]
    # Each pair of notices takes the two holding times.
    assert len(told) <= 2 * (wire.now_ns / (10.5 * S) + 1)
    assert wire.happened.count(FLAPPING) <= 1 + wire.now_ns / (3600 * S)
    assert (told[-1] if told else ABSENT) == (PRESENT if wire.is_on else ABSENT)


@given(st.lists(st.integers(1, 3000), max_size=200))
def test_a_press_is_told_for_each_rest_closed_after_a_rest_open_and_the_end_is_right(pauses_ms):
    wire = button()
    is_pressed, expected = False, 0
    for pause_ms in pauses_ms:
        wire.turn(not wire.is_on)
        if pause_ms > 50:
            expected += wire.is_on and not is_pressed
            is_pressed = wire.is_on
        elif pause_ms == 50:
            return
        wire.wait(pause_ms * MS)
        if STUCK in wire.happened:
            return
    assert wire.happened.count(Button.START) == expected


def test_power_that_goes_for_a_moment_is_not_told_and_power_that_comes_and_goes_is_back_once_it_stays():
    wire = supply()
    wire.turn(True)
    wire.wait(400 * MS)
    wire.turn(False)
    wire.wait(60 * S)
    assert wire.happened == []
    wire.turn(True)
    wire.wait(1 * S)
    assert wire.happened == [FAILING]
    for _ in range(20):
        wire.chatter(2, 4 * S)
    assert wire.happened == [FAILING]
    wire.turn(False)
    wire.wait(10 * S)
    assert wire.happened == [FAILING, BACK]


def test_power_that_never_rests_is_failing_and_one_that_is_gone_at_the_start_too():
    wire = supply()
    wire.chatter(61, 100 * MS)
    assert wire.happened == [FAILING]
    wire.turn(False)
    wire.wait(11 * S)
    assert wire.happened == [FAILING, BACK]
    gone = supply(is_on=True)
    gone.wait(1 * S)
    assert gone.happened == [FAILING]


class Broken(Exception):
    """As a vendor's error, it derives from nothing in particular."""


def test_an_input_that_cannot_be_read_is_told_once_and_the_others_go_on(eventually, caplog):
    heard = []

    def fail():
        raise Broken("bus gone")

    broken = WatchedPin("presence", sensor().input, fail)
    sound = WatchedPin("start", ButtonContact(Button.START, debounce_ns=MS, stuck_ns=3600 * S), lambda: True)
    watch = ContactWatch([broken, sound], on_press=heard.append, on_notice=heard.append)
    watch.start()
    watch.edge(broken)
    watch.edge(sound)
    eventually(lambda: caplog.text.count("cannot be read") == 1)
    watch.stop()
    watch.stop()


def test_a_press_is_heard_although_the_clock_is_ours(eventually):
    now, level, heard = [0], [False], []
    pin = WatchedPin("start", ButtonContact(Button.START, debounce_ns=50 * MS, stuck_ns=S), lambda: level[0])
    watch = ContactWatch([pin], on_press=heard.append, on_notice=heard.append, now_ns=lambda: now[0])
    watch.start()
    level[0] = True
    watch.edge(pin)
    now[0] = 50 * MS
    eventually(lambda: heard == [Button.START])
    watch.stop()


def test_a_watch_can_be_stopped_by_whom_it_tells():
    stopped, level = threading.Event(), [False]
    pin = WatchedPin("start", ButtonContact(Button.START, debounce_ns=MS, stuck_ns=S), lambda: level[0])

    def stop(_button):
        watch.stop()
        stopped.set()

    watch = ContactWatch([pin], on_press=stop, on_notice=lambda _: None)
    watch.start()
    level[0] = True
    watch.edge(pin)
    assert stopped.wait(20)


@pytest.mark.parametrize("level", [True, False])
def test_an_input_that_is_not_due_says_nothing(level):
    for wire in (button(), sensor(), supply()):
        assert wire.input.pass_time(is_on=level, now_ns=S) is None
