"""Notes in the terminal's chain that its references were erased, so that the fleet learns of it from the terminal itself."""

from __future__ import annotations

from device.adapters.clock_system import SystemClock
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.references_sqlite import Erased
from device.adapters.signer_keyfile import KeyfileSigner
from device.errors import DeviceError
from device.settings import Settings
from device.uplink.service import event_log
from protocol.events import EventKind


def note_erasure(settings: Settings, done: Erased) -> str | None:
    """Append the event; return why it could not be, None if it is on the disk.

    The outbox is opened only where there is one: a terminal that never ran has no chain, and a mistaken path must not begin another.
    """
    if not settings.outbox_path.exists():
        return f"outbox {settings.outbox_path}: there is none yet"
    try:
        outbox = SqliteOutbox(
            settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes
        )
        try:
            log = event_log(
                settings,
                outbox=outbox,
                signer=KeyfileSigner(settings.keys.signing.path),
                clock=SystemClock(settings.clock_path),
            )
            is_noted = log.note(
                EventKind.REFERENCES_ERASED,
                subjects=done.subjects,
                references=done.references,
                key="destroyed" if done.is_key_destroyed else "kept",
            )
        finally:
            outbox.close()
    except DeviceError as error:
        return str(error)
    return None if is_noted else f"outbox {settings.outbox_path.name}: the event was not stored, the log says why"
