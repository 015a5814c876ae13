"""A person's history in one order. Pure: it is told what there is and where a day begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a person, or was decided about them."""

    kind: str
    """`record`, `act`, `life_event`, `benefit.carried_out`, `approval.benefit_stop` and the like."""
    entry_id: str
    at: datetime | None
    day: date | None
    """Where only a day is known; it stands before everything else of that day."""
    detail: Mapping[str, Any]

    def moment(self, zone: tzinfo) -> datetime:
        """Return the moment under which it stands, where the agency is.

        Raises:
            ValueError: if it has neither a moment nor a day.
        """
        if self.at is not None:
            return self.at.astimezone(zone)
        if self.day is None:
            raise ValueError(f"{self.kind} {self.entry_id}: neither a moment nor a day")
        return datetime.combine(self.day, time(), zone)


def merged(entries: Iterable[Entry], *, zone: tzinfo) -> list[Entry]:
    """Return entries in the order in which they happened, whatever order they come in; ties by kind and id."""
    return sorted(entries, key=lambda entry: (entry.moment(zone), entry.kind, entry.entry_id))
