"""Keyboard-type readers: what keys become, and a reader that comes and goes. The device is a pipe with the events of evdev."""

from __future__ import annotations

import os
import pickle
import string
import threading
from pathlib import Path

import pytest
from evdev import InputEvent, ecodes
from hypothesis import given
from hypothesis import strategies as st

from device.adapters import reader_evdev
from device.adapters.reader_evdev import EvdevReader, TypedText

PRINTABLE = "".join(c for c in string.printable if c not in "\t\n\r\x0b\x0c")
SHIFT = ecodes.KEY_LEFTSHIFT
BACK = {v: k for k, v in reader_evdev._SHIFTED.items()}


def key(code: int, value: int) -> InputEvent:
    return InputEvent(0, 0, ecodes.EV_KEY, code, value)


def typed(text: str, *, end: bool = True) -> list[InputEvent]:
    """Type a text as a reader does: with shift where it is needed, every key pressed and released."""
    events = []
    for character in text:
        plain = BACK.get(character, character.lower())
        code = ecodes.ecodes[f"KEY_{reader_evdev._PLAIN[plain]}"]
        keys = [key(code, 1), InputEvent(0, 0, ecodes.EV_SYN, 0, 0), key(code, 0)]
        events += [key(SHIFT, 1), *keys, key(SHIFT, 0)] if plain != character else keys
    return [*events, key(ecodes.KEY_ENTER, 1), key(ecodes.KEY_ENTER, 0)] if end else events


class PipeReader:
    """A reader on the other end of a pipe."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        self.is_grabbed = self.is_closed = False
        self._is_unplugged = False

    def type(self, events: list[InputEvent]) -> None:
        data = pickle.dumps([(e.type, e.code, e.value) for e in events])
        os.write(self._write, len(data).to_bytes(4, "big") + data)

    def unplug(self) -> None:
        self._is_unplugged = True
        os.write(self._write, b"x")

    def grab(self) -> None:
        self.is_grabbed = True

    def read(self):
        if self._is_unplugged:
            raise OSError(19, "No such device")
        size = int.from_bytes(os.read(self.fd, 4), "big")
        return [InputEvent(0, 0, *one) for one in pickle.loads(os.read(self.fd, size))]

    def close(self) -> None:
        self.is_closed = True
        os.close(self.fd)
        os.close(self._write)


class Readers:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reader_evdev, "_SILENCE_S", 0.02)
        monkeypatch.setattr(reader_evdev, "_REOPEN_S", 0.01)
        self.plugged: list[PipeReader] = []
        self.opened: list[PipeReader] = []
        self.texts: list[str] = []
        self.came = threading.Condition()
        self.reader = EvdevReader([Path("/dev/input/by-id/reader")], open_device=self.open)
        self.reader.start(self.take)

    def open(self, path: Path) -> PipeReader:
        with self.came:
            if not self.plugged:
                raise FileNotFoundError(2, "No such file or directory", str(path))
            self.opened.append(self.plugged.pop())
            self.came.notify_all()
            return self.opened[-1]

    def take(self, claim, errand=None) -> None:
        with self.came:
            self.texts.append(claim)
            self.came.notify_all()

    def plug_in(self) -> PipeReader:
        with self.came:
            device = PipeReader()
            self.plugged.append(device)
            assert self.came.wait_for(lambda: device in self.opened, timeout=10)
        return device

    def wait_for(self, *texts: str) -> None:
        with self.came:
            assert self.came.wait_for(lambda: self.texts == list(texts), timeout=10), len(self.texts)


@pytest.fixture
def readers(monkeypatch):
    found = Readers(monkeypatch)
    yield found
    found.reader.stop()
    found.reader.stop()


@given(st.text(alphabet=PRINTABLE, min_size=1, max_size=60))
def test_whatever_a_reader_types_is_read_as_it_was_meant(text: str) -> None:
    taker = TypedText()
    assert [found for event in typed(text) if (found := taker.take(event)) is not None] == [text]


def test_keypad_digits_count_and_a_key_without_a_character_spoils_the_text() -> None:
    taker = TypedText()
    for code in (ecodes.KEY_KP1, ecodes.KEY_KP0, ecodes.KEY_F5):
        taker.take(key(code, 1))
    assert taker.end() == "10�"
    assert taker.end() is None


def test_a_key_held_down_is_typed_once_and_no_flood_fills_the_memory() -> None:
    taker = TypedText()
    taker.take(key(ecodes.KEY_1, 1))
    for _ in range(20):
        taker.take(key(ecodes.KEY_1, 2))
    for _ in range(100_000):
        taker.take(key(ecodes.KEY_2, 1))
    assert len(taker.end() or "") == reader_evdev._LONGEST_TEXT


def test_a_reader_is_taken_for_ourselves_and_gives_texts(readers):
    device = readers.plug_in()
    device.type(typed("110101194001010018"))
    readers.wait_for("110101194001010018")
    assert device.is_grabbed


def test_a_reader_without_an_end_of_line_is_read_to_its_silence(readers):
    readers.plug_in().type(typed("LCR1:AB", end=False))
    readers.wait_for("LCR1:AB")


def test_an_unplugged_reader_is_waited_for(readers):
    device = readers.plug_in()
    device.unplug()
    again = readers.plug_in()
    assert device.is_closed
    again.type(typed("x"))
    readers.wait_for("x")
