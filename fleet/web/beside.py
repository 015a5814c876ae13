"""Work that takes longer than a page may: begun by one, done beside them, with how far it is and what came of it for whoever comes back.

Each kind of work has a lane, in which one is done after the other and only so many wait. A run is stored, so it is known to every program
and after a restart; one that nobody works on any more is told as interrupted. What its account may do is looked up when its turn comes.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from fleet.accounts.registry import grants_in_service
from fleet.accounts.roles import Grant, Permission, areas_for, permissions_of
from fleet.accounts.visitor import Visitor
from fleet.clock import Clock
from fleet.errors import DatabaseUnavailable, FleetError, ImportRefused, Refused
from fleet.keys import FieldCipher
from fleet.store import page_runs
from fleet.store.areas import codes_below
from fleet.store.database import Database
from fleet.store.names import cleaned
from fleet.store.page_runs import BY, REASON, RESULT, PageRun, RunState
from protocol.errors import Problem, ProtocolError

logger = logging.getLogger(__name__)
AT_ONCE_S = 2.0
"""So long a page waits for what it began; a longer run is watched."""
PAGE = "/runs/{run_id}"
"""Address of a run that has no page of its own."""
MOST_PROBLEMS = 200
"""Of what is wrong with a file, so many are named."""
_NOT_PERMITTED = Problem("whoever asked for it may not do so any more", "not_permitted_now")
_BROKEN = Problem("a fault of ours; it is written down", "broken")
_START_S = 30.0
_KEPT = 20
"""Things in memory that runs hold for the page after them: each may be as large as a list of people."""


class Seen(Enum):
    """Who may see a run."""

    BY_PERMISSION = auto()
    BY_OWNER = auto()
    BY_OWNER_OR_FLEET = auto()
    """Whoever asked for it, and whoever has the permission in the whole fleet."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of work."""

    name: str
    group: str
    """Of pages, by whose texts refusals are said."""
    begins: Permission
    """What it takes to begin and to stop one, and to have it done when its turn comes."""
    looks: Permission | None = None
    """What it takes to see one, if that is less."""
    lane: str = ""
    """Kinds of one lane are done one after the other; its own if empty."""
    most: int = 1
    """Runs of the lane that wait or are under way; where it is one, whoever asks for another is led to it."""
    is_fleets: bool = False
    """Whether it takes the permission in the whole fleet."""
    seen: Seen = Seen.BY_PERMISSION
    is_stoppable: bool = True
    page: str = PAGE
    """Address of its page."""
    back: str = "/"
    """Address of the page that it is begun on."""

    def address(self, run_id: str) -> str:
        """Return the address of the page of a run."""
        return self.page.format(run_id=run_id)


_LISTS = 6
"""Lists that wait or are taken in at once: each is held in memory until its turn."""
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        each.name: each
        for each in (
            Kind("audit_check", "audit", Permission.AUDIT, is_fleets=True, back="/audit"),
            Kind("audit_export", "audit", Permission.AUDIT, is_fleets=True, back="/audit"),
            Kind("privacy_count", "privacy", Permission.PRIVACY, is_fleets=True, is_stoppable=False, back="/privacy"),
            Kind(
                "reminders_plan",
                "reminders",
                Permission.REMINDERS_SEND,
                looks=Permission.REMINDERS,
                is_fleets=True,
                is_stoppable=False,
                back="/reminders",
            ),
            Kind(
                "reminders_send",
                "reminders",
                Permission.REMINDERS_SEND,
                looks=Permission.REMINDERS,
                is_fleets=True,
                back="/reminders",
            ),
            Kind(
                "key_list",
                "exchange",
                Permission.EXCHANGE_DELIVER,
                lane="lists",
                most=_LISTS,
                is_fleets=True,
                seen=Seen.BY_OWNER,
                back="/exchange/key-lists",
            ),
            *(
                Kind(
                    name,
                    "people",
                    Permission.PEOPLE_IMPORT,
                    lane="lists",
                    most=_LISTS,
                    seen=Seen.BY_OWNER,
                    page="/people/import/{run_id}",
                    back="/people/import",
                )
                for name in ("people_look", "people_store")
            ),
            Kind(
                "contacts",
                "contacts",
                Permission.REMINDERS_SEND,
                lane="lists",
                most=_LISTS,
                seen=Seen.BY_OWNER,
                page="/reminders/contacts/{run_id}",
                back="/reminders/contacts",
            ),
            # Each holds its pictures on the disk, and the networks of the program that looks take a core each.
            Kind(
                "photos",
                "photos",
                Permission.PEOPLE_CHANGE,
                most=4,
                seen=Seen.BY_OWNER_OR_FLEET,
                page="/people/photos/{run_id}",
                back="/people/photos",
            ),
            *(
                Kind(
                    name,
                    "searches",
                    Permission.DUPLICATES_DECIDE,
                    looks=Permission.DUPLICATES,
                    is_fleets=True,
                    page="/duplicates/searches/{run_id}",
                    back="/duplicates/searches",
                )
                for name in ("duplicates_face", "duplicates_number")
            ),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Work that somebody asks for."""

    kind: str
    visitor: Visitor
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    """Chosen by the page with the form where that may be sent twice, so that it is one run."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What exactly: codes and numbers, no name."""
    reason: str | None = None
    note: Callable[[Connection], object] | None = None
    """Writes into the audit log that it was asked for, in the transaction that stores the run."""
    closes: Callable[[], object] | None = None
    """Gives back at the end what the work needs; also where it was refused."""


class Stopped(Exception):
    """Somebody asked the run to stop; what came of it until then, if anything did."""

    def __init__(self, result: Mapping[str, Any] | None = None) -> None:
        super().__init__("the run was stopped")
        self.result = result


class Job:
    """A run whose turn has come, for the work of it."""

    def __init__(self, runs: Runs, run: PageRun, grants: Sequence[Grant]) -> None:
        self.run_id = run.run_id
        self._runs = runs
        self._run = run
        self._grants = grants
        self._in_all = 0

    def codes(self, connection: Connection) -> list[str] | None:
        """Return the codes of all areas where the account may do this now; None for the whole fleet."""
        tops = areas_for(self._grants, KINDS[self._run.kind].begins)
        return None if tops is None else sorted({code for top in tops for code in codes_below(connection, top)})

    def tell(self, done: int, in_all: int | None = None) -> None:
        """Say how far it is, and how much there is in all once that is known; ends the work if somebody asked for it."""
        if not self.goes_on(done, in_all):
            raise Stopped

    def goes_on(self, done: int, in_all: int | None = None) -> bool:
        """Say how far it is; return False if somebody asked that it stop, and there is something left to stop."""
        self._in_all = self._in_all if in_all is None else in_all
        is_stop_asked = self._runs.note_progress(self.run_id, done, self._in_all)
        return not is_stop_asked or 0 < self._in_all <= done

    def hold(self, thing: object) -> None:
        """Keep something in memory for the pages after this run; what the account's last one of this kind held is let go."""
        self._runs.hold(self._run, thing)


Work = Callable[[Job], Mapping[str, Any]]
"""Does it; returns what came of it, as JSON has it."""


class Runs:
    """All runs of this program."""

    def __init__(self, database: Database, cipher: FieldCipher, *, clock: Clock) -> None:
        self._database = database
        self._cipher = cipher
        self._clock = clock
        self._guard = threading.Lock()
        self._turns = {lane: threading.Lock() for lane in {_lane_name(kind) for kind in KINDS}}
        self._ended: dict[str, threading.Event] = {}
        self._held: OrderedDict[str, tuple[PageRun, object]] = OrderedDict()
        # What is held ends with the program, and with what serves its pages.
        weakref.finalize(self, _let_all_go, self._held)

    def start(self, asked: Asked, work: Work) -> PageRun | None:
        """Begin a run; return the one that is there already, of this id or the only one of its kind; None if this one was begun.

        Raises:
            Refused: if the name cannot be taken, or so many of the lane wait that this one cannot.
            DatabaseUnavailable: as any transaction.
        """
        with ExitStack() as cleaning:
            if asked.closes is not None:
                cleaning.callback(asked.closes)
            cleaned(asked.visitor.name)
            with self._database.begin() as connection:
                is_open = page_runs.open_runs(connection, _lane_of(asked.kind))
            for each in is_open:
                # One that nobody works on any more must not keep everybody from the next.
                self.looked_at(each)
            # From here on it is the thread's.
            cleaning.pop_all()
        begun: Future[PageRun | None] = Future()
        with self._guard:
            self._ended[asked.run_id] = threading.Event()
        threading.Thread(target=self._run, args=(asked, work, begun), name=asked.kind, daemon=True).start()
        return begun.result(_START_S)

    def wait(self, run_id: str) -> None:
        """Wait for the end of a run that this program works on, as long as a page may."""
        with self._guard:
            ended = self._ended.get(run_id)
        if ended is not None:
            ended.wait(AT_ONCE_S)

    def looked_at(self, run: PageRun) -> PageRun:
        """Return a run as it is: one that nobody works on any more is ended."""
        if not run.is_open:
            return run
        with self._database.alone(_lock(run.worker)) as is_nobodys:
            if is_nobodys:
                self._end(run.run_id, "interrupted", None)
        with self._database.begin() as connection:
            return page_runs.find_run(connection, run.run_id) or run

    def result_of(self, run: PageRun) -> dict[str, Any]:
        """Return what came of a run; empty if nothing did, or it does not open."""
        return {} if run.result_sealed is None else dict(json.loads(self._open(run, run.result_sealed, RESULT) or "{}"))

    def by(self, run: PageRun) -> str:
        """Return the name of who asked for it."""
        return self._open(run, run.by_sealed, BY)

    def reason(self, run: PageRun) -> str:
        """Return why it was asked for."""
        return "" if run.reason_sealed is None else self._open(run, run.reason_sealed, REASON)

    def hold(self, run: PageRun, thing: object) -> None:
        """Keep something of a run; see `Job.hold`."""
        with self._guard:
            for old in [
                run_id
                for run_id, (each, _) in self._held.items()
                if (each.kind, each.account_id) == (run.kind, run.account_id)
            ]:
                _let_go(self._held.pop(old)[1])
            while len(self._held) >= _KEPT:
                _let_go(self._held.popitem(last=False)[1][1])
            self._held[run.run_id] = (run, thing)

    def held(self, run_id: str) -> object | None:
        """Return what a run holds; None if it is gone, as it is with the program."""
        with self._guard:
            found = self._held.get(run_id)
        return None if found is None else found[1]

    def take(self, run_id: str) -> object | None:
        """Return what a run holds to one call only, which closes it if it is to be closed."""
        with self._guard:
            found = self._held.pop(run_id, None)
        return None if found is None else found[1]

    def note_progress(self, run_id: str, done: int, in_all: int) -> bool:
        """Store how far a run is; return whether it is to stop."""
        with self._database.begin() as connection:
            return page_runs.note_progress(connection, run_id, done, in_all)

    def _run(self, asked: Asked, work: Work, begun: Future[PageRun | None]) -> None:
        worker = secrets.token_hex(16)
        with ExitStack() as cleaning:
            cleaning.callback(self._forget, asked.run_id)
            if asked.closes is not None:
                cleaning.callback(asked.closes)
            try:
                with self._database.alone(_lock(worker)):
                    run = self._made(asked, worker)
                    other = self._add(asked, run)
                    begun.set_result(other)
                    if other is None:
                        with self._turns[_lane_name(asked.kind)]:
                            self._end(run.run_id, *self._work(run, work))
            except Exception as error:
                # Top of a thread.
                if not begun.done():
                    begun.set_exception(error)
                elif isinstance(error, DatabaseUnavailable):
                    # Whoever looks at it next finds that nobody works on it.
                    logger.warning("interrupted, database unavailable kind=%s run=%s", asked.kind, asked.run_id)
                else:
                    logger.exception("not done kind=%s run=%s", asked.kind, asked.run_id)

    def _forget(self, run_id: str) -> None:
        with self._guard:
            ended = self._ended.pop(run_id, None)
        if ended is not None:
            ended.set()

    def _made(self, asked: Asked, worker: str) -> PageRun:
        return PageRun(
            asked.run_id,
            asked.kind,
            asked.visitor.account_id,
            self._sealed(asked.run_id, cleaned(asked.visitor.name), BY),
            worker,
            self._clock(),
            asked.asked,
            None if asked.reason is None else self._sealed(asked.run_id, asked.reason, REASON),
        )

    def _add(self, asked: Asked, run: PageRun) -> PageRun | None:
        """Store a run; return the one that is there in its place."""
        kind = KINDS[asked.kind]
        with self._database.begin() as connection:
            page_runs.lock_kinds(connection)
            if (same := page_runs.find_run(connection, run.run_id)) is not None:
                return same
            others = page_runs.open_runs(connection, _lane_of(run.kind))
            if len(others) >= kind.most:
                if kind.most == 1:
                    return others[0]
                raise Refused(f"{kind.name}: {kind.most} wait or are under way", code="busy", most=kind.most)
            page_runs.add_run(connection, run)
            if asked.note is not None:
                asked.note(connection)
        return None

    def _work(self, run: PageRun, work: Work) -> tuple[RunState, Mapping[str, Any] | None]:
        """Do it; return how it ended and what came of it."""
        kind = KINDS[run.kind]
        with self._database.begin() as connection:
            page_runs.begin_run(connection, run.run_id)
            grants = grants_in_service(connection, run.account_id)
        is_permitted = kind.begins in permissions_of(grants)
        if not is_permitted or (kind.is_fleets and areas_for(grants, kind.begins) is not None):
            return "failed", {"problems": [packed(_NOT_PERMITTED)]}
        job = Job(self, run, grants)
        try:
            job.tell(run.done)
            return "done", work(job)
        except Stopped as stopped:
            return "stopped", stopped.result
        except DatabaseUnavailable:
            raise
        except (FleetError, ProtocolError) as error:
            found = error.problems if isinstance(error, ImportRefused) else [error]
            if not all(each.code for each in found):
                # No reason of whoever asked: a program that does not work, say.
                logger.warning("not done kind=%s run=%s: %s", run.kind, run.run_id, error)
            return "failed", {
                "problems": [packed(each) for each in found[:MOST_PROBLEMS]],
                "problems_more": max(len(found) - MOST_PROBLEMS, 0),
            }
        except Exception:
            # A fault of ours: what is known of it is that it failed.
            logger.exception("not done kind=%s run=%s", run.kind, run.run_id)
            return "failed", {"problems": [packed(_BROKEN)]}

    def _end(self, run_id: str, state: RunState, result: Mapping[str, Any] | None) -> None:
        sealed = None if result is None else self._sealed(run_id, json.dumps(result, ensure_ascii=False), RESULT)
        with self._database.begin() as connection:
            page_runs.end_run(connection, run_id, state, sealed, now=self._clock())

    def _sealed(self, run_id: str, said: str, name: str) -> bytes:
        return self._cipher.encrypt(said, subject_id=run_id, field_name=name)

    def _open(self, run: PageRun, sealed: bytes, name: str) -> str:
        try:
            return self._cipher.decrypt(sealed, subject_id=run.run_id, field_name=name)
        except FleetError:
            return ""


def packed(found: FleetError | ProtocolError | Problem) -> dict[str, Any]:
    """Return what is wrong as JSON has it: its code and what its sentence names."""
    return {"code": found.code, "said": str(found), "facts": {name: _fact(each) for name, each in found.facts.items()}}


def unpacked(found: Mapping[str, Any]) -> Problem:
    """Return what was packed."""
    made = Problem(found.get("said", ""), found["code"])
    made.facts = {
        name: unpacked(each) if isinstance(each, Mapping) else each for name, each in found.get("facts", {}).items()
    }
    return made


def _fact(value: object) -> object:
    if isinstance(value, Problem):
        return packed(value)
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _let_go(thing: object) -> None:
    close = getattr(thing, "close", None)
    if close is not None:
        close()


def _let_all_go(held: OrderedDict[str, tuple[PageRun, object]]) -> None:
    while held:
        _let_go(held.popitem()[1][1])


def _lane_name(kind: str) -> str:
    return KINDS[kind].lane or kind


def _lane_of(kind: str) -> list[str]:
    return [name for name in KINDS if _lane_name(name) == _lane_name(kind)]


def _lock(worker: str) -> str:
    return f"run beside pages {worker}"
