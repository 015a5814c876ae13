"""What the levels of input pins mean over time: bounces, buttons that stick, sensors that flap.

An input learns of edges (`edge`), says when it wants to be looked at next (`due_ns`), and is told the level then (`pass_time`). A level
counts once it has lasted; every edge begins the wait anew. It is read again at the end of the wait, because a storm of edges can be longer
than what the kernel keeps of them. Times are monotonic nanoseconds. The inputs read no clock; `ContactWatch` runs them on a thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from device.ports import BoardChange, BoardNotice, Button

logger = logging.getLogger(__name__)

_FREE_NS: Final = 1_000_000_000
"""A button that was stuck must stay open for a second: a worn contact opens for moments."""
_FLAP_EDGES: Final = 60
_FLAP_WINDOW_NS: Final = 60_000_000_000
"""More than an edge a second for a minute: a heat sensor holds its output for two seconds or longer, so none that works does that."""
_CALM_EDGES: Final = _FLAP_EDGES // 2
"""A sensor is believed again once there were fewer than so many edges in the window."""
_FLAP_AGAIN_NS: Final = 3_600_000_000_000
"""A sensor that flaps, rests and flaps again is reported once an hour."""

Happening = Button | BoardNotice
"""A press, or a notice."""


class WatchedInput(Protocol):
    """An input whose level means something over time."""

    def begin(self, *, is_on: bool, now_ns: int) -> None:
        """Take the level at the start."""

    def edge(self, now_ns: int) -> None:
        """Take note that the level changed, or may have."""

    def due_ns(self) -> int | None:
        """Return when the level must be looked at, None while nothing is awaited."""

    def pass_time(self, *, is_on: bool, now_ns: int) -> Happening | None:
        """Look at the level, at any time from `due_ns` on; return what has happened. More may be due at once."""


class ButtonContact:
    """A push button. It is pressed once its contact rests closed, and cannot be pressed again before it has rested open.

    Args:
        button: which one.
        debounce_ns: how long without an edge is rest.
        stuck_ns: how long it may be closed or restless before it is stuck.
    """

    def __init__(self, button: Button, *, debounce_ns: int, stuck_ns: int) -> None:
        self._button = button
        self._debounce_ns = debounce_ns
        self._stuck_ns = stuck_ns
        self._is_closed = False
        self._is_stuck = False
        self._edge_ns: int | None = None
        """The last edge; None once the contact has come to rest after it."""
        self._since_ns: int | None = None
        """Since when it is closed or restless; None while it rests open."""

    def begin(self, *, is_on: bool, now_ns: int) -> None:
        """Take the level at the start; a contact that is closed then was not pressed."""
        self._is_closed = is_on
        self._since_ns = now_ns if is_on else None

    def edge(self, now_ns: int) -> None:
        """The contact opened or closed."""
        self._edge_ns = now_ns
        if self._since_ns is None:
            self._since_ns = now_ns

    def due_ns(self) -> int | None:
        """See `WatchedInput.due_ns`."""
        return min((due for due in (self._rest_ns(), self._stick_ns()) if due is not None), default=None)

    def pass_time(self, *, is_on: bool, now_ns: int) -> Happening | None:
        """See `WatchedInput.pass_time`."""
        rest_ns, stick_ns = self._rest_ns(), self._stick_ns()
        if rest_ns is not None and rest_ns <= now_ns:
            self._edge_ns = None
            return self._come_to_rest(is_closed=is_on, now_ns=now_ns)
        if stick_ns is not None and stick_ns <= now_ns:
            self._is_stuck = True
            return BoardNotice(BoardChange.BUTTON_STUCK, self._button)
        return None

    def _rest_ns(self) -> int | None:
        if self._edge_ns is None:
            return None
        return self._edge_ns + (_FREE_NS if self._is_stuck else self._debounce_ns)

    def _stick_ns(self) -> int | None:
        return None if self._is_stuck or self._since_ns is None else self._since_ns + self._stuck_ns

    def _come_to_rest(self, *, is_closed: bool, now_ns: int) -> Happening | None:
        if not is_closed:
            was_stuck, self._is_stuck, self._is_closed, self._since_ns = self._is_stuck, False, False, None
            return BoardNotice(BoardChange.BUTTON_FREE, self._button) if was_stuck else None
        if self._is_stuck or self._is_closed:
            return None
        self._is_closed, self._since_ns = True, now_ns
        return self._button


class HeldInput:
    """The output of a sensor or a supply, which counts once it has lasted, for a different time each way.

    Args:
        on: reported when it is on.
        off: reported when it is off again.
        on_after_ns: how long it must be on.
        off_after_ns: how long it must be off.
        restless_ns: never at rest for so long counts as on; None where it means nothing.
        may_flap: whether it is reported and then ignored while it changes more often than a sensor that works.
    """

    def __init__(
        self,
        on: BoardChange,
        off: BoardChange,
        *,
        on_after_ns: int,
        off_after_ns: int,
        restless_ns: int | None = None,
        may_flap: bool = False,
    ) -> None:
        self._on, self._off = on, off
        self._on_after_ns, self._off_after_ns = on_after_ns, off_after_ns
        self._restless_ns = restless_ns
        self._may_flap = may_flap
        self._is_on: bool | None = False
        """What was reported last; None when it is not known any more."""
        self._edge_ns: int | None = None
        self._since_ns: int | None = None
        """The first edge since it was at rest."""
        self._edges: deque[int] = deque(maxlen=_FLAP_EDGES)
        self._is_flapping = False
        self._flap_untold_ns: int | None = None
        self._flap_told_ns: int | None = None

    def begin(self, *, is_on: bool, now_ns: int) -> None:
        """Take the level at the start; one that is on counts once it has lasted."""
        if is_on:
            self._edge_ns = self._since_ns = now_ns

    def edge(self, now_ns: int) -> None:
        """The level changed."""
        self._edge_ns = now_ns
        if self._since_ns is None:
            self._since_ns = now_ns
        if not self._may_flap:
            return
        self._edges.append(now_ns)
        if not self._is_flapping and len(self._edges) == _FLAP_EDGES and now_ns - self._edges[0] <= _FLAP_WINDOW_NS:
            self._is_flapping, self._is_on = True, None
            if self._flap_told_ns is None or now_ns - self._flap_told_ns >= _FLAP_AGAIN_NS:
                self._flap_untold_ns = now_ns

    def due_ns(self) -> int | None:
        """See `WatchedInput.due_ns`."""
        if self._flap_untold_ns is not None:
            return self._flap_untold_ns
        if self._is_flapping:
            return self._edges[-_CALM_EDGES] + _FLAP_WINDOW_NS
        return min((due for due in (self._rest_ns(), self._tired_ns()) if due is not None), default=None)

    def pass_time(self, *, is_on: bool, now_ns: int) -> Happening | None:
        """See `WatchedInput.pass_time`."""
        due_ns = self.due_ns()
        if due_ns is None or due_ns > now_ns:
            return None
        if self._flap_untold_ns is not None:
            self._flap_told_ns, self._flap_untold_ns = now_ns, None
            return BoardNotice(BoardChange.SENSOR_FLAPPING)
        if self._is_flapping:
            self._is_flapping = False
            self._edge_ns = self._since_ns = now_ns
            return None
        rest_ns = self._rest_ns()
        if rest_ns is not None and rest_ns <= now_ns:
            self._edge_ns = self._since_ns = None
            return self._become(is_on=is_on)
        self._since_ns = None
        return self._become(is_on=True)

    def _rest_ns(self) -> int | None:
        if self._edge_ns is None:
            return None
        match self._is_on:
            case True:
                return self._edge_ns + self._off_after_ns
            case False:
                return self._edge_ns + self._on_after_ns
            case None:
                return self._edge_ns + max(self._on_after_ns, self._off_after_ns)

    def _tired_ns(self) -> int | None:
        if self._restless_ns is None or self._since_ns is None or self._is_on:
            return None
        return self._since_ns + self._restless_ns

    def _become(self, *, is_on: bool) -> BoardNotice | None:
        if is_on == self._is_on:
            return None
        self._is_on = is_on
        return BoardNotice(self._on if is_on else self._off)


@dataclass(frozen=True, slots=True)
class WatchedPin:
    """An input and how its level is read."""

    name: str
    """For messages."""
    input: WatchedInput
    is_on: Callable[[], bool]
    """Reads the level now; may raise anything the vendor's library raises."""


class ContactWatch:
    """Looks at inputs when they are due, on a thread of its own, and says what happens there.

    Args:
        pins: the inputs.
        on_press: takes presses.
        on_notice: takes everything else.
        now_ns: monotonic time.
    """

    def __init__(
        self,
        pins: Sequence[WatchedPin],
        *,
        on_press: Callable[[Button], None],
        on_notice: Callable[[BoardNotice], None],
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._pins = pins
        self._on_press = on_press
        self._on_notice = on_notice
        self._now_ns = now_ns
        self._changed = threading.Condition()
        self._is_stopping = False
        self._silent: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name="contacts", daemon=True)

    def start(self) -> None:
        """Take the levels as they are, and watch them from now on."""
        with self._changed:
            for pin in self._pins:
                pin.input.begin(is_on=self._level(pin), now_ns=self._now_ns())
        self._thread.start()

    def edge(self, pin: WatchedPin) -> None:
        """A level changed; may be called from any thread."""
        with self._changed:
            pin.input.edge(self._now_ns())
            self._changed.notify()

    def stop(self) -> None:
        """Watch no more; nothing is said any more once this returns, unless it was called by whom something was said to."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        while (pin := self._next_due()) is not None:
            level = self._level(pin)
            with self._changed:
                happening = None if self._is_stopping else pin.input.pass_time(is_on=level, now_ns=self._now_ns())
            match happening:
                case Button():
                    self._on_press(happening)
                case BoardNotice():
                    self._on_notice(happening)

    def _next_due(self) -> WatchedPin | None:
        """Wait until an input is due and return it; None when the watch is to end."""
        with self._changed:
            while not self._is_stopping:
                due = [(due_ns, pin) for pin in self._pins if (due_ns := pin.input.due_ns()) is not None]
                if not due:
                    self._changed.wait()
                    continue
                due_ns, pin = min(due, key=lambda pair: pair[0])
                wait_ns = due_ns - self._now_ns()
                if wait_ns <= 0:
                    return pin
                self._changed.wait(wait_ns / 1e9)
            return None

    def _level(self, pin: WatchedPin) -> bool:
        """Return the level; off, and said once, where it cannot be read."""
        try:
            level = pin.is_on()
        except Exception as error:  # noqa: BLE001 - every pin factory has errors of its own; the other inputs must go on
            if pin.name not in self._silent:
                self._silent.add(pin.name)
                logger.error("board input cannot be read input=%s why=%s", pin.name, error)  # noqa: TRY400 - the message says all
            return False
        self._silent.discard(pin.name)
        return level
