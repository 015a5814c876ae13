"""Working days: Monday to Friday, but for public holidays, and with the weekend days that are worked in their place. Pure.

Which days these are is announced for each year by the State Council, so they are data that the agency keeps (settings,
`privacy.calendar_file`); without it the end of a term is only near the true one, on either side.
"""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from fleet.errors import SettingsInvalid

_SATURDAY = 5


class Calendar(BaseModel):
    """Days that are other than their weekday says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holidays: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()
    """Saturdays and Sundays on which people work."""

    def is_worked(self, day: date) -> bool:
        """Return whether a day is a working day."""
        return day in self.worked or (day.weekday() < _SATURDAY and day not in self.holidays)

    def after(self, day: date, count: int) -> date:
        """Return the last of so many working days after a day, which itself does not count.

        Raises:
            ValueError: if the count is below 1.
        """
        if count < 1:
            raise ValueError(f"{count} working days: 1 or more expected")
        while count:
            day += timedelta(days=1)
            count -= self.is_worked(day)
        return day

    def count(self, since: date, until: date) -> int:
        """Return how many working days lie after a day, up to another one; 0 where that one is not later."""
        return sum(self.is_worked(since + timedelta(days=each)) for each in range(1, (until - since).days + 1))

    def knows(self, year: int) -> bool:
        """Return whether anything is said of a year."""
        return any(day.year == year for day in self.holidays | self.worked)


def load_calendar(path: Path | None) -> Calendar:
    """Read a calendar (TOML: `holidays` and `worked`, lists of dates); without a path one of weekends alone.

    Raises:
        SettingsInvalid: with what is wrong.
    """
    if path is None:
        return Calendar()
    try:
        return Calendar.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid([f"{path}: not TOML: {error}"]) from error
    except ValidationError as error:
        raise SettingsInvalid(
            [f"{path}: {e['loc'][0]}: {e['msg']}" for e in error.errors(include_input=False)]
        ) from error
