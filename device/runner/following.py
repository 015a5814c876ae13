"""What the desk is told of a session: whether somebody is served, which line is said, which lamp shines."""

from __future__ import annotations

from dataclasses import replace

from device.desk.events import Service, ServiceMoved
from device.session.commands import Command, Prompt, SetLamp
from device.session.machine import SEEING, Session, State
from protocol.challenge import Action

_ACTIONS = frozenset(Action)
_SERVICE = {
    State.IDLE: Service.FREE,
    State.REPORTING: Service.REPORTING,
    State.FAULTED: Service.OUT_OF_ORDER,
}


def follow(
    before: ServiceMoved, session: Session, commands: tuple[Command, ...], *, has_started: bool
) -> ServiceMoved | None:
    """Return what a step of a session means for the desk, None where nothing new is to be seen.

    Args:
        before: what was returned last.
        session: after the step.
        commands: of the step.
        has_started: whether the terminal is past its start.
    """
    said = [command.line for command in commands if isinstance(command, Prompt)]
    lamps = [command.lamp for command in commands if isinstance(command, SetLamp)]
    line = said[-1].value if said else None
    action = before.action if line is None else (line if line in _ACTIONS else None)
    moved = ServiceMoved(
        _SERVICE.get(session.state, Service.BUSY) if has_started else Service.STARTING,
        line=line,
        action=action if session.state is State.CHALLENGING else None,
        lamp=lamps[-1].value if lamps else before.lamp,
        is_seen=session.state in SEEING,
    )
    # A session steps with every frame, the desk only when something is to be seen.
    return None if moved == replace(before, line=None) else moved
