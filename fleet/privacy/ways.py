"""Was a way without the face offered, and is it recorded (R4-12, R6-4)? What was, in a period, and which terminals never did. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offered:
    """What was recorded as offered in a period."""

    ways: Mapping[str, int]
    """Exceptions at terminals, by way."""
    withdrawals: Mapping[str, int]
    """Withdrawn consents, by way."""
    terminals: Mapping[str, int]
    """Exceptions by terminal, of those that sent anything."""
    never: tuple[str, ...]
    """Terminals that sent records and no exception: nobody needed another way there, or nobody wrote down that one was offered; ask."""


def offered(by_terminal: Mapping[str, Mapping[str, int]], withdrawals: Mapping[str, int]) -> Offered:
    """Return what was offered, from how often each terminal recorded which way."""
    ways: Counter[str] = Counter()
    for found in by_terminal.values():
        ways.update(found)
    counts = {terminal: sum(found.values()) for terminal, found in sorted(by_terminal.items())}
    return Offered(
        ways=dict(sorted(ways.items())),
        withdrawals=withdrawals,
        terminals=counts,
        never=tuple(terminal for terminal, times in counts.items() if not times),
    )
