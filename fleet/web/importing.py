"""Lists of people that are looked at and taken in beside the pages, one after the other: a large one takes minutes, and says how far it is.

What is known here ends with the program. A list that was being stored then is not stored at all, and sending it again does no harm.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from fleet.errors import FleetError
from fleet.intake.comparison import Comparison
from fleet.intake.people_table import PeopleList
from protocol.errors import Problem, ProtocolError

logger = logging.getLogger(__name__)
_KEPT = 100
"""Imports whose result can still be looked at."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a list that was taken in."""

    rows: int
    new: int
    changed: int
    unchanged: int
    encoding: str
    left_out: tuple[Problem, ...]
    """Each column that is not known."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a list would change, while nothing of it is stored."""

    people: PeopleList = field(repr=False)
    comparison: Comparison


@dataclass
class Import:
    """One list on its way."""

    import_id: str
    account_id: str
    """Of whoever sent it; nobody else sees it."""
    rows: int = 0
    """Of the list; 0 while it is being read."""
    stored: int = 0
    report: Report | None = None
    preview: Preview | None = None
    """Of a list that was looked at and is not confirmed yet."""
    followed_by: str = ""
    """Id of the import by which it was taken in, once it is confirmed."""
    refused: FleetError | ProtocolError | None = None
    is_broken: bool = False
    """A fault of ours, which is written into the log."""
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_ended(self) -> bool:
        """Whether it is taken in, or refused."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most so long; return whether it has ended."""
        return self._ended.wait(seconds)

    def tell(self, stored: int) -> None:
        """Say how many rows are stored."""
        self.stored = stored

    def run(self, work: Callable[[Import], Report | None]) -> None:
        """Take the list in, and keep what came of it."""
        try:
            self.report = work(self)
        except (FleetError, ProtocolError) as error:
            self.refused = error
        except Exception:
            # Top of a thread.
            logger.exception("list of people not taken in import=%s", self.import_id)
            self.is_broken = True
        finally:
            self._ended.set()


class Imports:
    """All lists of this program's time, the newest ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[str, Import] = OrderedDict()
        # One at a time: two would wait for each other's locks, and both hold a whole list in memory.
        self._workers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="import")

    def start(self, account_id: str, work: Callable[[Import], Report | None]) -> Import:
        """Look at a list, or take it in; return at once. What this account looked at before is forgotten: a list is large."""
        made = Import(secrets.token_hex(16), account_id)
        with self._lock:
            for each in self._found.values():
                if each.account_id == account_id:
                    each.preview = None
            self._found[made.import_id] = made
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        future: Future[None] = self._workers.submit(made.run, work)
        del future
        return made

    def confirm(self, looked_at: Import, sha256: str) -> Preview | None:
        """Return the preview of a list that is to be taken in, to one call only; None if it is gone or was another file."""
        with self._lock:
            found = looked_at.preview
            if found is None or found.people.sha256 != sha256:
                return None
            looked_at.preview = None
            return found

    def find(self, import_id: str, account_id: str) -> Import | None:
        """Return a list that this account sent; None if there is none of this id."""
        with self._lock:
            found = self._found.get(import_id)
        return found if found is not None and found.account_id == account_id else None
