"""The table of tasks: every row can be asked, and ends in something."""

from __future__ import annotations

import pytest

from device.desk.tasks import STEPS, TASKS, Step, Task, tasks_of
from protocol.cases import CaseKind, PhotoRole
from protocol.staff import Role


@pytest.mark.parametrize("task", Task)
def test_every_task_has_a_row_and_ends_in_one_thing(task: Task) -> None:
    rule = TASKS[task]
    assert len(set(rule.steps)) == len(rule.steps)
    assert rule.purpose is None or rule.case is None
    if rule.purpose is not None or rule.case is not None:
        assert rule.steps[0] is Step.PERSON


@pytest.mark.parametrize("step", Step)
def test_every_step_says_how_it_is_asked(step: Step) -> None:
    rule = STEPS[step]
    assert (rule.kind == "choice") == bool(rule.options)
    assert (rule.kind == "photo") == (rule.role is not None)


@pytest.mark.parametrize("kind", CaseKind)
def test_every_case_has_a_task_that_takes_its_pictures(kind: CaseKind) -> None:
    (rule,) = [rule for rule in TASKS.values() if rule.case is kind]
    roles = {STEPS[step].role for step in rule.steps} - {None}
    assert (
        roles
        == {
            CaseKind.SPECIAL: {PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER},
            CaseKind.PROXY: {PhotoRole.AUTHORITY},
            CaseKind.EXCEPTION: set(),
            CaseKind.PHOTO_ENROLMENT: {PhotoRole.FACE},
        }[kind]
    )


def test_roles_open_their_own_tasks_only() -> None:
    assert Task.ENROL not in tasks_of((Role.WORKER,))
    assert Task.ENROL in tasks_of((Role.ENROLLER,))
    assert tasks_of(()) == ()


@pytest.mark.parametrize("role", Role)
def test_stick_status_and_check_are_for_everybody_who_may_sign_in(role: Role) -> None:
    assert {Task.COURIER, Task.STATUS, Task.COMMISSION} <= set(tasks_of((role,)))
    assert tasks_of((Role.TECHNICIAN,)) == (Task.COURIER, Task.STATUS, Task.COMMISSION)
