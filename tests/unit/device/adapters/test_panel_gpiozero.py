"""The board adapter on gpiozero's own fake pins."""

from __future__ import annotations

import sys

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from device.adapters.panel_gpiozero import GpiozeroPanel
from device.errors import PanelUnavailable
from device.ports import BoardChange, BoardNotice, Button
from device.session.commands import Lamp
from device.settings import Board, Panel


@pytest.fixture
def board():
    factory = MockFactory(pin_class=MockPWMPin)
    yield factory
    factory.close()


WIRING = Board()
SHORT = Panel(debounce_s=0.005)
QUICK = Panel(
    debounce_s=0.005,
    stuck_s=0.1,
    present_after_s=0.005,
    absent_after_s=0.005,
    power_failing_after_s=0.005,
    power_back_after_s=0.005,
)


def open_panel(board, on_press, on_notice=lambda _: None, wiring=WIRING, times=SHORT):
    panel = GpiozeroPanel(wiring, times, pin_factory=board)
    panel.start(on_press, on_notice)
    return panel


@pytest.mark.parametrize(("pin", "button"), [(17, Button.START), (27, Button.REPEAT), (22, Button.CANCEL)])
def test_a_held_button_counts_once(board, eventually, pin, button):
    heard = []
    panel = open_panel(board, heard.append)
    board.pin(pin).drive_low()
    eventually(lambda: heard)
    board.pin(pin).drive_high()
    assert heard == [button]
    panel.stop()


def test_the_lamp_shows_each_state_in_its_own_colour_and_goes_dark(board):
    panel = open_panel(board, lambda _: None)
    colours = set()
    for lamp in Lamp:
        panel.show(lamp)
        colours.add(tuple(board.pin(pin).state for pin in (12, 13, 16)))
    assert len(colours) == len(Lamp)
    panel.show(Lamp.CERTIFIED)
    assert [board.pin(pin).state for pin in (12, 13, 16)] == [0.0, 1.0, 0.0]
    panel.stop()
    panel.stop()
    with pytest.raises(PanelUnavailable, match="not started"):
        panel.show(Lamp.IDLE)


def test_a_pin_in_use_is_reported_and_everything_given_back(board):
    first = open_panel(board, lambda _: None)
    second = GpiozeroPanel(Board(), Panel(), pin_factory=board)
    with pytest.raises(PanelUnavailable, match="cannot be opened"):
        second.start(lambda _: None)
    first.stop()
    second.start(lambda _: None)
    second.stop()


class VendorError(Exception):
    """Derives from nothing in particular, as lgpio's does."""


class BrokenFactory(MockFactory):
    """Gives no pin."""

    def pin(self, name):
        raise VendorError(f"no pin {name}")


def test_whatever_a_vendor_raises_is_ours(board, monkeypatch):
    with pytest.raises(PanelUnavailable, match="cannot be opened"):
        GpiozeroPanel(Board(), Panel(), pin_factory=BrokenFactory()).start(lambda _: None)
    panel = open_panel(board, lambda _: None)

    def fail(pin, value):
        raise VendorError("bus gone")

    with monkeypatch.context() as patch:
        patch.setattr(MockPWMPin, "_set_state", fail)
        with pytest.raises(PanelUnavailable, match="bus gone"):
            panel.show(Lamp.FAULT)
    panel.show(Lamp.IDLE)
    panel.stop()


def test_without_the_library_the_message_says_where_it_comes_from(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(PanelUnavailable, match="apt"):
        GpiozeroPanel(Board(), Panel()).start(lambda _: None)


def bounce(pin, *, ends_low):
    """Chatter as a switch does when it is pressed or let go."""
    for _ in range(10):
        pin.drive_low()
        pin.drive_high()
    if ends_low:
        pin.drive_low()


def test_a_button_that_bounces_when_pressed_and_when_let_go_counts_once(board, eventually):
    heard = []
    # Long enough that a busy computer does not stand still for it in the middle of a bounce.
    panel = open_panel(board, heard.append, times=Panel(debounce_s=0.25))
    pin = board.pin(17)
    for count in (1, 2, 3):
        bounce(pin, ends_low=True)
        eventually(lambda wanted=count: len(heard) == wanted)
        bounce(pin, ends_low=False)
        # Its rest is over when another button, pressed later, has been heard.
        board.pin(27).drive_low()
        eventually(lambda: heard[-1] == Button.REPEAT)
        board.pin(27).drive_high()
        heard.remove(Button.REPEAT)
        assert heard == [Button.START] * count
    panel.stop()


def test_a_button_that_is_held_down_at_the_start_is_stuck_and_was_not_pressed(eventually):
    heard, noticed = [], []
    panel = GpiozeroPanel(Board(), QUICK, pin_factory=HeldDown(22))
    panel.start(heard.append, noticed.append)
    eventually(lambda: noticed)
    assert noticed == [BoardNotice(BoardChange.BUTTON_STUCK, Button.CANCEL)]
    assert heard == []
    panel.stop()


class HeldDown(MockFactory):
    """A board one of whose pins is tied to ground."""

    def __init__(self, number):
        super().__init__(pin_class=TiedPin)
        self.tied = number


class TiedPin(MockPWMPin):
    def drive_high(self):
        if self._info.name == f"GPIO{self._factory.tied}":
            self.drive_low()
        else:
            super().drive_high()


def test_a_stuck_button_is_told_and_told_again_when_it_is_free(board, eventually):
    heard, noticed = [], []
    panel = open_panel(board, heard.append, noticed.append, times=QUICK)
    board.pin(17).drive_low()
    eventually(lambda: noticed)
    board.pin(17).drive_high()
    eventually(lambda: len(noticed) == 2)
    assert noticed == [
        BoardNotice(BoardChange.BUTTON_STUCK, Button.START),
        BoardNotice(BoardChange.BUTTON_FREE, Button.START),
    ]
    assert heard == [Button.START]
    panel.stop()


@pytest.mark.parametrize("level", ["high", "low"])
def test_sensor_and_supply_are_heard_at_the_level_of_the_settings(board, eventually, level):
    noticed = []
    panel = open_panel(
        board, lambda _: None, noticed.append, wiring=Board(presence=level, power_fail=level), times=QUICK
    )
    for pin, on, off in (
        (23, BoardChange.PRESENT, BoardChange.ABSENT),
        (24, BoardChange.POWER_FAILING, BoardChange.POWER_BACK),
    ):
        drive = [board.pin(pin).drive_high, board.pin(pin).drive_low]
        if level == "low":
            drive.reverse()
        noticed.clear()
        drive[0]()
        eventually(lambda: noticed)
        drive[1]()
        eventually(lambda: len(noticed) == 2)
        assert noticed == [BoardNotice(on), BoardNotice(off)]
    panel.stop()


def test_inputs_that_nothing_is_connected_to_are_left_alone(board):
    panel = open_panel(board, lambda _: None)
    assert not {"GPIO23", "GPIO24"} & {pin.info.name for pin in board.pins.values()}
    panel.stop()


def test_nothing_is_heard_once_the_panel_has_stopped(board):
    heard = []
    panel = open_panel(board, heard.append, times=Panel(debounce_s=1))
    board.pin(17).drive_low()
    panel.stop()
    assert heard == []
