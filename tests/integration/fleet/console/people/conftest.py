"""A fleet with a tree of areas and people in it, as the pages of people are tried on."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fleet.audit.log import entries
from fleet.intake.people_table import SubjectRow
from fleet.intake.subjects import import_rows
from fleet.store.areas import Area, save_areas
from fleet.store.life_events import NewLifeEvent, add_life_events
from fleet.store.subjects import Benefit
from protocol.documents import check_digit, parse_document
from protocol.rules.life import LifeEventKind

TREE = [
    Area("P", None, 1, "青山省"),
    Area("C", "P", 2, "河口市"),
    Area("east", "C", 3, "东县"),
    Area("west", "C", 3, "西县"),
    Area("T1", "east", 4, "东镇"),
    Area("T2", "west", 4, "西镇"),
    Area("V1", "T1", 5, "东一村"),
    Area("V2", "T1", 5, "东二村"),
    Area("V3", "T2", 5, "西一村"),
]


class Town:
    """A fleet with a tree of areas and people in it."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.serial = 0
        with office.database.begin() as connection:
            save_areas(connection, TREE)

    @staticmethod
    def number_of(serial: int) -> str:
        """The document number of the person who was added as the so manieth."""
        digits = f"99999919400101{serial:03d}"
        return digits + check_digit(digits)

    def add(self, name: str, area: str = "V1", *, scheme: str = "enterprise_pension", unit: str | None = None) -> str:
        self.serial += 1
        benefit = Benefit(scheme, area, "retired", date(2001, 7, 1), unit)
        row = SubjectRow(self.serial, parse_document(self.number_of(self.serial)), name, area, benefit)
        zone = self.office.settings.zone()
        done = import_rows(self.office.database, self.office.keys, [row], now=self.office.now, zone=zone)
        return done.subject_ids[0]

    def add_many(self, count: int, area: str = "V1") -> list[str]:
        return list(self.office.import_people(count, area=area, first=500, name="众").subject_ids)

    def report(self, subject_id: str, kind: LifeEventKind = LifeEventKind.DEATH, *, confirmed: bool = False) -> str:
        new = NewLifeEvent(subject_id, kind, date(2026, 11, 1), None, "family", f"{kind}", confirmed)
        with self.office.database.begin() as connection:
            return next(iter(add_life_events(connection, [new], now=self.office.now)))

    def actions(self, subject_id: str) -> list[str]:
        with self.office.database.begin() as connection:
            return [each.action for each in entries(connection, object_kind="subject", object_id=subject_id)]


@pytest.fixture
def town(office: Any) -> Town:
    return Town(office)
