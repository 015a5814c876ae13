"""Trials of rule packs beside the pages: asked for, worked out in the background one at a time, and stored as counts.

A trial that a server did not finish is begun anew by whoever looks at it next: its lock ends with the server's connection.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection

from fleet.audit.log import LONGEST_TEXT, note
from fleet.clock import Clock
from fleet.errors import DatabaseUnavailable, NotFound, Refused
from fleet.keys import FieldCipher
from fleet.rules import publishing
from fleet.rules.publishing import Draft
from fleet.status.what_if import WhatIf, what_if, why_nobody
from fleet.store import packs, trials
from fleet.store.database import Database
from fleet.store.trials import Trial
from protocol.errors import Problem

logger = logging.getLogger(__name__)

_FIELD = "trial_by"
_LOCK = "pack trials"
"""Of all trials one is worked out at a time, on whatever server: each goes through everybody."""


def note_trial(
    connection: Connection,
    cipher: FieldCipher,
    draft: Draft,
    done: WhatIf,
    nobody: Problem | None,
    *,
    on: date,
    by: str,
    now: datetime,
) -> None:
    """Write down that somebody saw what a pack would do; without it nobody can approve it. Last in its transaction."""
    note(
        connection,
        cipher,
        actor=by,
        action=publishing.TRIED,
        object_kind=publishing.OBJECT,
        object_id=publishing.name_of(draft.pack),
        detail={
            "sha256": draft.sha256,
            "on": str(on),
            "people": done.people,
            "covered": done.covered,
            "changed": done.changed,
            **({} if nobody is None else {publishing.WHY_NOBODY: _why(nobody)}),
        },
        now=now,
    )


def _why(nobody: Problem) -> str:
    """Return the sentence, or its code where it names so many words that the log would not take it."""
    return str(nobody) if len(nobody) <= LONGEST_TEXT else nobody.code


def ask_for_trial(
    connection: Connection, cipher: FieldCipher, pack_id: str, version: int, *, on: date, by: str, now: datetime
) -> str:
    """Ask for a trial of a pack as it stands; return its id. It is worked out by `Trials`.

    Raises:
        NotFound: if there is no such pack.
        Refused: if one of this pack is not ended yet.
    """
    stored = packs.find_pack(connection, pack_id, version)
    if stored is None:
        raise NotFound(f"rule pack {pack_id}/{version}: there is none", code="pack_unknown")
    trial_id = os.urandom(8).hex()
    sealed = cipher.encrypt(by, subject_id=trial_id, field_name=_FIELD)
    asked = Trial(
        trial_id,
        pack_id,
        version,
        stored.sha256,
        on,
        sealed,
        now,
        "waiting",
        0,
        trials.people_in_all(connection),
        None,
        None,
    )
    trials.drop_old_trials(connection, pack_id)
    if not trials.add_trial(connection, asked):
        raise Refused(f"rule pack {pack_id}: a trial of it is not ended yet", code="trial_runs")
    return trial_id


class Trials:
    """Works out trials that wait, in a thread of its own that ends when none does."""

    def __init__(self, database: Database, cipher: FieldCipher, *, zone: tzinfo, clock: Clock) -> None:
        self._database = database
        self._cipher = cipher
        self._zone = zone
        self._clock = clock
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def go_on(self) -> None:
        """See that somebody works on what waits: this server, unless it does already, or another one."""
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="pack-trials", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until this server works on none, for so long at most."""
        with self._guard:
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        try:
            with self._database.alone(_LOCK) as is_alone:
                while is_alone and (trial := self._next()) is not None:
                    self._work(trial)
        except DatabaseUnavailable:
            # It still waits; whoever looks at it next begins again.
            logger.warning("trial of a rule pack interrupted, database unavailable")

    def _next(self) -> Trial | None:
        with self._database.begin() as connection:
            waiting = trials.waiting_trials(connection)
            return trials.find_trial(connection, waiting[0]) if waiting else None

    def _work(self, trial: Trial) -> None:
        try:
            result = self._result(trial)
        except DatabaseUnavailable:
            raise
        except Exception:
            # Top of a task: a fault in one trial keeps the next from nothing.
            logger.exception("trial of a rule pack failed")
            result = False
        if not result:
            with self._database.begin() as connection:
                trials.end_trial(connection, trial.trial_id, None, now=self._clock())

    def _result(self, trial: Trial) -> bool:
        """Work one out and store it; return False if its text is no longer proposed."""
        with self._database.begin() as connection:
            stored = packs.find_pack(connection, trial.pack_id, trial.version)
        if stored is None or stored.sha256 != trial.sha256:
            return False
        done = what_if(
            self._database,
            stored.pack,
            on=trial.day,
            zone=self._zone,
            keeps_changes=False,
            progress=lambda people: self._note_progress(trial.trial_id, people),
        )
        nobody = why_nobody(stored.pack, done, trial.day)
        by = self._cipher.decrypt(trial.by_sealed, subject_id=trial.trial_id, field_name=_FIELD)
        now = self._clock()
        with self._database.begin() as connection:
            if trials.end_trial(connection, trial.trial_id, result_of(done, nobody), now=now):
                draft = Draft(stored.pack, stored.text)
                note_trial(connection, self._cipher, draft, done, nobody, on=trial.day, by=by, now=now)
        return True

    def _note_progress(self, trial_id: str, people: int) -> None:
        with self._database.begin() as connection:
            trials.note_progress(connection, trial_id, people)


def result_of(done: WhatIf, nobody: Problem | None) -> Mapping[str, Any]:
    """Return what came of a trial as it is stored: counts, and no person."""
    return {
        "people": done.people,
        "covered": done.covered,
        "changed": done.changed,
        "newly_stoppable": done.newly_stoppable,
        "nobody": None if nobody is None else {"code": nobody.code, "facts": nobody.facts, "sentence": str(nobody)},
        "moved": [
            [area, move, count] for area, moves in sorted(done.moved.items()) for move, count in sorted(moves.items())
        ],
        "states": {
            cut: [
                [key, before, after, count]
                for key, counts in sorted(keys.items())
                for (before, after), count in sorted(counts.items())
            ]
            for cut, keys in done.states.items()
        },
        "stoppable": {
            cut: [[key, *counts] for key, counts in sorted(keys.items())] for cut, keys in done.stoppable.items()
        },
    }
