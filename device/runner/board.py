"""Follows what the board notices: who is near, a stuck button, a flapping sensor, power that fails."""

from __future__ import annotations

import logging
from enum import Enum, auto

from device.desk.view import StaffWarning
from device.ports import BoardChange, BoardNotice, Button
from device.runner.events import EventLog
from device.runner.loop import Runner
from protocol.events import EventKind

logger = logging.getLogger(__name__)


class BoardNews(Enum):
    """What people at the terminal are to be told of a notice."""

    SOMEBODY_CAME = auto()
    BUTTON_STUCK = auto()
    """The first one; another says nothing new."""
    BUTTONS_FREE = auto()
    """All of them."""


class BoardWatch:
    """Keeps what the board said last, and notes it. Used by the loop's thread.

    Args:
        runner: stores nothing while power fails.
        events: takes the notes.
    """

    def __init__(self, runner: Runner, events: EventLog) -> None:
        self._runner = runner
        self._events = events
        self._stuck: set[Button | None] = set()
        self._is_flapping = False
        """Whether the presence sensor was last heard of as flapping."""
        self._is_near = False

    @property
    def is_near(self) -> bool:
        """Whether somebody stands before the terminal, as far as a sensor says so."""
        return self._is_near

    @property
    def warnings(self) -> tuple[StaffWarning, ...]:
        """What operators are warned of."""
        stuck = (StaffWarning.BUTTON_STUCK,) if self._stuck else ()
        return (*stuck, StaffWarning.SENSOR_FLAPPING) if self._is_flapping else stuck

    def take(self, notice: BoardNotice) -> BoardNews | None:
        """Take in what the board noticed; return what is to be told, None for nothing."""
        logger.info("board notice=%s button=%s", notice.change, notice.button)
        match notice.change:
            case BoardChange.PRESENT | BoardChange.ABSENT:
                self._is_flapping = False
                self._is_near = notice.change is BoardChange.PRESENT
                return BoardNews.SOMEBODY_CAME if self._is_near else None
            case BoardChange.POWER_FAILING | BoardChange.POWER_BACK:
                is_failing = notice.change is BoardChange.POWER_FAILING
                self._runner.is_power_failing = is_failing
                self._events.note(EventKind.POWER_FAILING if is_failing else EventKind.POWER_BACK)
            case BoardChange.BUTTON_STUCK:
                self._events.note(EventKind.BUTTON_STUCK, button=str(notice.button))
                is_first = not self._stuck
                self._stuck.add(notice.button)
                return BoardNews.BUTTON_STUCK if is_first else None
            case BoardChange.BUTTON_FREE:
                self._stuck.discard(notice.button)
                return None if self._stuck else BoardNews.BUTTONS_FREE
            case BoardChange.SENSOR_FLAPPING:
                self._events.note(EventKind.SENSOR_FLAPPING)
                self._is_near, self._is_flapping = False, True
        return None
