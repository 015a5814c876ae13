"""Photographs that a page sent, taken in file by file, with what became of each written down as soon as it is known.

Its pictures are nowhere but in the program: what was accepted stays, and of the same files sent again those are recognised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fleet.clock import Clock
from fleet.intake.photo_checking import photo_program
from fleet.intake.photo_files import PhotoFile
from fleet.intake.photo_spool import PhotoSpool
from fleet.intake.photos import PhotoIntake, PhotoLine, import_photos, rules_in_force
from fleet.keys import FleetKeys
from fleet.settings import Settings
from fleet.store import photo_runs
from fleet.store.database import Database
from fleet.store.photo_runs import RunLine


def take_photos(
    database: Database,
    keys: FleetKeys,
    settings: Settings,
    spool: PhotoSpool,
    intake: PhotoIntake,
    *,
    run_id: str,
    goes_on: Callable[[int], bool],
    clock: Clock,
) -> int:
    """Look at photographs and take them in; return at how many.

    Args:
        database: where.
        keys: the fleet's.
        settings: of the program that looks, and of references.
        spool: the photographs.
        intake: on whose word.
        run_id: of the run that the lines belong to.
        goes_on: told before each file how many were looked at; whether it goes on.
        clock: gives the time.

    Raises:
        Refused: if a name cannot be taken.
        FleetError: if the program that looks does not work.
    """

    def until_stopped() -> Iterator[PhotoFile]:
        for done, file in enumerate(spool):
            if not goes_on(done):
                return
            yield file

    def note(line: PhotoLine) -> None:
        faults = tuple((fault.reason.value, fault.found, fault.asked) for fault in line.faults)
        stored = RunLine(line.file, line.ends, line.result.value, faults, line.subject_id, line.reference_id)
        with database.begin() as connection:
            photo_runs.add_line(connection, run_id, stored)

    made = settings.references
    with photo_program(made.photo_command(), timeout_s=made.timeout_s) as looker:
        done = import_photos(
            database,
            keys,
            until_stopped(),
            looker,
            intake,
            rules_in_force(database, settings),
            clock=clock,
            on_line=note,
            import_id=run_id,
        )
    return len(done.lines)
