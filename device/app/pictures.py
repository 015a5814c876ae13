"""What staff are told of pictures of cases that are still here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.settings import Settings
from protocol.presence import PictureCounts


@contextmanager
def opened_pictures(settings: Settings) -> Iterator[SqliteAttachmentStore | None]:
    """Lend the store of sealed pictures; None where there is none yet, for none is made.

    Raises:
        DeviceError: if it cannot be opened.
    """
    if not settings.attachments_path.exists():
        yield None
        return
    store = SqliteAttachmentStore(settings.attachments_path, max_bytes=settings.outbox.max_bytes)
    try:
        yield store
    finally:
        store.close()


def told(counts: PictureCounts) -> str:
    """Return in one line what waits, what was refused, and what to do about that."""
    line = f"pictures of cases: {counts.waiting} wait for the fleet, {counts.refused} refused"
    if not counts.refused:
        return line
    return (
        f"{line}; `lifecert-terminal outbox list` gives the reasons: have the agency put them right,"
        " then `lifecert-terminal outbox retry` sends all of them again"
    )
