"""Readers of cards and codes that behave like a keyboard: their keys are taken away from everything else and become texts.

One thread for each reader. A reader that is unplugged is waited for; one that sends no end of line is read to the end of its silence.
Readers are to be set to the US keyboard layout, which is how they leave the factory.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from device.ports import OnClaim

logger = logging.getLogger(__name__)

_LONGEST_TEXT = 4096
"""The longest code there is, a reference card, has under 1,500 characters."""
_SILENCE_S = 0.5
"""A reader types a key every few milliseconds; after so long it has ended, with or without an end of line."""
_REOPEN_S = 2.0
_NAMED = {
    "-": "MINUS",
    "=": "EQUAL",
    "[": "LEFTBRACE",
    "]": "RIGHTBRACE",
    ";": "SEMICOLON",
    "'": "APOSTROPHE",
    "`": "GRAVE",
    "\\": "BACKSLASH",
    ",": "COMMA",
    ".": "DOT",
    "/": "SLASH",
    " ": "SPACE",
}
_PLAIN = {character: character.upper() for character in "1234567890abcdefghijklmnopqrstuvwxyz"} | _NAMED
_SHIFTED = dict(zip("1234567890-=[];'`\\,./", '!@#$%^&*()_+{}:"~|<>?', strict=True))
_SHIFT_KEYS = {"KEY_LEFTSHIFT", "KEY_RIGHTSHIFT"}
_END_KEYS = {"KEY_ENTER", "KEY_KPENTER", "KEY_TAB"}
_UP, _DOWN = 0, 1


class KeyDevice(Protocol):
    """What is used of `evdev.InputDevice`."""

    fd: int

    def grab(self) -> None:
        """Take the device away from everybody else."""

    def read(self) -> Iterable[Any]:
        """Return the events that are there."""

    def close(self) -> None:
        """Close it."""


class EvdevReader:
    """See `device.ports.ClaimSource`: gives every text that one of the readers types.

    Args:
        paths: the devices, e.g. `/dev/input/by-id/usb-...-event-kbd`.
        open_device: opens one.
    """

    def __init__(self, paths: Sequence[Path], *, open_device: Callable[[Path], KeyDevice] | None = None) -> None:
        self._paths = tuple(paths)
        self._open = open_device if open_device is not None else open_evdev
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, on_claim: OnClaim) -> None:
        """Begin to read, each reader in a thread of its own."""
        for path in self._paths:
            thread = threading.Thread(
                target=self._serve, args=(path, on_claim), name=f"reader {path.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End; may be called twice."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=_REOPEN_S + _SILENCE_S)
        self._threads.clear()

    def _serve(self, path: Path, on_claim: OnClaim) -> None:
        is_lost = False
        while not self._stopping.is_set():
            try:
                device = self._open(path)
            except OSError as error:
                if not is_lost:
                    logger.warning("reader not there reader=%s why=%s", path.name, error.strerror)
                is_lost = True
                self._stopping.wait(_REOPEN_S)
                continue
            logger.info("reader found reader=%s", path.name)
            is_lost = False
            try:
                device.grab()
                self._read(device, on_claim)
            except OSError as error:
                logger.warning("reader lost reader=%s why=%s", path.name, error.strerror)
                is_lost = True
            finally:
                device.close()

    def _read(self, device: KeyDevice, on_claim: OnClaim) -> None:
        typed = TypedText()
        while not self._stopping.is_set():
            ready, _, _ = select.select([device.fd], [], [], _SILENCE_S)
            for event in device.read() if ready else ():
                if (text := typed.take(event)) is not None:
                    on_claim(text)
            if not ready and (text := typed.end()) is not None:
                on_claim(text)


class TypedText:
    """Puts key events together to texts."""

    def __init__(self) -> None:
        self._typed: list[str] = []
        self._is_shifted = False

    def take(self, event: Any) -> str | None:
        """Take one event of `evdev`; return a text where it ends one."""
        from evdev import ecodes

        if event.type != ecodes.EV_KEY:
            return None
        names = ecodes.KEY.get(event.code, ())
        name = names if isinstance(names, str) else next(iter(names), "")
        if name in _SHIFT_KEYS:
            self._is_shifted = event.value != _UP
        elif event.value == _DOWN:
            if name in _END_KEYS:
                return self.end()
            if len(self._typed) < _LONGEST_TEXT:
                self._typed.append(_character(name, is_shifted=self._is_shifted))
        return None

    def end(self) -> str | None:
        """Return what was typed, None if nothing was."""
        text, self._typed = "".join(self._typed), []
        return text or None


_BY_KEY = {f"KEY_{key}": character for character, key in _PLAIN.items()} | {
    f"KEY_KP{digit}": digit for digit in "0123456789"
}


def _character(name: str, *, is_shifted: bool) -> str:
    """Return the character of a key; a key that has none makes the text one that nothing can read."""
    plain = _BY_KEY.get(name)
    if plain is None:
        return "�"
    if not is_shifted or name.startswith("KEY_KP"):
        return plain
    return _SHIFTED.get(plain, plain.upper())


def open_evdev(path: Path) -> KeyDevice:
    """Open a device.

    Raises:
        OSError: if it is not there or may not be read.
    """
    from evdev import InputDevice

    device: KeyDevice = InputDevice(str(path))
    return device
