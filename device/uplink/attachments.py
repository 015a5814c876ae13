"""Sends sealed pictures one at a time, so that a large message never stands before many records, and again until the fleet answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device.ports import AttachmentStore

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Sent:
    sha256: str
    at_ns: int


class AttachmentSender:
    """Which picture is sent now.

    Args:
        store: the pictures.
        resend_after_s: a picture that the fleet has not answered for is sent again after this.
    """

    def __init__(self, store: AttachmentStore, *, resend_after_s: float) -> None:
        self._store = store
        self._resend_after_s = resend_after_s
        self._sent: _Sent | None = None

    def send(self, publish: Callable[[bytes], object], *, now_ns: int) -> bool:
        """Publish the oldest picture if none is on its way; return whether one was published.

        Raises:
            AttachmentsUnavailable: if they cannot be read now.
        """
        sent = self._sent
        if sent is not None and now_ns - sent.at_ns < self._resend_after_s * _NS:
            return False
        oldest = self._store.waiting(1)
        if not oldest:
            self._sent = None
            return False
        publish(oldest[0].sealed)
        self._sent = _Sent(oldest[0].sha256, now_ns)
        return True

    def settled(self, sha256: str) -> None:
        """Note that the fleet has answered for a picture: the next may go."""
        if self._sent is not None and self._sent.sha256 == sha256:
            self._sent = None

    def reconnected(self) -> None:
        """Note that what was on its way may be lost."""
        self._sent = None
