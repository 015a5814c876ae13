"""Days and months of the calendar, as rules count them."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

_MONTH_DAY = re.compile(r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")
_LEAP_YEAR = 2000
FOREVER = date.max
"""A day that does not come."""


def add_months(day: date, months: int) -> date:
    """Return the same day of the month `months` later, or that month's last day if it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def first_of_month(day: date, months: int = 0) -> date:
    """Return the first day of a day's month, or of the month `months` later."""
    return add_months(day.replace(day=1), months)


def months_between(first: date, last: date) -> int:
    """Return how many months there are from one first of a month up to another, that one not included; negative if it is earlier."""
    return (last.year - first.year) * 12 + last.month - first.month


def age_on(birth_date: date, day: date) -> int:
    """Return the age in whole years; who was born on 29 February grows older on 1 March of years without one."""
    before_birthday = (day.month, day.day) < (birth_date.month, birth_date.day)
    return day.year - birth_date.year - before_birthday


@dataclass(frozen=True, slots=True, order=True)
class MonthDay:
    """A day of every year."""

    month: int
    day: int

    def in_year(self, year: int) -> date:
        """Return it in a year; 29 February is the 28th of a year without one."""
        return date(year, self.month, min(self.day, calendar.monthrange(year, self.month)[1]))

    @classmethod
    def parse(cls, text: str) -> MonthDay:
        """Read `MM-DD`; raises ValueError."""
        found = _MONTH_DAY.match(text)
        if found is None:
            raise ValueError("a day of the year like 12-20 expected")
        month, day = int(found[1]), int(found[2])
        if day > calendar.monthrange(_LEAP_YEAR, month)[1]:
            raise ValueError(f"month {month} has no day {day}")
        return cls(month, day)

    def __str__(self) -> str:
        return f"{self.month:02d}-{self.day:02d}"


def _read(found: object) -> MonthDay:
    if isinstance(found, MonthDay):
        return found
    return MonthDay.parse(found if isinstance(found, str) else "")


def _schema(_source: Any, _handler: Any) -> core_schema.CoreSchema:
    text = core_schema.str_schema(pattern=_MONTH_DAY.pattern)
    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_after_validator_function(MonthDay.parse, text),
        # Not a union of schemas: one day that is wrong is one error.
        python_schema=core_schema.no_info_plain_validator_function(_read),
        serialization=core_schema.plain_serializer_function_ser_schema(str),
    )


YearDay = Annotated[MonthDay, GetPydanticSchema(_schema)]
"""A day of every year, written `MM-DD`."""
