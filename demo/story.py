"""The story of the demo: cases with an expected outcome, played by real programs."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from demo.installation import Installation, Terminal
from demo.people import FANG, LIANG, NOBODY
from demo.processes import wait_for

_ARRIVAL_S = 20.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case."""

    name: str
    expected: str
    found: str
    milliseconds: int

    @property
    def is_ok(self) -> bool:
        """Whether it is what was expected."""
        return self.found == self.expected

    def __str__(self) -> str:
        mark = "ok" if self.is_ok else "FAIL"
        return f"{mark} {self.name}: expected {self.expected} got {self.found} ({self.milliseconds} ms)"


Case = tuple[str, str, Callable[[], str]]
"""Name, expected result, and what gives the result."""


def play(installation: Installation) -> Iterator[Result]:
    """Play every case and give its result as it ends; both terminals serve people at the same time."""
    hall, van = installation.terminals

    def session(terminal: Terminal, number: str, actor: str) -> Callable[[], str]:
        return lambda: outcome_of(terminal.claim(number, actor))

    at_hall: list[Case] = [
        ("live person", "certified", session(hall, LIANG.number, "cedar")),
        ("status at the fleet", "certified", lambda: arrived_state(installation, LIANG.number, "certified")),
        ("printed photo", "review", session(hall, FANG.number, "print_flat_peony")),
        # Rendered people share a skull, and most pairs of them score higher than real ones: this pair is clearly two.
        ("other person under the same number", "not_certified", session(hall, LIANG.number, "apricot")),
    ]
    at_van: list[Case] = [
        ("screen that shows an earlier session", "review", session(van, LIANG.number, "replay_cedar")),
        ("another takes over half way", "presentation_attack", session(van, LIANG.number, "swap_cedar_maple")),
        (
            "another acts for the one in the picture",
            "presentation_attack",
            session(van, LIANG.number, "stand_in_cedar_maple"),
        ),
        ("nobody in front of the camera", "poor_sample", session(van, LIANG.number, "empty")),
        ("unknown number", "no_reference", session(van, NOBODY.number, "cedar")),
    ]
    done: queue.SimpleQueue[Result | None] = queue.SimpleQueue()

    def serve(cases: list[Case]) -> None:
        try:
            for case in cases:
                done.put(_play_one(case))
        finally:
            done.put(None)

    with ThreadPoolExecutor(2) as pool:
        lanes = [pool.submit(serve, cases) for cases in (at_hall, at_van)]
        for _ in lanes:
            yield from iter(done.get, None)
        for lane in lanes:
            lane.result()
    installation.check()
    sessions = {hall: len(at_hall) - 1, van: len(at_van) + 2}
    afterwards: list[Case] = [
        ("link cut: certified without network", "certified, 0 more at the fleet", lambda: cut_off(installation, van)),
        ("link restored: the record arrives", "1 more at the fleet", lambda: reconnect(installation, van)),
        ("kill -9 after storing: arrives once", "1 more at the fleet, no gap", lambda: power_cut(installation, van)),
        ("status of both people", "certified, certified", lambda: both_states(installation)),
        (
            "every record is at the fleet",
            ", ".join(f"{terminal.terminal_id} {count}, all confirmed" for terminal, count in sessions.items()),
            lambda: all_confirmed(installation),
        ),
    ]
    for case in afterwards:
        yield _play_one(case)
        installation.check()


def _play_one(case: Case) -> Result:
    name, expected, act = case
    begun = time.monotonic()
    found = act()
    return Result(name, expected, found, round((time.monotonic() - begun) * 1000))


def outcome_of(answer: dict[str, Any]) -> str:
    """Return the outcome in a terminal's answer, or why there is none."""
    return str(answer["outcome"] if answer["ok"] else answer["error"])


def arrived_state(installation: Installation, number: str, wanted: str) -> str:
    """Wait a while for a status at the fleet and return the one that is there."""
    deadline = time.monotonic() + _ARRIVAL_S
    while (found := installation.state_of(number)) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def cut_off(installation: Installation, van: Terminal) -> str:
    """Certify somebody while the link is cut."""
    before = settled_records(installation, van)
    van.link.cut()
    outcome = outcome_of(van.claim(FANG.number, "peony"))
    return f"{outcome}, {len(installation.records(van)) - before} more at the fleet"


def reconnect(installation: Installation, van: Terminal) -> str:
    """Restore the link and wait for what was stored."""
    before = len(installation.records(van))
    van.link.restore()
    return f"{arrived_records(installation, van, before + 1) - before} more at the fleet"


def power_cut(installation: Installation, van: Terminal) -> str:
    """Kill the terminal with a record in its outbox, start it again, and see the record arrive once, without a gap."""
    before = settled_records(installation, van)
    van.link.cut()
    answer = van.claim(FANG.number, "peony")
    van.kill()
    van.link.restore()
    van.start()
    more = arrived_records(installation, van, before + 1) - before
    ids = [record["record_id"] for record in installation.records(van)]
    line = next(line for line in installation.get("/api/v1/terminals") if line["terminal_id"] == van.terminal_id)
    if not answer["ok"] or ids.count(answer["record_id"]) != 1:
        return "the record is missing or repeated"
    return f"{more} more at the fleet, {'no gap' if not line['gaps'] else 'a gap'}"


def settled_records(installation: Installation, terminal: Terminal) -> int:
    """Wait until the fleet has confirmed all a terminal has, and return how many records it has of it."""

    def settled() -> bool | None:
        status = terminal.status()
        return True if status and not status["outbox"]["pending"] + status["outbox"]["published"] else None

    wait_for("confirmation of earlier records", settled, timeout_s=_ARRIVAL_S)
    return len(installation.records(terminal))


def both_states(installation: Installation) -> str:
    """Return both people's status."""
    return ", ".join(installation.state_of(person.number) for person in (LIANG, FANG))


def all_confirmed(installation: Installation) -> str:
    """Wait until each outbox holds confirmed records only, and count the sessions at the fleet."""

    def counted() -> str | None:
        parts = []
        for terminal in installation.terminals:
            status = terminal.status()
            if status is None or status["outbox"]["pending"] or status["outbox"]["published"]:
                return None
            parts.append(f"{terminal.terminal_id} {len(installation.records(terminal))}, all confirmed")
        return ", ".join(parts)

    return wait_for("confirmation of every record", counted, timeout_s=_ARRIVAL_S)


def arrived_records(installation: Installation, terminal: Terminal, wanted: int) -> int:
    """Wait a while for a terminal's records at the fleet and return how many are there."""
    deadline = time.monotonic() + _ARRIVAL_S
    while (count := len(installation.records(terminal))) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return count
