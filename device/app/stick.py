"""Work with a stick: in a thread of the running terminal, or at the command line. Both note in the chain what came of it."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from device.courier.sticks import mounted_sticks
from device.desk.view import CourierView, Option, Problem
from device.errors import DeviceError, StickUnusable
from device.settings import Settings

if TYPE_CHECKING:
    # Imported by the thread that works on a stick: a terminal that starts has none yet, and is waited for.
    from device.courier.courier import Courier, Exported, Imported, OnProgress, Step
    from device.runner.events import EventLog
    from device.runner.sticks import Tell

logger = logging.getLogger(__name__)

_FAULTS = {
    "absent": Problem.STICK_ABSENT,
    "removed": Problem.STICK_REMOVED,
    "full": Problem.STICK_FULL,
    "read_only": Problem.STICK_READ_ONLY,
    "foreign": Problem.STICK_FOREIGN,
    "nothing": Problem.STICK_FOREIGN,
}


class ThreadedStick:
    """See `device.runner.sticks.StickRunner`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._working: threading.Thread | None = None

    def sticks(self) -> tuple[Option, ...]:
        """Return the sticks that are mounted, by path; the name is the folder's, which is the stick's label, as far as it is UTF-8."""
        found = mounted_sticks(self._settings.courier.mount_root)
        return tuple(Option(_id(stick.path), os.fsencode(stick.path.name).decode(errors="replace")) for stick in found)

    def run(self, stick: str, tell: Tell) -> None:
        """Import and export; one at a time, a second call while one runs is passed over."""
        if self._working is not None and self._working.is_alive():
            return
        self._working = threading.Thread(target=self._work, args=(_path(stick), tell), name="courier", daemon=True)
        self._working.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of what runs; return whether it has ended."""
        if self._working is not None:
            self._working.join(timeout_s)
        return self._working is None or not self._working.is_alive()

    def _work(self, stick: Path, tell: Tell) -> None:
        from device.courier.service import open_courier

        done: dict[Step, tuple[int, int]] = {}

        def progress(step: Step, number: int, total: int) -> None:
            done[step] = (number, total)
            tell(_view("running", done), None)

        try:
            with open_courier(self._settings) as (courier, _):
                imported, exported = courier.sync(stick, on_progress=progress)
        except DeviceError as error:
            logger.error("stick not used why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            tell(_view("failed", done), _why_failed(error))
        except Exception as error:  # noqa: BLE001 - the top of the thread: whatever it is, the screen must not stay at "running"
            # The kind and the place only: a message may repeat what stands on the stick.
            logger.error("stick not used error=%s at=%s", type(error).__name__, _place_of(error))  # noqa: TRY400 - see above
            tell(_view("failed", done), Problem.STICK_FAILED)
        else:
            problem = _problem_of(imported)
            logger.info("stick done exported=%d confirmed=%d problem=%s", exported.records, imported.confirmed, problem)
            tell(CourierView("done", exported.records, imported.confirmed, exported.records + exported.left), problem)


class NotedCourier:
    """A courier for the command line: `device.courier.courier.Courier`, and what came of it is noted as the screen's work is."""

    def __init__(self, courier: Courier, events: EventLog) -> None:
        self._courier = courier
        self._events = events

    def sync(self, stick: Path, *, on_progress: OnProgress) -> tuple[Imported, Exported]:
        """Import, then export."""
        with self._noting_failure():
            imported, exported = self._courier.sync(stick, on_progress=on_progress)
        self._events.note_stick(exported=exported.records, imported=imported.confirmed, problem=_problem_of(imported))
        return imported, exported

    def import_from(self, stick: Path, *, on_progress: OnProgress) -> Imported:
        """Take home what the fleet sent."""
        with self._noting_failure():
            imported = self._courier.import_from(stick, on_progress=on_progress)
        self._events.note_stick(imported=imported.confirmed, problem=_problem_of(imported))
        return imported

    def export_to(self, stick: Path, *, on_progress: OnProgress, everything: bool) -> Exported:
        """Put onto the stick what the fleet has not confirmed, or everything."""
        with self._noting_failure():
            exported = self._courier.export_to(stick, on_progress=on_progress, everything=everything)
        self._events.note_stick(exported=exported.records)
        return exported

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except DeviceError as error:
            self._events.note_stick_failed(_why_failed(error))
            raise


@contextmanager
def noted_courier(settings: Settings) -> Iterator[NotedCourier]:
    """Give a courier for the command line; errors as those of `device.courier.service.open_courier`."""
    from device.courier.service import open_courier

    with open_courier(settings) as (courier, events):
        yield NotedCourier(courier, events)


def _why_failed(error: DeviceError) -> Problem:
    return _FAULTS.get(error.fault, Problem.STICK_FAILED) if isinstance(error, StickUnusable) else Problem.STICK_FAILED


def _problem_of(imported: Imported) -> Problem | None:
    """Return what staff must know of an import that came to its end."""
    if imported.problems:
        return Problem.STICK_PART_REFUSED
    return Problem.STICK_ROSTER_REFUSED if imported.expired or imported.pages_unfit else None


def _place_of(error: Exception) -> str:
    """Return the function and line that raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.name}:{last.lineno}"


def _id(path: Path) -> str:
    """Return a path as the page can send it back: whatever bytes a label has, this is ASCII."""
    return quote(os.fsencode(path))


def _path(stick: str) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(stick)))


def _view(state: str, done: dict[Step, tuple[int, int]]) -> CourierView:
    from device.courier.courier import Step

    written, total = done.get(Step.WRITING, (0, 0))
    read, _ = done.get(Step.READING, (0, 0))
    return CourierView("failed" if state == "failed" else "running", exported=written, imported=read, total=total)
