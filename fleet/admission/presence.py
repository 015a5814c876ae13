"""Which of two presence messages is the newer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from protocol.presence import Presence


@dataclass(frozen=True, slots=True)
class KnownPresence:
    """What is stored of a terminal's presence; all None before the first message."""

    state: str | None
    connection: int | None
    boot_id: str | None
    said_at: datetime | None


def supersedes(presence: Presence, known: KnownPresence) -> bool:
    """Return whether a presence message is newer than what is stored.

    Connections are numbered by the terminal's wall clock: a will of an older one is out of date. A terminal that started again without
    a clock numbers from the past, so its word that it is online counts whenever it names another boot; presence is repeated, so
    an old message that slips through here is put right by the next. Within one connection `offline` is the last word, because a will is
    sent only once the connection is gone.
    """
    if known.connection is None or presence.connection > known.connection:
        return True
    if presence.connection < known.connection:
        return presence.state == "online" and presence.boot_id != known.boot_id
    if presence.state == "offline":
        return known.state != "offline"
    return known.state == "online" and (known.said_at is None or presence.said_at >= known.said_at)
