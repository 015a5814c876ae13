"""Every rule of the sources has a line in docs/domain.md and a test that names it, and every number of theirs is what the code does."""

from __future__ import annotations

import ast
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from device.desk.tasks import STEPS, TASKS, Task
from fleet.api.certifications import CertificationForm
from fleet.benefits.months import fine_bounds, is_without_trace, losses
from fleet.benefits.reports import report_clocks
from fleet.cases.catalogue import catalogue as case_catalogue
from fleet.cases.machine import Kind
from fleet.exchange.cycles import standing_on
from fleet.exchange.definitions import catalogue
from fleet.intake.areas import tree_problems
from fleet.intake.categories import categories, categories_of, takes_certificate
from fleet.intake.photo_judging import Reason, demands_of, faults_before, faults_of
from fleet.store.areas import Area
from protocol.cases import PhotoRole
from protocol.photo_files import CheckName, PhotoFileCheck, PhotoReport
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.days import add_months
from protocol.rules.life import ENDING, SUSPENDING, LifeEvent, LifeEventKind, first_unpaid_month
from protocol.rules.obligations import Entitled, Obligation, obligation
from protocol.rules.pack import RulePack
from protocol.shipped_packs import SHIPPED, shipped_pack

ROOT = Path(__file__).parents[2]
PARTS = {1: 20, 2: 14, 3: 13, 4: 28, 5: 8, 6: 10, 7: 19, 8: 15, 9: 4}
"""How many rules each part of the sources has."""
RULES = [f"R{part}-{number}" for part, count in PARTS.items() for number in range(1, count + 1)]
NAMED = re.compile(r"(?<![a-z0-9])r([0-9]+)_([0-9]+)(?![a-z0-9])")
"""A rule in the name of a test: `r7_9`."""
OLD = Entitled(date(2001, 3, 1), date(1940, 2, 29))


def lines_of_the_page() -> list[str]:
    text = (ROOT / "docs" / "domain.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (R[0-9]+-[0-9]+) \| .*\S \| [A-Z, ]+ \| .*\S \|$", text, re.MULTILINE)


def rules_in_names() -> dict[str, list[str]]:
    """Return the tests by the rules that they name."""
    found: dict[str, list[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for part, number in NAMED.findall(node.name.replace("_r", " r")):
                    found.setdefault(f"R{part}-{number}", []).append(f"{path.name}::{node.name}")
    return found


def test_every_rule_of_the_sources_has_one_line_in_the_page() -> None:
    assert Counter(lines_of_the_page()) == Counter(RULES)
    assert lines_of_the_page() == RULES


def test_every_rule_is_named_by_a_test_and_no_test_names_one_that_is_none() -> None:
    named = rules_in_names()
    assert [rule for rule in RULES if rule not in named] == []
    assert {rule: tests for rule, tests in named.items() if rule not in RULES} == {}


@pytest.mark.parametrize(
    "path",
    [
        "fleet/intake/categories.toml",
        "fleet/exchange/feeds.toml",
        *(f"protocol/rules/packs/{pack_id}.toml" for pack_id in SHIPPED),
    ],
)
def test_data_name_no_rule_that_is_none(path: str) -> None:
    named = set(re.findall(r"R[0-9]+-[0-9]+", (ROOT / path).read_text(encoding="utf-8")))
    assert named
    assert named <= set(RULES)


SYSTEMS = dict(enumerate((7, 10, 5, 6, 4, 9, 4, 4, 6, 3, 1, 9, 4, 6, 5, 9), start=1))
"""How many features each of the sixteen systems of the sources has."""
SYSTEM_ROW = re.compile(
    r"^\| S([0-9]+)[^|]* \| [^|]+ \| (?:works|otherwise|partly|not here) \| [^|]+ \| ([R0-9, -]+) \|$", re.MULTILINE
)


def test_every_feature_of_the_sixteen_systems_has_a_row_that_says_how_it_is_done_here() -> None:
    rows = SYSTEM_ROW.findall((ROOT / "docs" / "features.md").read_text(encoding="utf-8"))
    assert Counter(int(system) for system, _ in rows) == SYSTEMS
    assert [int(system) for system, _ in rows] == sorted(int(system) for system, _ in rows)
    assert {rule for _, rules in rows for rule in rules.split(", ")} <= set(RULES)


# The numbers of the sources, one test for each.


def asked(pack: RulePack | str, *days: str, kind: ActKind = ActKind.LIVE) -> Obligation:
    acts = [Act(day, date.fromisoformat(day), kind, Channel.TERMINAL) for day in days]
    return obligation(shipped_pack(pack) if isinstance(pack, str) else pack, OLD, acts)


def report(width: int, height: int, *failed: CheckName) -> PhotoReport:
    names: tuple[CheckName, ...] = ("one_face", "whole_face", "white_ground", "bare_head")
    checks = tuple(PhotoFileCheck(name=name, passed=name not in failed, found=0.5, asked=0.9) for name in names)
    return PhotoReport(sha256="0" * 64, width_px=width, height_px=height, checks=checks, features=None)


def reasons(pack_id: str, found: PhotoReport) -> set[Reason]:
    return {fault.reason for fault in faults_of(found, demands_of([shipped_pack(pack_id)]), {})}


def test_r2_3_three_months_lie_between_two_passes() -> None:
    for first, early, counts in (
        ("2019-06-15", "2019-09-14", "2019-09-15"),
        ("2019-05-31", "2019-08-30", "2019-08-31"),
    ):
        assert asked("LZ-2019", first, early).due == date(2019, 12, 31)
        assert asked("LZ-2019", first, counts).due == date(2020, 6, 30)


def test_r2_5_twelve_months_at_most_since_the_last_pass() -> None:
    for last in ("2018-08-01", "2019-12-31", "2020-02-29"):
        assert asked("SX-2018", last).due == add_months(date.fromisoformat(last), 12)


def test_r2_1_twice_a_year() -> None:
    """Whoever comes on the last day of each period comes twice in a calendar year, in one year as in another."""
    days: list[str] = []
    while len(days) < 6:
        days.append(str(asked("LZ-2019", *days).due))
    assert Counter(day[:4] for day in days) == {"2019": 2, "2020": 2, "2021": 2}


def test_r6_2_an_appeal_is_answered_within_fourteen_days() -> None:
    assert {shipped_pack(pack_id).clocks.review_days for pack_id in SHIPPED} == {14}


def test_r8_1_r8_2_seven_days_for_the_family_and_three_for_the_unit() -> None:
    died = date(2018, 8, 1)
    for pack_id in SHIPPED:
        clocks = shipped_pack(pack_id).clocks
        for family, unit, late in ((7, 3, (0, 0)), (8, 3, (1, 0)), (7, 4, (0, 1))):
            told = died + timedelta(days=family)
            found = report_clocks(died, told, told + timedelta(days=unit), is_passed_on=True, clocks=clocks)
            assert found.unit is not None
            assert (found.family.late_days, found.unit.late_days) == late


@pytest.mark.parametrize(
    ("pack_id", "year", "last_paid", "first_day"),
    [
        ("LZ-2019", 2019, date(2019, 12, 20), date(2019, 12, 21)),  # R7-1: 20 December
        ("SJZ-2017", 2017, date(2017, 11, 30), date(2017, 12, 1)),  # R7-3: 1 December
        ("GZ-2018", 2018, date(2018, 6, 30), date(2018, 7, 1)),  # R7-4: 1 July
    ],
)
def test_r7_1_r7_3_r7_4_stops_after_20_december_and_from_1_december_and_1_july(
    pack_id: str, year: int, last_paid: date, first_day: date
) -> None:
    stop_from = asked(pack_id, f"{year - 1}-12-20").stop_from
    assert stop_from == first_day
    assert stop_from - timedelta(days=1) == last_paid


@pytest.mark.parametrize("kind", sorted(ENDING | SUSPENDING))
def test_r7_9_payment_ends_with_the_month_after_the_loss(kind: LifeEventKind) -> None:
    for lost, unpaid in ((date(2020, 12, 31), date(2021, 1, 1)), (date(2020, 2, 1), date(2020, 3, 1))):
        assert first_unpaid_month(lost) == unpaid
        assert [span.first for span in losses([LifeEvent(kind, lost)])] == [unpaid]


def test_r1_14_640_by_480_and_not_a_pixel_less() -> None:
    for width, height, is_enough in ((480, 640, True), (640, 480, True), (479, 640, False), (480, 639, False)):
        assert (Reason.RESOLUTION not in reasons("SJZ-2017", report(width, height))) is is_enough


def test_r1_17_two_megabytes_and_jpg() -> None:
    demands = demands_of([shipped_pack("LZ-2019")])
    assert faults_before(2 * 1024 * 1024, is_jpeg=True, demands=demands) == []
    assert [each.reason for each in faults_before(2 * 1024 * 1024 + 1, is_jpeg=True, demands=demands)] == [Reason.BYTES]
    assert [each.reason for each in faults_before(1, is_jpeg=False, demands=demands)] == [Reason.FORMAT]


def test_r1_13_two_inches_on_white() -> None:
    two_inches = report(35 * 20, 49 * 20)
    assert {Reason.PROPORTIONS, Reason.WHITE_GROUND} & reasons("SJZ-2017", two_inches) == set()
    assert shipped_pack("SJZ-2017").photos.size_inches == 2
    assert Reason.PROPORTIONS in reasons("SJZ-2017", report(700, 700))
    assert Reason.WHITE_GROUND in reasons("SJZ-2017", report(700, 980, "white_ground"))


def test_r1_18_two_photographs_the_card_and_the_person_with_a_newspaper() -> None:
    taken = [STEPS[step].role for step in TASKS[Task.SPECIAL].steps if STEPS[step].kind == "photo"]
    assert taken == [PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER]
    assert list(case_catalogue().needs[Kind.SPECIAL]) == [str(role) for role in taken]
    assert shipped_pack("LZ-2019").photos.special_photographs == len(taken)


def test_r7_14_more_than_three_months_without_a_trace() -> None:
    recovery = shipped_pack("SJZ-2017").recovery
    stopped = date(2017, 12, 1)
    assert not is_without_trace(stopped, None, date(2018, 3, 1), recovery)
    assert is_without_trace(stopped, None, date(2018, 3, 2), recovery)
    assert not is_without_trace(stopped, date(2018, 1, 5), date(2018, 3, 2), recovery)


def test_r7_18_a_fine_of_two_to_five_times_what_was_claimed() -> None:
    assert fine_bounds(Decimal("1000.10"), shipped_pack("SX-2018").recovery) == (Decimal("2000.20"), Decimal("5000.50"))


def test_r8_7_r8_9_deaths_cremations_sentences_and_releases_come_every_month() -> None:
    monthly = {kind for feed in catalogue().feeds.values() if feed.cycle == "monthly" for kind in feed.kinds}
    assert {
        LifeEventKind.DEATH,
        LifeEventKind.CREMATION,
        LifeEventKind.BURIAL,
        LifeEventKind.SENTENCE,
        LifeEventKind.RELEASE,
    } <= monthly
    one_lacks = standing_on(date(2018, 8, 1), [date(2018, 8, 1), date(2018, 10, 1)], 10, date(2018, 11, 11))
    assert one_lacks.missing == (date(2018, 9, 1),)


@pytest.mark.parametrize(
    ("scheme", "category", "rule"),
    [("工伤保险", "五级六级工伤", "R3-3"), ("工伤保险", "一至四级工伤", "R3-10")],
)
def test_r3_3_r3_10_grades_one_to_four_and_five_and_six(scheme: str, category: str, rule: str) -> None:
    assert rule in {found.rule for found in categories_of(scheme, category)}
    assert takes_certificate(scheme, category)


def test_r3_5_r3_6_r3_7_r3_8_r3_9_huzhou_has_five_classes() -> None:
    classes = [found for found in categories() if found.rule in {f"R3-{number}" for number in range(5, 10)}]
    assert len(classes) == 5
    pack = shipped_pack("HZ-2020")
    for found in classes:
        assert all(pack.covers(scheme, "", frozenset({"33", "3305"})) for scheme in found.schemes)
    assert {scheme for found in classes for scheme in found.schemes} == set(pack.schemes)
    assert not pack.covers("农转居养老保险", "", frozenset({"33", "3305"}))


def test_r4_26_five_levels_of_areas_and_no_sixth() -> None:
    tree = {str(level): Area(str(level), str(level - 1) if level > 1 else None, level, "area") for level in range(1, 6)}
    assert tree_problems(tree, {}) == []
    for feed in catalogue().feeds.values():
        assert feed.area_level is None or 1 <= feed.area_level <= 5


def test_r4_15_no_telephone_is_too_old_for_what_another_app_certified() -> None:
    """Android 4.0 and later is the other app's own affair: what it sends says nothing of the telephone."""
    assert set(CertificationForm.model_fields) == {
        "id",
        "person",
        "modality",
        "channel",
        "certified_at",
        "liveness",
        "comparison",
    }
    pack = shipped_pack("GZ-2018")
    act = Act("a", date(2018, 6, 20), ActKind.ACCEPTED, Channel.APP)
    assert obligation(pack, OLD, [act]).due == date(2019, 6, 20)
