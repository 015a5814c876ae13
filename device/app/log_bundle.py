"""One file for the office about a terminal that is out of reach: its log, versions, condition, counters, settings.

Lines of the log go through the same redaction as those that a terminal sends when it is asked (`device.app.log_tail`); nothing else in it
is about a person: settings without the paths of secrets, counts and digests.
"""

from __future__ import annotations

import io
import json
import platform
import re
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.running_file import FileRunning
from device.adapters.vitals_sysfs import SysfsVitals
from device.app.decommissioning import is_decommissioned
from device.app.log_tail import redacted
from device.app.pictures import opened_pictures
from device.errors import DeviceError
from device.settings import Settings

UNITS: Final = ("lifecert-terminal", "lifecert-uplink", "lifecert-renew", "lifecert-kiosk")
_MOST_LINES: Final = 20_000
_TIMEOUT_S: Final = 60.0
_BLOCK_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]+-----")
_BLOCK_ENDS = re.compile(r"-----END [A-Z0-9 ]+-----")


def journal_lines(units: Sequence[str] = UNITS) -> list[str]:
    """Return the newest lines of the services' log, the oldest first.

    Raises:
        DeviceError: if this system has no journal that can be read.
    """
    chosen = [part for unit in units for part in ("--unit", unit)]
    command = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={_MOST_LINES}", *chosen]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise DeviceError(f"journal: cannot be read ({error}); run this as root, or name a file with --log") from error
    return done.stdout.decode(errors="replace").splitlines()


def bundle(settings: Settings, lines: Iterable[str], *, now: datetime) -> bytes:
    """Return a ZIP archive: `log.txt`, redacted, and `about.json`."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.txt", "".join(f"{line}\n" for line in _redacted(lines)))
        archive.writestr("about.json", json.dumps(_about(settings, now), indent=2))
    return made.getvalue()


def _redacted(lines: Iterable[str]) -> Iterator[str]:
    """Give each line without what could be about somebody; of what is packed in a block (a key, a certificate) only that there was one."""
    is_inside = False
    for line in lines:
        if is_inside:
            is_inside = _BLOCK_ENDS.search(line) is None
        elif (found := _BLOCK_BEGINS.search(line)) is not None:
            is_inside = _BLOCK_ENDS.search(line) is None
            yield redacted(f"{line[: found.start()]}#")
        else:
            yield redacted(line)


def _about(settings: Settings, now: datetime) -> dict[str, Any]:
    return {
        "made_at": now.isoformat(),
        "fleet_id": settings.terminal.fleet_id,
        "terminal_id": settings.terminal.terminal_id,
        "software": version("lifecert"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "decommissioned": is_decommissioned(settings),
        "outbox": _outbox(settings),
        "pictures": _pictures(settings),
        "running": _running(settings),
        "vitals": SysfsVitals(settings.terminal.data_dir).read().model_dump(mode="json"),
        # A secret shows as `SecretFile(***)`.
        "settings": settings.model_dump(mode="json"),
    }


def _outbox(settings: Settings) -> dict[str, Any] | str:
    """Return the counters, or why there are none: a damaged database is the very thing that the office has to hear of."""
    if not settings.outbox_path.exists():
        return "none"
    try:
        outbox = SqliteOutbox(
            settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes
        )
    except DeviceError as error:
        return redacted(str(error))
    try:
        return outbox.counts().model_dump()
    except DeviceError as error:
        return redacted(str(error))
    finally:
        outbox.close()


def _pictures(settings: Settings) -> dict[str, Any] | str:
    try:
        with opened_pictures(settings) as store:
            return "none" if store is None else store.counts().model_dump()
    except DeviceError as error:
        return redacted(str(error))


def _running(settings: Settings) -> dict[str, Any] | None:
    found = FileRunning(settings.running_path).current()
    return None if found is None else found.model_dump(mode="json")
