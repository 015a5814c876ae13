"""Photographs taken in beside the pages: one run after the other, with what became of every file written down as soon as it is known.

A run outlives the page that it was sent by, but not the program: its pictures are nowhere but there. What was accepted before stays, and
whoever looks at the run afterwards is told to send the same files again, of which those that were taken in are recognised.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass

from fleet.audit.log import note
from fleet.clock import Clock
from fleet.errors import DatabaseUnavailable, Refused
from fleet.intake.photo_checking import photo_program
from fleet.intake.photo_files import PhotoFile
from fleet.intake.photo_spool import PhotoSpool
from fleet.intake.photos import PhotoIntake, PhotoLine, import_photos, rules_in_force
from fleet.keys import FleetKeys
from fleet.settings import Settings
from fleet.store import photo_runs
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.photo_runs import PhotoRun, RunLine, RunState

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 4
"""Runs of one program that are not ended: each holds its pictures on the disk."""
_FIELD = "taken_by"
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that somebody asks for."""

    run_id: str
    """Chosen by the page with the form, so that a form that is sent twice is one run."""
    account_id: str
    intake: PhotoIntake


class PhotoRuns:
    """All runs of this program."""

    def __init__(self, database: Database, keys: FleetKeys, settings: Settings, *, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._room = threading.Semaphore(MOST_AT_ONCE)
        # One at a time: the networks of the program that looks take a core each.
        self._turn = threading.Lock()

    def start(self, asked: Asked, spool: PhotoSpool) -> bool:
        """Begin a run; return False if there is one of this id already. The spool is closed at the end, also of what is refused.

        Raises:
            Refused: if a name cannot be taken, or so many runs are under way that this one must wait.
            DatabaseUnavailable: as any transaction.
        """
        with ExitStack() as cleaning:
            cleaning.callback(spool.close)
            for name in (asked.intake.by, asked.intake.unit):
                if name is not None:
                    cleaned(name)
            if not self._room.acquire(blocking=False):
                raise Refused(f"photographs: {MOST_AT_ONCE} runs are under way; try again later", code="busy")
            # From here on it is the thread's.
            cleaning.pop_all()
        begun: Future[bool] = Future()
        threading.Thread(target=self._run, args=(asked, spool, begun), name="photographs", daemon=True).start()
        return begun.result(_START_S)

    def looked_at(self, run: PhotoRun) -> PhotoRun:
        """Return a run as it is: one that nobody works on any more is ended."""
        if run.state != "running":
            return run
        with self._database.alone(_lock(run.worker)) as is_nobodys:
            if is_nobodys:
                self._end(run.run_id, "interrupted")
        with self._database.begin() as connection:
            return photo_runs.find_run(connection, run.run_id) or run

    def _run(self, asked: Asked, spool: PhotoSpool, begun: Future[bool]) -> None:
        worker = secrets.token_hex(16)
        try:
            with closing(spool), self._database.alone(_lock(worker)):
                is_new = self._begin(asked, spool, worker)
                begun.set_result(is_new)
                if is_new:
                    with self._turn:
                        self._work(asked, spool)
        except Exception as error:
            # Top of a thread.
            if not begun.done():
                begun.set_exception(error)
            elif isinstance(error, DatabaseUnavailable):
                # Whoever looks at it next finds that nobody works on it.
                logger.warning("photographs interrupted, database unavailable run=%s", asked.run_id)
            else:
                logger.exception("photographs not taken in run=%s", asked.run_id)
        finally:
            self._room.release()

    def _begin(self, asked: Asked, spool: PhotoSpool, worker: str) -> bool:
        intake, now = asked.intake, self._clock()
        sealed = self._keys.cipher.encrypt(cleaned(intake.by), subject_id=asked.run_id, field_name=_FIELD)
        run = PhotoRun(
            asked.run_id,
            asked.account_id,
            sealed,
            intake.unit,
            intake.form.value,
            intake.legal_basis.value,
            intake.is_dry,
            len(spool),
            worker,
            now,
        )
        with self._database.begin() as connection:
            if not photo_runs.add_run(connection, run):
                return False
            note(
                connection,
                self._keys.cipher,
                actor=intake.by,
                action="photos.sent",
                object_kind="photo_import",
                object_id=asked.run_id,
                detail={"files": len(spool), "is_dry": intake.is_dry},
                now=now,
            )
        return True

    def _work(self, asked: Asked, spool: PhotoSpool) -> None:
        made = self._settings.references
        state: RunState = "failed"
        try:
            with photo_program(made.photo_command(), timeout_s=made.timeout_s) as looker:
                done = import_photos(
                    self._database,
                    self._keys,
                    self._until_stopped(asked.run_id, spool),
                    looker,
                    asked.intake,
                    rules_in_force(self._database, self._settings),
                    clock=self._clock,
                    on_line=lambda line: self._note(asked.run_id, line),
                    import_id=asked.run_id,
                )
            state = "done" if len(done.lines) == len(spool) else "stopped"
        except DatabaseUnavailable:
            raise
        except Exception:
            # The program that looks does not work, or a fault of ours: of the run it is known that it failed.
            logger.exception("photographs not taken in run=%s", asked.run_id)
        self._end(asked.run_id, state)

    def _until_stopped(self, run_id: str, spool: PhotoSpool) -> Iterator[PhotoFile]:
        for file in spool:
            with self._database.begin() as connection:
                if photo_runs.is_stop_asked(connection, run_id):
                    return
            yield file

    def _note(self, run_id: str, line: PhotoLine) -> None:
        faults = tuple((fault.reason.value, fault.found, fault.asked) for fault in line.faults)
        stored = RunLine(line.file, line.ends, line.result.value, faults, line.subject_id, line.reference_id)
        with self._database.begin() as connection:
            photo_runs.add_line(connection, run_id, stored)

    def _end(self, run_id: str, state: RunState) -> None:
        with self._database.begin() as connection:
            photo_runs.end_run(connection, run_id, state, now=self._clock())


def _lock(worker: str) -> str:
    return f"photographs {worker}"
