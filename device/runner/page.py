"""Watches over the page: whether a browser still asks for it, and who is to be told where none does."""

from __future__ import annotations

from device.ports import Clock, DeskScreen
from device.runner.events import EventLog
from device.runner.speech import Speech
from device.session.commands import Line
from protocol.events import EventKind

_FIRST_PAGE_NS = 120_000_000_000
"""The kiosk gives a browser a minute to show its page (`systemd/lifecert-kiosk`) and starts it anew: after two goes there is no screen."""


class PageWatch:
    """Notes that the page is lost or back, and tells whoever is there. Used by the loop's thread.

    Args:
        screen: serves the page; None where the terminal has no screen, and there is nothing to watch.
        clock: measures.
        events: takes the notes.
        speech: tells people.
    """

    def __init__(self, screen: DeskScreen | None, *, clock: Clock, events: EventLog, speech: Speech) -> None:
        self._screen = screen
        self._clock = clock
        self._events = events
        self._speech = speech
        self._was_watched: bool | None = None
        """Whether a page asked for the view when it was last looked; None before the first page came, or should have."""
        self._first_page_ns = clock.monotonic_ns() + _FIRST_PAGE_NS
        self._is_word_due = False
        """Whether somebody is still to be told that the page is lost."""

    def look(self, *, is_in_session: bool, is_somebody_there: bool) -> None:
        """Look whether the page is there; to be called about every second."""
        if self._screen is None:
            return
        is_watched = self._screen.is_watched
        is_late = self._was_watched is None and self._clock.monotonic_ns() >= self._first_page_ns
        if is_watched != bool(self._was_watched) or (is_late and not is_watched):
            if self._was_watched is not None or not is_watched:
                self._events.note(EventKind.SCREEN_BACK if is_watched else EventKind.SCREEN_LOST)
            self._was_watched = is_watched
            self._is_word_due = not is_watched
        # Every line of a session waits for an answer or is one, and its voice leads on without the page: whoever is in one
        # hears it at its end.
        if self._is_word_due and not is_in_session:
            self._tell_lost(is_somebody_there=is_somebody_there)

    def _tell_lost(self, *, is_somebody_there: bool) -> None:
        """Say once to whoever is there that the page will be back, where it cuts nothing that waits for an answer or is an answer."""
        if is_somebody_there and not self._speech.is_over:
            return
        self._is_word_due = False
        if is_somebody_there:
            self._speech.say(Line.SCREEN_AWAY)
