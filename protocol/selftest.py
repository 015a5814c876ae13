"""The report of a terminal's self test: printed by the terminal program, read by the technician's tool."""

from __future__ import annotations

from typing import ClassVar, Literal

from protocol.wire import WireMessage, WirePart


class Check(WirePart):
    """One thing that was tried."""

    name: str
    status: Literal["passed", "failed", "skipped"]
    detail: str
    """What was found; with `failed`, also what to do; with `skipped`, why."""
    seconds: float


class SelftestReport(WireMessage):
    """All checks of one run."""

    TYPE: ClassVar[str] = "selftest-report"
    VERSION: ClassVar[int] = 1

    type: Literal["selftest-report"] = "selftest-report"
    version: Literal[1] = 1
    software: str
    python: str
    machine: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(check.status != "failed" for check in self.checks)
