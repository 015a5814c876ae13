"""A document left on the reader: what is read again and again is no second wish."""

from __future__ import annotations

_LEFT_NS = 3_000_000_000
"""A document left on a reader in presentation mode is read again and again: what was read in a session and is read again within so
long has been lying there, and begins no second session. An assumption: no reader's data sheet says how soon it reads again; whoever
takes a card away and holds it there once more, after the result, needs longer."""


class LeftDocuments:
    """Knows the text again that named the person served last. Used by the loop's thread."""

    def __init__(self) -> None:
        self._claimed: int | None = None
        """Python's hash of that text: enough to know it again, and no document number is kept."""
        self._left_ns: int | None = None
        """When that text was last read without being wanted."""

    def claim(self, text: str) -> None:
        """Remember which text names the person to be served, as long as it may lie on the reader."""
        self._claimed, self._left_ns = hash(text), None

    def is_left(self, text: str, now_ns: int, *, is_served: bool) -> bool:
        """Return whether a text was read because its document still lies there, and remember that it does.

        Args:
            text: what was read.
            now_ns: when, by the monotonic clock.
            is_served: whether the person it names may be the one being served.
        """
        is_lying = self._left_ns is not None and now_ns - self._left_ns < _LEFT_NS
        if hash(text) != self._claimed or not (is_served or is_lying):
            return False
        self._left_ns = now_ns
        return True
