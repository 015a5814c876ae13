"""Searches for duplicates beside the pages: one of a kind at a time, with how far it is; stopped or cut off, the next one goes on there."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from fleet.audit.log import note
from fleet.clock import Clock
from fleet.duplicates import benefits
from fleet.duplicates.combinations import load_combinations
from fleet.errors import DatabaseUnavailable, Refused
from fleet.keys import FieldCipher
from fleet.settings import Settings
from fleet.store import duplicate_searches as store
from fleet.store.database import Database
from fleet.store.duplicate_searches import SearchKind, SearchRun, SearchState
from fleet.store.names import cleaned

logger = logging.getLogger(__name__)

NETWORK = "features_mobilefacenet"
"""The feature network a terminal has unless its settings name another."""
_START_S = 30.0
_LONGEST_REASON = 200


class _Stopped(Exception):
    """Somebody asked the search to stop."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A search that somebody asks for."""

    search_id: str
    """Chosen by the page with the form, so that a form that is sent twice is one search."""
    kind: SearchKind
    by: str
    reason: str
    both_sexes: bool = False
    all_ages: bool = False


class Searches:
    """All searches of this program."""

    def __init__(self, database: Database, cipher: FieldCipher, settings: Settings, *, clock: Clock) -> None:
        self._database = database
        self._cipher = cipher
        self._settings = settings
        self._clock = clock

    def start(self, asked: Asked) -> SearchRun | None:
        """Begin a search; return the one of its kind, or of this id, that is there already, None if this one was begun.

        Raises:
            Refused: if a name or the reason cannot be taken.
            DatabaseUnavailable: as any transaction.
        """
        cleaned(asked.by)
        if not 0 < len(asked.reason) <= _LONGEST_REASON:
            raise Refused(f"reason: 1 to {_LONGEST_REASON} characters expected", code="reason", most=_LONGEST_REASON)
        with self._database.begin() as connection:
            running = store.running_search(connection, asked.kind)
        if running is not None:
            # One that nobody works on any more must not keep everybody from the next.
            self.looked_at(running)
        begun: Future[bool] = Future()
        threading.Thread(target=self._run, args=(asked, begun), name="duplicates", daemon=True).start()
        if begun.result(_START_S):
            return None
        with self._database.begin() as connection:
            return store.find_search(connection, asked.search_id) or store.running_search(connection, asked.kind)

    def looked_at(self, run: SearchRun) -> SearchRun:
        """Return a search as it is: one that nobody works on any more is ended."""
        if run.state != "running":
            return run
        with self._database.alone(_lock(run.worker)) as is_nobodys:
            if is_nobodys:
                self._end(run.search_id, "interrupted", None)
        with self._database.begin() as connection:
            return store.find_search(connection, run.search_id) or run

    def _run(self, asked: Asked, begun: Future[bool]) -> None:
        worker = secrets.token_hex(16)
        try:
            with self._database.alone(_lock(worker)):
                is_new = self._begin(asked, worker)
                begun.set_result(is_new)
                if is_new:
                    self._end(asked.search_id, *self._work(asked))
        except Exception as error:
            # Top of a thread.
            if not begun.done():
                begun.set_exception(error)
            elif isinstance(error, DatabaseUnavailable):
                # Whoever looks at it next finds that nobody works on it.
                logger.warning("search for duplicates interrupted, database unavailable search=%s", asked.search_id)
            else:
                logger.exception("search for duplicates failed search=%s", asked.search_id)

    def _begin(self, asked: Asked, worker: str) -> bool:
        now = self._clock()
        run = SearchRun(
            asked.search_id,
            asked.kind,
            asked.both_sexes,
            asked.all_ages,
            self._cipher.encrypt(cleaned(asked.by), subject_id=asked.search_id, field_name="search_by"),
            self._cipher.encrypt(asked.reason, subject_id=asked.search_id, field_name="search_reason"),
            worker,
            now,
        )
        with self._database.begin() as connection:
            if not store.add_search(connection, run):
                return False
            note(
                connection,
                self._cipher,
                actor=asked.by,
                action="duplicates.searched",
                object_kind="duplicate_search",
                object_id=asked.search_id,
                detail={
                    "kind": asked.kind,
                    "both_sexes": asked.both_sexes,
                    "all_ages": asked.all_ages,
                    # The reason may hold anything, and the log's detail stands in the open.
                    "reason_sha256": self._cipher.digest(
                        asked.reason, subject_id=asked.search_id, field_name="search_reason"
                    ).hex(),
                },
                now=now,
            )
        return True

    def _work(self, asked: Asked) -> tuple[SearchState, Mapping[str, Any] | None]:
        """Search; return how it ended and what came of it."""
        try:
            found = self._faces(asked) if asked.kind == "face" else self._numbers(asked)
        except _Stopped:
            return "stopped", None
        except DatabaseUnavailable:
            raise
        except Refused as error:
            return "failed", {"code": error.code, "facts": dict(error.facts)}
        except Exception:
            # A fault of ours: what is known of the search is that it failed.
            logger.exception("search for duplicates failed search=%s", asked.search_id)
            return "failed", None
        return "done", found

    def _faces(self, asked: Asked) -> Mapping[str, Any]:
        # Loaded here, because the commands of duplicates need no numpy.
        from fleet.duplicates.matrix import Blocking
        from fleet.duplicates.search import Wanted, search

        limits = self._settings.duplicates
        years = None if asked.all_ages else limits.birth_years
        wanted = Wanted(
            NETWORK,
            Blocking(limits.same_sex and not asked.both_sexes, years),
            limits.fpir,
            limits.most_hits,
        )
        done = search(
            self._database, wanted, clock=self._clock, on_progress=lambda count, total: self._tell(asked, count, total)
        )
        return {
            "searches": [
                {
                    "key_domain": each.key_domain,
                    "people": each.people,
                    "new": each.new,
                    "comparisons": each.comparisons,
                    "threshold": each.threshold,
                    "expected_false_hits": each.expected_false_hits,
                    "hits": each.hits,
                }
                for each in done.searches
            ],
            "left_out": sum(people for _, _, people in done.left_out),
            "hits": sum(each.hits for each in done.searches),
        }

    def _numbers(self, asked: Asked) -> Mapping[str, Any]:
        table = load_combinations(self._settings.duplicates.combinations_file)
        self._tell(asked, 0, 2)
        now, zone = self._clock(), self._settings.zone()
        paid = benefits.check_lists(self._database, table, now=now, zone=zone)
        self._tell(asked, 1, 2)
        documents = benefits.check_documents(self._database, self._cipher, now=now)
        self._tell(asked, 2, 2)
        parts = {"benefits": paid, "documents": documents}
        return {
            "parts": [
                {"part": name, "people": each.people, "suspicions": each.suspicions, "hits": each.hits}
                for name, each in parts.items()
            ],
            "hits": paid.hits + documents.hits,
        }

    def _tell(self, asked: Asked, done: int, in_all: int) -> None:
        with self._database.begin() as connection:
            is_stop_asked = store.note_search(connection, asked.search_id, done, in_all)
        # At the end there is nothing left to stop.
        if is_stop_asked and done < in_all:
            raise _Stopped

    def _end(self, search_id: str, state: SearchState, result: Mapping[str, Any] | None) -> None:
        with self._database.begin() as connection:
            store.end_search(connection, search_id, state, result, now=self._clock())


def _lock(worker: str) -> str:
    return f"search for duplicates {worker}"
