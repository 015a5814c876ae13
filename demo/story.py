"""The story of the demo: cases with an expected outcome, played by real programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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


def play(installation: Installation) -> Iterator[Result]:
    """Play every case and give its result as it ends."""
    hall, van = installation.terminals

    def session(terminal: Terminal, number: str, actor: str) -> Callable[[], str]:
        return lambda: outcome_of(terminal.claim(number, actor))

    # Rendered people are more alike than real ones (cosine about .5): the other one lands in the grey zone, where no machine refuses.
    cases: list[tuple[str, str, Callable[[], str]]] = [
        ("live person", "certified", session(hall, LIANG.number, "live_om")),
        ("status at the fleet", "certified", lambda: arrived_state(installation, LIANG.number, "certified")),
        ("printed photo", "not_certified", session(hall, LIANG.number, "print_om")),
        ("cut-out mask", "not_certified", session(hall, FANG.number, "mask_of")),
        ("replay of an earlier clip", "review", session(hall, LIANG.number, "screen_om")),
        ("other person under the same number", "review", session(hall, LIANG.number, "live_of")),
        ("another takes over half way", "presentation_attack", session(hall, LIANG.number, "swap_om_of")),
        ("nobody in front of the camera", "poor_sample", session(hall, LIANG.number, "empty")),
        ("unknown number", "no_reference", session(hall, NOBODY.number, "live_om")),
        ("link cut: certified without network", "certified, 0 at the fleet", lambda: cut_off(installation, van)),
        ("link restored: the record arrives", "1 at the fleet", lambda: reconnect(installation, van)),
        ("kill -9 after storing: arrives once", "2 at the fleet, no gap", lambda: power_cut(installation, van)),
        ("status of both people", "certified, certified", lambda: both_states(installation)),
        ("every record is at the fleet", "hall-1 8 of 8, van-2 2 of 2", lambda: all_confirmed(installation)),
    ]
    for name, expected, act in cases:
        begun = time.monotonic()
        found = act()
        installation.check()
        yield Result(name, expected, found, round((time.monotonic() - begun) * 1000))


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
    van.link.cut()
    outcome = outcome_of(van.claim(FANG.number, "live_of"))
    return f"{outcome}, {len(installation.records(van))} at the fleet"


def reconnect(installation: Installation, van: Terminal) -> str:
    """Restore the link and wait for what was stored."""
    van.link.restore()
    return f"{arrived_records(installation, van, 1)} at the fleet"


def power_cut(installation: Installation, van: Terminal) -> str:
    """Kill the terminal with a record in its outbox, start it again, and see the record arrive once, without a gap."""
    van.link.cut()
    answer = van.claim(FANG.number, "live_of")
    van.kill()
    van.link.restore()
    van.start()
    count = arrived_records(installation, van, 2)
    ids = [record["record_id"] for record in installation.records(van)]
    line = next(line for line in installation.get("/api/v1/terminals") if line["terminal_id"] == van.terminal_id)
    if not answer["ok"] or ids.count(answer["record_id"]) != 1:
        return "the record is missing or repeated"
    return f"{count} at the fleet, {'no gap' if not line['gaps'] else 'a gap'}"


def both_states(installation: Installation) -> str:
    """Return both people's status."""
    return ", ".join(installation.state_of(person.number) for person in (LIANG, FANG))


def all_confirmed(installation: Installation) -> str:
    """Wait until each outbox holds confirmed records only, and count both ends."""

    def counted() -> str | None:
        parts = []
        for terminal in installation.terminals:
            status = terminal.status()
            if status is None or status["outbox"]["pending"] or status["outbox"]["published"]:
                return None
            confirmed = status["outbox"]["acknowledged"]
            parts.append(f"{terminal.terminal_id} {len(installation.records(terminal))} of {confirmed}")
        return ", ".join(parts)

    return wait_for("confirmation of every record", counted, timeout_s=_ARRIVAL_S)


def arrived_records(installation: Installation, terminal: Terminal, wanted: int) -> int:
    """Wait a while for a terminal's records at the fleet and return how many are there."""
    deadline = time.monotonic() + _ARRIVAL_S
    while (count := len(installation.records(terminal))) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return count
