"""Sends sealed pictures one at a time, so that a large message never stands before many records, and again until the fleet answers.

The fleet gives no answer where it has no room yet for a picture that no case names, or fails on one. So the next picture is tried then,
and the waits grow as long as nothing is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device.ports import AttachmentStore
from device.uplink.flow import full_jitter_s

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Sent:
    sha256: str
    due_ns: int


class AttachmentSender:
    """Which picture is sent now.

    Args:
        store: the pictures.
        resend_after_s: a picture that the fleet has not answered for by then is passed over, and sent again when its turn comes.
        resend_cap_s: longest random addition to it.
    """

    def __init__(self, store: AttachmentStore, *, resend_after_s: float, resend_cap_s: float) -> None:
        self._store = store
        self._resend_after_s = resend_after_s
        self._resend_cap_s = resend_cap_s
        self._sent: _Sent | None = None
        self._unanswered = 0
        """Pictures sent in a row without an answer."""
        self._skip = 0
        """Of the oldest, so many were passed over."""

    def send(self, publish: Callable[[bytes], object], *, now_ns: int, fraction: float) -> bool:
        """Publish the next picture if none is on its way; return whether one was published.

        Args:
            publish: takes the sealed picture.
            now_ns: monotonic time.
            fraction: uniform random number in [0, 1).

        Raises:
            AttachmentsUnavailable: if they cannot be read now.
        """
        if self._sent is not None:
            if now_ns < self._sent.due_ns:
                return False
            self._sent = None
            self._unanswered += 1
            self._skip += 1
        found = self._store.waiting(1, skip=self._skip)
        if not found and self._skip:
            self._skip = 0
            found = self._store.waiting(1)
        if not found:
            return False
        publish(found[0].sealed)
        wait_s = self._resend_after_s + full_jitter_s(
            self._unanswered, base_s=self._resend_after_s, cap_s=self._resend_cap_s, fraction=fraction
        )
        self._sent = _Sent(found[0].sha256, now_ns + int(wait_s * _NS))
        return True

    def settled(self, sha256: str) -> bool:
        """Note that the fleet has answered for something; return whether it was the picture on its way: then the next may go."""
        if self._sent is None or self._sent.sha256 != sha256:
            return False
        self._sent = None
        self._unanswered = 0
        return True

    def reconnected(self) -> None:
        """Note that what was on its way may be lost."""
        self._sent = None
        self._unanswered = 0
