"""What happened to a benefit, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from fleet.benefits.events import Event, body_of
from fleet.benefits.inspection import Inspected
from fleet.benefits.machine import Standing
from fleet.store.stops import Stage
from fleet.web.saying import filled
from fleet.web.texts import Texts

_PACK_BASIS = re.compile(r"([A-Z]{2,6}-[0-9]{4})/([0-9]{1,4})/[0-9-]+")
_STAGE_OF_STEPS = (Stage.PROPOSED, Stage.NOTICED, Stage.ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it reads."""

    number: int
    day: date
    sentence: str
    written: str
    """What a person wrote with it."""
    by: str
    link: str | None
    """Address of what it rests on, where that has a page."""


def events_told(group: Texts, found: Inspected, numbers: Mapping[str, str]) -> list[Told]:
    """Return what happened, the newest first.

    Args:
        group: texts of the pages of stops.
        found: the benefit.
        numbers: of the cases that events name, by their ids.
    """
    return [
        Told(
            each.number,
            each.event.day,
            filled(
                group,
                str(group["events"][each.kind]),
                {**_facts(each.event, group), "case": _case(each.event, group, numbers)},
            ),
            each.written,
            each.by,
            basis_link(str(getattr(each.event, "basis", ""))),
        )
        for each in reversed(found.happened)
    ]


def stage_of(found: Inspected) -> Stage | None:
    """Return how far a stop has come; None if nothing is proposed, stopped or was restored. As `fleet.store.stops` says it in SQL."""
    file = found.file
    if file.frozen_by:
        return Stage.FROZEN
    if file.proposal is None:
        if file.standing is not Standing.PAYING:
            return Stage.IN_FORCE
        return Stage.RESTORED if file.stops else None
    if file.proposal.approvals:
        return Stage.TO_CARRY_OUT if len(file.proposal.approvals) > 1 else Stage.SECOND
    if not file.proposal.missing():
        return Stage.FIRST
    steps = len(file.proposal.steps)
    return _STAGE_OF_STEPS[steps] if steps < len(_STAGE_OF_STEPS) else Stage.COMPARISON


def basis_link(basis: str) -> str | None:
    """Return the address of the pack that a stop came of; None where it came of something else."""
    named = _PACK_BASIS.fullmatch(basis)
    return None if named is None else f"/rules/packs/{named[1]}/{named[2]}"


def pack_named(group: Texts, named: re.Match[str]) -> str:
    """Return what a pack is called that a stop came of."""
    return str(group["basis_pack"]).format(pack=named[1], version=named[2])


def basis_word(group: Texts, basis: str) -> str:
    """Return what a stop rests on, where that is a pack; else nothing."""
    named = _PACK_BASIS.fullmatch(basis)
    return "" if named is None else pack_named(group, named)


def _case(event: Event, group: Texts, numbers: Mapping[str, str]) -> str:
    """Return the case that an event names; nothing for what has no number, such as a pass against a report."""
    number = numbers.get(str(getattr(event, "case_id", "")))
    return "" if number is None else str(group["case_named"]).format(number=number)


def _facts(event: Event, group: Texts) -> Mapping[str, object]:
    facts: dict[str, object] = {}
    for name, value in body_of(event).items():
        if name.endswith("_month"):
            facts[name] = str(value)[:7]
        elif isinstance(value, bool):
            facts[name] = f"{name}_{value}".lower()
        else:
            named = _PACK_BASIS.fullmatch(str(value)) if name == "basis" else None
            facts[name] = _plain(name, str(value)) if named is None else pack_named(group, named)
    return facts


def _plain(name: str, value: str) -> str:
    """Return a basis or a reason as a code: where it was written, and where it came of a report."""
    if name not in ("basis", "reason"):
        return value
    if value.startswith("written:"):
        return "written"
    is_id = name == "basis" and re.fullmatch(r"[0-9a-f]{16,64}", value) is not None
    return "report" if is_id else value
