from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from protocol.errors import Malformed
from protocol.rules.pack import MAX_PACK_BYTES, PackMalformed, RulePack, parse_pack
from protocol.rules.shelf import Shelf, ancestors_in, problems_of
from protocol.shipped_packs import SHIPPED, default_pack, shipped_pack, shipped_text

Varied = Callable[..., RulePack]
PARENTS = {"14": None, "1401": "14", "140105": "1401", "6201": "62", "62": None, "3305": "33"}
ABOVE = ancestors_in(PARENTS)


def shelf(*packs: RulePack) -> Shelf:
    return Shelf(packs, default_pack())


def test_areas_above_one() -> None:
    assert ABOVE("140105") == {"140105", "1401", "14"}
    assert ABOVE("unknown") == {"unknown"}


def test_a_tree_that_bites_its_tail_ends() -> None:
    assert ancestors_in({"a": "b", "b": "a"})("a") == {"a", "b"}


def test_the_packs_of_a_benefit_are_those_of_its_region_and_scheme() -> None:
    held = shelf(*(shipped_pack(pack_id) for pack_id in SHIPPED))
    day = date(2026, 11, 28)
    found = held.packs_for("工伤保险", "伤残津贴", frozenset({"6201", "62"}), day)
    assert [pack.pack_id for pack in found] == ["LZ-2019"]
    assert [pack.pack_id for pack in held.packs_for("x", "y", ABOVE("140105"), day)] == ["SX-2018"]


def test_several_packs_can_hold_for_one_benefit(varied: Varied) -> None:
    own = varied("LZ-2019", pack_id="TY-2020", region="1401", schemes=["*"], categories=[])
    found = shelf(own, shipped_pack("SX-2018")).packs_for("x", "y", ABOVE("140105"), date(2026, 1, 1))
    assert [pack.pack_id for pack in found] == ["SX-2018", "TY-2020"]


def test_where_no_pack_holds_the_default_one_does() -> None:
    assert shelf().packs_for("x", "y", frozenset({"east"}), date(2026, 1, 1)) == (default_pack(),)
    only = shelf(shipped_pack("LZ-2019"))
    assert only.packs_for("工伤保险", "伤残津贴", frozenset({"6201"}), date(2018, 12, 31)) == (default_pack(),)


def test_the_newest_version_that_has_begun_holds(varied: Varied) -> None:
    second = varied("LZ-2019", version=2, valid_from="2021-01-01", valid_until="2022-12-31")
    held = shelf(shipped_pack("LZ-2019"), second)
    assert [pack.version for pack in held.on(date(2020, 12, 31))] == [1]
    assert [pack.version for pack in held.on(date(2021, 1, 1))] == [2]
    # A pack whose time is over is not followed by the version before it.
    assert held.on(date(2023, 1, 1)) == ()
    assert held.find("LZ-2019", 2) is second
    assert held.find("LZ-2019", 3) is None


def test_all_shipped_packs_fit_together() -> None:
    held: list[RulePack] = []
    for pack_id in SHIPPED:
        assert problems_of(shipped_pack(pack_id), shelf(*held), ABOVE) == []
        held.append(shipped_pack(pack_id))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 1}, "version 1 is in force; the next one is 2"),
        ({"version": 3, "valid_from": "2023-01-01"}, "the next one is 2"),
        ({"version": 2, "valid_from": "2019-01-01"}, "it would never hold; let it begin later"),
        ({"version": 2, "valid_from": "2022-06-01"}, "overlaps version 1, which holds until 2022-12-31"),
        ({"version": 2, "valid_from": "2023-02-01"}, "leaves a gap from 2023-01-01 to 2023-01-31"),
        ({"version": 2, "valid_from": "2023-01-01", "region": "62"}, "give it another id"),
    ],
)
def test_versions_follow_each_other_without_gap_or_overlap(
    changes: dict[str, object], problem: str, varied: Varied
) -> None:
    first = varied("LZ-2019", valid_until="2022-12-31")
    (found,) = problems_of(varied("LZ-2019", **changes), shelf(first), ABOVE)
    assert problem in found


def test_a_next_version_that_fits_has_no_problem(varied: Varied) -> None:
    first = varied("LZ-2019", valid_until="2022-12-31")
    assert problems_of(varied("LZ-2019", version=2, valid_from="2023-01-01"), shelf(first), ABOVE) == []
    # The first one has no last day: it ends where the second begins.
    assert (
        problems_of(varied("LZ-2019", version=2, valid_from="2023-01-01"), shelf(shipped_pack("LZ-2019")), ABOVE) == []
    )


def test_r2_11_a_window_below_a_region_that_forbids_them_is_a_contradiction(varied: Varied) -> None:
    city = varied("SJZ-2017", pack_id="TY-2020", region="1401")
    (found,) = problems_of(city, shelf(shipped_pack("SX-2018")), ABOVE)
    assert "TY-2020: has a fixed window, which SX-2018 forbids" in found
    (found,) = problems_of(shipped_pack("SX-2018"), shelf(city), ABOVE)
    assert "TY-2020: has a fixed window, which SX-2018 forbids" in found


def test_two_packs_that_say_the_same_kind_of_thing_about_the_same_people_do_not_fit(varied: Varied) -> None:
    other = varied("LZ-2019", pack_id="LZ-2020", cycle={"kind": "half_years", "gap_reading": "month"})
    (found,) = problems_of(other, shelf(shipped_pack("LZ-2019")), ABOVE)
    assert "says of the same people what LZ-2019 says" in found
    assert problems_of(other.model_copy(update={"categories": ("其他",)}), shelf(shipped_pack("LZ-2019")), ABOVE) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('kind = "half_years"', 'kind = "weekly"', "cycle"),
        ('from_day = "12-21"', 'from_day = "13-21"', "stop.from_day"),
        ('from_day = "12-21"', "", "exactly one of from_day and months_after_due"),
        (
            'counts = ["live", "enrolment", "special", "accepted"]',
            'counts = ["live", "silent"]',
            "silent if and only if",
        ),
        (
            "valid_from = 2019-01-01",
            "valid_from = 2019-01-01\nvalid_until = 2018-12-31",
            "valid_until is before valid_from",
        ),
        ("version = 1", "version = 0", "version"),
        ("version = 1", "version = 1\nwhat = 2", "what"),
        ('sources = [\n  "R1-1"', 'sources = [\n  "Q1"', "sources"),
    ],
)
def test_a_wrong_pack_is_refused_with_the_key_that_is_wrong(old: str, new: str, problem: str) -> None:
    written = shipped_text("LZ-2019")
    assert old in written
    with pytest.raises(Malformed, match=problem.replace(".", r"\.")):
        parse_pack(written.replace(old, new))


def test_all_wrong_keys_are_named_at_once() -> None:
    written = shipped_text("LZ-2019").replace("version = 1", "version = 0").replace("gap_months = 3", "gap_months = 9")
    with pytest.raises(Malformed, match=r"version.*gap_months"):
        parse_pack(written)


FAULTS = (
    ('closes = "06-20"', 'closes = "13-40"', "cycle.closes: a day of the year like 12-20 expected"),
    ('closes = "06-20"', 'closes = "02-31"', "cycle.closes: month 2 has no day 31"),
    ('closes = "06-20"', 'closes = "06-20"\ncloze = 1', "cycle.cloze: unknown key; did you mean closes?"),
    ("version = 1", 'version = 1\nhelpline = "x"', "helpline: unknown key; did you mean help_line?"),
    ("version = 1", "version = 1\nqqq = 2", "qqq: unknown key"),
    ("version = 1", 'version = "first"', "version: a whole number expected"),
    ("version = 1", "", "version: is missing"),
    ("version = 1", "version = 10000", "version: at most 9999 expected"),
    ("version = 1", "version = 0", "version: at least 1 expected"),
    ('kind = "annual_window"', "", "cycle: kind: one of the kinds that the schema has expected"),
    ('"special", "accepted"]', '"special", "seen"]', "counts (place 4): 'live', 'enrolment', 'special', 'silent' or"),
    ('"R1-6"', '"6"', "sources (place 1): the id of a rule like R2-5 expected"),
    ("valid_from = 2018-01-01", 'valid_from = "soon"', "valid_from: a date like 2026-11-01 expected"),
)


@pytest.mark.parametrize(("old", "new", "said"), FAULTS)
def test_each_fault_of_a_pack_is_one_sentence_in_plain_words(old: str, new: str, said: str) -> None:
    written = shipped_text("GZ-2018")
    assert old in written
    with pytest.raises(PackMalformed) as refused:
        parse_pack(written.replace(old, new, 1))
    (found,) = refused.value.problems
    assert found.startswith(said)
    assert not any(word in found for word in ("is-instance", "function-", "Input", "inputs", "[")), found


def test_what_is_no_toml_or_too_long_is_refused() -> None:
    with pytest.raises(Malformed, match="not TOML"):
        parse_pack("pack_id = ")
    with pytest.raises(Malformed, match="at most"):
        parse_pack("#" * (MAX_PACK_BYTES + 1))


def test_points_are_for_signs_of_life_only() -> None:
    with pytest.raises(Malformed, match="no sign of life: death"):
        parse_pack(shipped_text("SX-2018").replace("points = { travel = 1", "points = { death = 1"))
