"""Who answers for what was done at a terminal: is an operator or a witness known, and was he in service at that moment?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.admission.moments import Bracket
from protocol.staff import Role

_SEPARATORS = "-/."
"""Where a part of an area's name ends."""


@dataclass(frozen=True, slots=True)
class KnownOperator:
    """What the fleet knows of an operator."""

    roles: frozenset[Role]
    area: str
    """Serves the terminals of this area and of all its parts; empty: of the whole fleet."""
    since: datetime
    expires_at: datetime
    """The end of the last day of validity."""
    retired_at: datetime | None

    def is_in_service(self, bracket: Bracket) -> bool:
        """Return whether the operator certainly was in service when something happened, whichever moment of the bracket it was."""
        if bracket.latest < self.since or bracket.latest >= self.expires_at:
            return False
        return self.retired_at is None or bracket.latest < self.retired_at


@dataclass(frozen=True, slots=True)
class KnownStaff:
    """What the fleet knows of those who may have been at one terminal."""

    area: str
    """The terminal's."""
    operators: Mapping[str, KnownOperator] = field(default_factory=dict)
    """By id, of those that are asked about."""
    since: datetime | None = None
    """From when on the terminal's area has operators; None where it has none, and then witnesses cannot be looked up."""

    def may_enrol(self, operator_id: str | None, bracket: Bracket) -> bool:
        """Return whether this operator may make references at this terminal at this moment."""
        found = None if operator_id is None else self.operators.get(operator_id)
        return found is not None and Role.ENROLLER in found.roles and self.may_serve(operator_id, bracket)

    def may_serve(self, operator_id: str | None, bracket: Bracket) -> bool:
        """Return whether this operator was in service at this terminal at this moment, whatever for."""
        found = None if operator_id is None else self.operators.get(operator_id)
        return found is not None and covers(found.area, self.area) and found.is_in_service(bracket)

    def is_unfit(self, operator_id: str, bracket: Bracket) -> bool:
        """Return whether whoever was signed in served at a terminal that was not theirs; of a time without any operators nobody can say."""
        has_operators = self.since is not None and bracket.latest >= self.since
        return has_operators and not self.may_serve(operator_id, bracket)

    def vouches(self, witness_id: str, bracket: Bracket) -> bool:
        """Return whether this witness may be believed: known and in service, or of a time or an area without any operators."""
        if self.since is None or bracket.latest < self.since:
            return True
        found = self.operators.get(witness_id)
        return found is not None and found.is_in_service(bracket)


def covers(area: str, other: str) -> bool:
    """Return whether an area is another one or has it as a part.

    Areas are parts of one another by their names: the codes of administrative divisions (GB/T 2260) are digits, each level lengthening
    the one above; in other names a part follows after a hyphen, a slash or a dot. The empty area is the whole fleet.
    """
    if not area or area == other:
        return True
    if not other.startswith(area):
        return False
    return (area.isdigit() and other.isdigit()) or area[-1] in _SEPARATORS or other[len(area)] in _SEPARATORS
