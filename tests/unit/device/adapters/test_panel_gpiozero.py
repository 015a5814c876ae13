"""The board adapter on gpiozero's own fake pins, and our debounce."""

from __future__ import annotations

import sys
import threading

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from device.adapters.panel_gpiozero import DebouncedContact, GpiozeroPanel
from device.errors import PanelUnavailable
from device.ports import Button
from device.session.commands import Lamp
from device.settings import Panel


@pytest.fixture
def board():
    factory = MockFactory(pin_class=MockPWMPin)
    yield factory
    factory.close()


def open_panel(board, on_press, debounce_s=0.005):
    panel = GpiozeroPanel(Panel(debounce_s=debounce_s), pin_factory=board)
    panel.start(on_press)
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
        colours.add(tuple(board.pin(pin).state for pin in (12, 13, 19)))
    assert len(colours) == len(Lamp)
    panel.show(Lamp.CERTIFIED)
    assert [board.pin(pin).state for pin in (12, 13, 19)] == [0.0, 1.0, 0.0]
    panel.stop()
    panel.stop()
    with pytest.raises(PanelUnavailable, match="not started"):
        panel.show(Lamp.IDLE)


def test_a_pin_in_use_is_reported_and_everything_given_back(board):
    first = open_panel(board, lambda _: None)
    second = GpiozeroPanel(Panel(), pin_factory=board)
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
        GpiozeroPanel(Panel(), pin_factory=BrokenFactory()).start(lambda _: None)
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
        GpiozeroPanel(Panel()).start(lambda _: None)


def test_a_contact_that_bounces_counts_once_it_has_stayed_closed():
    pressed = threading.Semaphore(0)
    contact = DebouncedContact(0.01, pressed.release)
    for _ in range(5):
        contact.closed()
        contact.opened()
    contact.closed()
    contact.closed()
    assert pressed.acquire(timeout=10)
    contact.opened()
    assert not pressed.acquire(blocking=False)


def test_a_contact_that_opens_too_early_never_counts():
    pressed = threading.Semaphore(0)
    contact = DebouncedContact(3600, pressed.release)
    contact.closed()
    contact.opened()
    assert not pressed.acquire(blocking=False)
