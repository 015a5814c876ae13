from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from device.app.log_tail import LogTail, redacted
from device.app.obeying import Obeying
from device.errors import RestartAsked
from device.simulated.clock import SteppedClock
from device.simulated.stores import MemoryCommands, ThrowAwaySigner
from protocol.commands import MOST_LINE, MOST_LINES, CommandKind, CommandResult, CommandWithdrawal, TerminalCommand
from protocol.envelope import unverified_payload
from protocol.examples import examples
from protocol.selftest import SelftestReport

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
S = 1_000_000_000
REPORT = SelftestReport(software="1", python="3", machine="m", checks=())


class Bench:
    """Obeying, with a clock that stands."""

    def __init__(
        self, diagnose: Callable[[], SelftestReport] = lambda: REPORT, *, store: MemoryCommands | None = None
    ) -> None:
        self.clock, self.store = SteppedClock(NOW), store or MemoryCommands()
        self.beacon: list[bool | None] = []
        self.obeying = Obeying(
            self.store,
            ThrowAwaySigner(),
            self.clock,
            diagnose=diagnose,
            log=lambda: ("one", "two"),
            show_beacon=self.beacon.append,
            decommission=self.decommission,
        )
        self.number = 0
        self.erased: list[bytes] = []
        self.has_unconfirmed = False

    def decommission(self, token: bytes) -> bool:
        if not self.has_unconfirmed:
            self.erased.append(token)
        return not self.has_unconfirmed

    def ask(self, kind: CommandKind, *, hours: float = 1) -> None:
        self.number += 1
        self.store.take(
            TerminalCommand(
                fleet_id="north",
                terminal_id="t-1",
                command_id=f"{self.number:032x}",
                number=self.number,
                kind=kind,
                issued_at=NOW,
                expires_at=NOW + timedelta(hours=hours),
            ),
            b"signed %d" % self.number,
        )

    def take_back(self) -> bool:
        withdrawal = CommandWithdrawal(
            fleet_id="north", terminal_id="t-1", command_id=f"{self.number:032x}", number=self.number, withdrawn_at=NOW
        )
        return self.store.withdraw(withdrawal, b"taken back")

    def look(self, *, is_free: bool = True) -> None:
        self.clock.advance(3 * S)
        self.obeying.look(is_free=is_free)

    def results(self) -> list[CommandResult]:
        return [CommandResult.parse(unverified_payload(found.envelope)) for found in self.store.unsettled()]


def test_a_restart_waits_until_nobody_is_served_and_is_answered_before_it_happens() -> None:
    bench = Bench()
    bench.ask(CommandKind.RESTART)
    for _ in range(3):
        bench.look(is_free=False)
    assert not bench.results()
    with pytest.raises(RestartAsked):
        bench.look()
    assert [result.verdict for result in bench.results()] == ["done"]
    bench.look()
    assert len(bench.results()) == 1, "not again after the start"


def test_a_log_bundle_brings_the_lines() -> None:
    bench = Bench()
    bench.ask(CommandKind.LOG_BUNDLE)
    bench.look()
    (result,) = bench.results()
    assert (result.command_id, result.log, result.report) == (f"{1:032x}", ("one", "two"), None)


def test_a_diagnosis_runs_beside_the_loop_and_one_that_fails_says_so(eventually: Any) -> None:
    def fail() -> SelftestReport:
        raise ValueError("of our own")

    for diagnose, verdict, report in ((lambda: REPORT, "done", REPORT), (fail, "failed", None)):
        bench = Bench(diagnose)
        bench.ask(CommandKind.DIAGNOSE)
        bench.ask(CommandKind.LOG_BUNDLE)

        def one_is_answered(bench: Bench = bench) -> bool:
            bench.look()
            return len(bench.results()) == 2

        eventually(one_is_answered, "both answered, one after the other")
        first = bench.results()[0]
        assert (first.verdict, first.report) == (verdict, report)


def test_a_terminal_that_is_to_be_found_blinks_for_a_minute_or_until_somebody_comes() -> None:
    bench = Bench()
    bench.ask(CommandKind.IDENTIFY)
    bench.look()
    assert [result.verdict for result in bench.results()] == ["done"]
    for _ in range(25):
        bench.look()
    assert bench.beacon[:3] == [True, False, True]
    assert bench.beacon[-1] is None
    assert len(bench.beacon) == 20, "a minute of looks every three seconds, and the end"
    bench.ask(CommandKind.IDENTIFY)
    bench.look()
    bench.look()
    bench.look(is_free=False)
    bench.look()
    assert bench.beacon[-1] is None
    assert len(bench.beacon) == 22


def test_a_command_that_is_too_old_is_answered_and_not_carried_out() -> None:
    bench = Bench()
    bench.ask(CommandKind.RESTART, hours=-1)
    bench.look()
    assert [result.verdict for result in bench.results()] == ["expired"]


def test_a_command_is_taken_back_while_somebody_is_served_and_not_once_it_is_begun(eventually: Any) -> None:
    going_on, bench = threading.Event(), Bench()
    bench.ask(CommandKind.RESTART)
    bench.look(is_free=False)
    assert bench.take_back()
    bench.look()
    assert [found.envelope for found in bench.store.unsettled()] == [b"taken back"], "and nothing was restarted"

    def test() -> SelftestReport:
        going_on.wait()
        return REPORT

    bench = Bench(test)
    bench.ask(CommandKind.DIAGNOSE)
    bench.look()
    assert not bench.take_back()
    going_on.set()
    eventually(lambda: bench.look() or bench.store.unsettled(), "the report of the test")
    assert [result.verdict for result in bench.results()] == ["done"]


def test_a_command_taken_back_at_the_last_moment_is_not_carried_out() -> None:
    class Late(MemoryCommands):
        """Whoever looks has the command already when it is taken back."""

        def next(self) -> TerminalCommand | None:
            found = super().next()
            bench.take_back()
            return found

    for kind in CommandKind:
        bench = Bench(store=Late())
        bench.ask(kind)
        bench.look()
        bench.look()
        assert [found.envelope for found in bench.store.unsettled()] == [b"taken back"]
        assert not bench.beacon
        assert not bench.erased


@pytest.mark.parametrize("has_unconfirmed", [True, False])
def test_a_terminal_is_erased_when_nobody_is_there_and_nothing_would_be_lost(has_unconfirmed: bool) -> None:
    bench = Bench()
    bench.has_unconfirmed = has_unconfirmed
    bench.ask(CommandKind.DECOMMISSION)
    bench.look(is_free=False)
    assert not bench.results()
    # It starts anew to serve nobody: whoever erases it must not meet anybody.
    with nullcontext() if has_unconfirmed else pytest.raises(RestartAsked):
        bench.look()
    assert [result.verdict for result in bench.results()] == ["failed" if has_unconfirmed else "done"]
    assert bench.erased == ([] if has_unconfirmed else [b"signed 1"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("roster page applied version=31 entries=2000", "roster page applied version=31 entries=2000"),
        ("claim 99999919400101001X refused", "claim # refused"),
        ("passport E12345678 seen", "passport # seen"),
        ("token QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODk", "token #"),
        ("subject=0123456789abcdef0123456789abcdef gone", "subject=# gone"),
        ("王小明 was here", "? was here"),
        ("telephone 13800138000", "telephone #"),
    ],
)
def test_lines_leave_the_terminal_without_numbers_ids_and_names(line: str, expected: str) -> None:
    assert redacted(line) == expected


def test_the_tail_keeps_the_newest_lines_each_of_one_line_and_not_too_long() -> None:
    tail = LogTail()
    log = logging.getLogger("lifecert.test.tail")
    log.propagate = False
    log.setLevel(logging.INFO)
    log.addHandler(tail)
    for number in range(MOST_LINES + 5):
        log.info("line %d %s", number, "x " * MOST_LINE)
    try:
        int("secret value 4711")
    except ValueError:
        log.exception("broken")
    log.debug("not kept")
    log.removeHandler(tail)
    lines = tail.lines()
    assert len(lines) == MOST_LINES
    assert max(map(len, lines)) == MOST_LINE
    assert lines[-1].endswith("broken")
    assert "4711" not in "".join(lines)
    example = examples()["lifecert-command-result"]
    assert len(example.model_copy(update={"log": lines}).to_bytes()) < 180_000
