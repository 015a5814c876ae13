"""Errors of the fleet, by what the caller can do about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from protocol.errors import Problem

Fact = str | int | float | date | Sequence[str]
"""What a sentence about an error names: a number, a day, a code, or several codes."""


class FleetError(Exception):
    """Anything the fleet reports to whoever called it.

    Its message is English, for the command line. Where people of another language may meet it, it has a `code` and `facts` as well, by
    which texts in every language say the same.
    """

    def __init__(self, message: str = "", *, code: str = "", **facts: Fact) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts

    @property
    def problem(self) -> Problem:
        """What is wrong, to be listed with other problems."""
        return Problem.of(self, self.code, self.facts)


class SettingsInvalid(FleetError):
    """Settings that cannot be used; every problem stands in `problems`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems), code="settings_unusable")
        self.problems = problems


class KeysMissing(FleetError):
    """The fleet's keys have not been made or cannot be read; run `lifecert-fleet init`."""


class DatabaseUnavailable(FleetError):
    """The database cannot be reached or cannot work now; try again later."""


class BrokerFailed(FleetError):
    """The embedded broker could not be started."""


class NotRenewed(FleetError):
    """A certificate of the fleet's own that is due cannot be renewed here; a person has to bring the next one."""


class AuthorityEnded(FleetError):
    """The authority that issues has ended, so nothing that it could issue would hold; it has to be renewed."""


class NotFound(FleetError):
    """What was named does not exist."""


class Refused(FleetError):
    """A request that must not be carried out as it stands."""


class ImportRefused(FleetError):
    """A file with bad rows; nothing of it was taken over. Every problem stands in `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


class PictureRefused(FleetError):
    """A picture from which no reference can be made."""


class StickUnusable(FleetError):
    """A courier stick that cannot be worked on; the message says what to do."""


class CheckFailed(FleetError):
    """What was to be checked is not what it should be; the message says where."""
