"""The steps of a task: how each is begun, what answers it, and what the last one leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from device.desk.commands import (
    Aim,
    BeginSession,
    CheckDate,
    ChoosePerson,
    FindPerson,
    FindPlaces,
    FindSticks,
    FindWitness,
    KeepPhoto,
    RunCourier,
    Search,
    StoreCase,
    TakePhoto,
)
from device.desk.state import BY_RECEIVER, NO_PLACE, NO_WITNESS, Desk, Move, home, rule_of, step_of
from device.desk.tasks import STEPS, TASKS, Step, TaskRule
from device.desk.view import CourierView, PhotoView, Problem, Screen, Touch, TouchKind
from protocol.cases import CaseReason, OtherWay, Relation
from protocol.policy import PathName
from protocol.references import LegalBasis
from protocol.staff import Role
from protocol.visits import VisitReason


def begin_step(desk: Desk, number: int) -> Move:
    """Show a step of the task, and look for what it needs."""
    rule = _rule(desk)
    desk = replace(
        desk,
        screen=Screen.STEP,
        step=number,
        problem=None,
        names=(),
        has_more_names=False,
        initials=(),
        search="",
        page=0,
        options=(),
        photo=None,
    )
    kind = STEPS[rule.steps[number]].kind
    aim = Aim(is_on=kind == "photo")
    match kind:
        case "person" if rule.steps[number] is Step.PERSON:
            return desk, (aim, Search("", 0))
        case "place":
            return desk, (aim, FindPlaces())
        case "stick":
            return desk, (aim, FindSticks())
        case "photo":
            return replace(desk, photo=PhotoView("ready")), (aim,)
        case _:
            return desk, (aim,)


def go_on(desk: Desk, **changes: Any) -> Move:
    """Take an answer and go on to the next step, or to what the task ends in."""
    desk = replace(desk, answers=replace(desk.answers, **changes))
    rule = _rule(desk)
    if desk.step + 1 < len(rule.steps):
        return begin_step(desk, desk.step + 1)
    return _finish(desk, rule)


def _finish(desk: Desk, rule: TaskRule) -> Move:
    answers, operator = desk.answers, desk.operator
    if operator is None:
        return home(desk)
    working = replace(desk, screen=Screen.WORKING, problem=None, photo=None)
    if rule.purpose is not None:
        return working, (
            Aim(is_on=False),
            BeginSession(
                operator=operator.operator_id,
                may_enrol=Role.ENROLLER in operator.roles,
                purpose=rule.purpose,
                path=answers.path,
                witness=answers.witness,
                visit_reason=answers.visit_reason,
                place=answers.place,
                legal_basis=answers.legal_basis or LegalBasis.STATUTE,
            ),
        )
    if rule.case is not None and answers.case_reason is not None:
        return working, (
            Aim(is_on=False),
            StoreCase(
                kind=rule.case,
                operator=operator.operator_id,
                reason=answers.case_reason,
                witness=answers.witness,
                place=answers.place,
                other_way=answers.other_way,
                newspaper_date=answers.newspaper_date,
                relation=answers.relation,
                legal_basis=answers.legal_basis,
            ),
        )
    return home(desk)


def _rule(desk: Desk) -> TaskRule:
    assert desk.task is not None, "a step belongs to a task"  # noqa: S101 - an invariant of the desk
    return TASKS[desk.task]


def touch_step(desk: Desk, touch: Touch) -> Move:
    """Take a touch on the page of a step."""
    if touch.kind is TouchKind.BACK:
        return begin_step(desk, desk.step - 1) if desk.step else home(desk)
    rule = rule_of(desk)
    handle = _BY_KIND.get((rule.kind, touch.kind)) if rule else None
    return handle(desk, touch) if handle else (desk, ())


def _step_number(desk: Desk, touch: Touch) -> Move:
    return desk, (FindPerson(touch.value, is_proxy=step_of(desk) is Step.PROXY_PERSON),)


def _step_search(desk: Desk, touch: Touch) -> Move:
    if step_of(desk) is not Step.PERSON:
        return desk, ()
    return replace(desk, search=touch.value, page=0), (Search(touch.value, 0),)


def _step_more(desk: Desk, _: Touch) -> Move:
    if not desk.has_more_names:
        return desk, ()
    return replace(desk, page=desk.page + 1), (Search(desk.search, desk.page + 1),)


def _step_person(desk: Desk, touch: Touch) -> Move:
    positions = {str(row.position): row.position for row in desk.names}
    return (desk, (ChoosePerson(positions[touch.value]),)) if touch.value in positions else (desk, ())


def _step_choice(desk: Desk, touch: Touch) -> Move:
    step, rule = step_of(desk), rule_of(desk)
    if step is None or rule is None or touch.value not in rule.options:
        return desk, ()
    name, kind = _CHOICES[step]
    return go_on(desk, **{name: kind(touch.value)})


def _step_place(desk: Desk, touch: Touch) -> Move:
    if touch.value not in {option.code for option in desk.options}:
        return desk, ()
    return go_on(desk, place=None if touch.value in {BY_RECEIVER, NO_PLACE} else touch.value)


def _step_witness(desk: Desk, touch: Touch) -> Move:
    if touch.value == NO_WITNESS:
        return go_on(desk, witness=None)
    worker = desk.operator.operator_id if desk.operator else ""
    return desk, (FindWitness(touch.value, worker),)


def _step_take(desk: Desk, _: Touch) -> Move:
    rule = rule_of(desk)
    if rule is None or rule.role is None or desk.photo is None or desk.photo.state == "taking":
        return desk, ()
    return replace(desk, photo=PhotoView("taking")), (TakePhoto(rule.role),)


def _step_keep(desk: Desk, _: Touch) -> Move:
    rule = rule_of(desk)
    if rule is None or rule.role is None or desk.photo is None or desk.photo.state != "taken":
        return desk, ()
    after, commands = go_on(desk)
    return after, (KeepPhoto(rule.role), *commands)


def _step_date(desk: Desk, touch: Touch) -> Move:
    try:
        # `fromisoformat` alone takes weeks and dates without hyphens, too.
        found = datetime.strptime(touch.value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day of the calendar, no moment
    except ValueError:
        return replace(desk, problem=Problem.DATE_UNREADABLE), ()
    return desk, (CheckDate(found),)


def _step_confirm(desk: Desk, _: Touch) -> Move:
    return go_on(desk)


def _step_stick(desk: Desk, touch: Touch) -> Move:
    if desk.courier is not None and desk.courier.state == "running":
        return desk, ()
    if touch.value not in {option.code for option in desk.options}:
        return desk, (FindSticks(),)
    return replace(desk, courier=CourierView("running")), (RunCourier(touch.value),)


_CHOICES: Mapping[Step, tuple[str, Callable[[str], Any]]] = {
    Step.PATH: ("path", PathName),
    Step.LEGAL_BASIS: ("legal_basis", LegalBasis),
    Step.VISIT_REASON: ("visit_reason", VisitReason),
    Step.CASE_REASON: ("case_reason", CaseReason),
    Step.OTHER_WAY: ("other_way", OtherWay),
    Step.RELATION: ("relation", Relation),
}

Handle = Callable[[Desk, Touch], Move]
_BY_KIND: Mapping[tuple[str, TouchKind], Handle] = {
    ("person", TouchKind.NUMBER): _step_number,
    ("person", TouchKind.SEARCH): _step_search,
    ("person", TouchKind.MORE): _step_more,
    ("person", TouchKind.PERSON): _step_person,
    ("choice", TouchKind.CHOOSE): _step_choice,
    ("place", TouchKind.CHOOSE): _step_place,
    ("witness", TouchKind.CHOOSE): _step_witness,
    ("photo", TouchKind.TAKE): _step_take,
    ("photo", TouchKind.KEEP): _step_keep,
    ("date", TouchKind.DATE): _step_date,
    ("confirm", TouchKind.CONFIRM): _step_confirm,
    ("stick", TouchKind.STICK): _step_stick,
}
