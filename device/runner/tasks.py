"""What an operator does for somebody: a session and what it is for, or a case and what it is made of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date

from device.desk.commands import BeginSession, StoreCase
from device.desk.events import AnswerRefused, CaseNotStored, CaseStored, DateChecked, DeskEvent
from device.desk.view import Problem
from device.errors import DeviceError
from device.ports import Errand
from device.runner.casework import CaseNotKept, Casework
from device.runner.directory import Directory
from device.runner.loop import Ports, Runner
from device.runner.troubles import Troubles
from device.session.acquiring import CLAIM_LINES
from device.session.commands import Line
from device.session.events import ClaimProblem
from device.session.machine import State
from protocol.policy import PathName
from protocol.records import Purpose
from protocol.visits import Visit

logger = logging.getLogger(__name__)


class Tasks:
    """Begins sessions and stores cases. Used by the loop's thread.

    Args:
        runner: of the sessions.
        ports: of the sessions; the policy says which path needs a witness.
        casework: knows the person.
        directory: knows the places.
        troubles: notes that the terminal must reach its fleet first.
        today: the day where the terminal stands.
    """

    def __init__(
        self,
        runner: Runner,
        ports: Ports,
        *,
        casework: Casework,
        directory: Directory,
        troubles: Troubles,
        today: Callable[[], date],
    ) -> None:
        self._runner = runner
        self._ports = ports
        self._casework = casework
        self._directory = directory
        self._troubles = troubles
        self._today = today

    def problem(self, purpose: Purpose) -> str | None:
        """Return the id of the text that says why no session could begin; None where one could, as far as is known."""
        if self._runner.session.state is State.FAULTED:
            return Line.OUT_OF_ORDER.value
        try:
            problem = self._runner.problem(purpose)
        except DeviceError as error:
            # The session will say so itself.
            logger.warning("not known whether a session could begin why=%s", error)
            return None
        if problem is ClaimProblem.OFFLINE_LIMIT:
            self._troubles.standing()
        return None if problem is None else CLAIM_LINES[problem].value

    def begin(self, command: BeginSession) -> None:
        """Begin the session of the person the task is about."""
        person = self._casework.person
        if person is None:
            self._runner.present_claim("")
            return
        visit = None
        if command.visit_reason is not None:
            place = self._directory.place(command.place)
            visit = Visit(worker=command.operator, reason=command.visit_reason, place=place)
        policy = self._ports.policies.current()
        path = policy.paths.get(command.path) if policy is not None else None
        # Who is signed in vouches for the presentation where a path asks for somebody and nobody else is there.
        needs_witness = path is not None and path.needs_witness
        self._runner.present_claim(
            person.claim,
            Errand(
                purpose=command.purpose,
                path=PathName(command.path),
                operator=command.operator,
                may_enrol=command.may_enrol,
                witness=command.witness or (command.operator if needs_witness else None),
                visit=visit,
                legal_basis=command.legal_basis,
            ),
        )

    def check_date(self, found: date) -> DeskEvent:
        """Say whether a day that was read off a paper may be true."""
        # A clock that nothing bounds may be behind every newspaper.
        is_sure = self._ports.clock.now().uncertainty_s is not None
        if is_sure and found > self._today():
            return AnswerRefused(Problem.DATE_IN_FUTURE)
        return DateChecked(found)

    def store(self, command: StoreCase) -> DeskEvent:
        """Store the case of the task."""
        try:
            self._casework.store(command, place=self._directory.place(command.place))
        except CaseNotKept as error:
            logger.error("case not stored why=%s", error)  # noqa: TRY400 - the message says all, a trace nothing
            return CaseNotStored(error.problem)
        return CaseStored()
