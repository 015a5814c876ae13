"""Feeds are data."""

from __future__ import annotations

import pytest

from fleet.errors import ImportRefused
from fleet.exchange.definitions import Body, catalogue, read_definition, written
from protocol.errors import Problem
from protocol.rules.life import LifeEventKind


def test_r8_3_every_partner_body_has_a_feed() -> None:
    # 交通、公安、民政、司法、金融、衛生健康、醫療保險
    named = {
        Body.TRANSPORT,
        Body.POLICE,
        Body.CIVIL_AFFAIRS,
        Body.JUSTICE,
        Body.FINANCE,
        Body.HEALTH,
        Body.MEDICAL_INSURANCE,
    }
    assert named <= {feed.body for feed in catalogue().feeds.values() if "R8-3" in feed.rules}


def test_r8_4_every_kind_of_life_event_has_a_feed_and_words() -> None:
    assert {kind for feed in catalogue().feeds.values() for kind in feed.kinds} == set(LifeEventKind)
    assert set(catalogue().kinds) == set(LifeEventKind)


def test_r8_12_internal_data_are_feeds_too_and_confirm_no_death() -> None:
    own = [feed for feed in catalogue().feeds.values() if feed.body is Body.HUMAN_RESOURCES]
    assert len(own) == 2
    assert not any(feed.confirms for feed in own)
    assert catalogue().feeds["nonlocal_care"].rules == ("R8-12",)


def test_r8_10_villages_report_by_themselves_and_do_not_confirm() -> None:
    feed = catalogue().feeds["village_deaths"]
    assert (feed.area_level, feed.confirms, feed.kinds) == (5, False, (LifeEventKind.DEATH, LifeEventKind.BURIAL))


def test_words_are_known_by_every_name() -> None:
    assert catalogue().event_kind("火葬") is LifeEventKind.CREMATION
    assert catalogue().event_kind("cremation") is LifeEventKind.CREMATION
    assert catalogue().event_kind("?") is None
    code = catalogue().feeds["exit_entry"].code
    assert code is not None
    assert [code.code_of(word) for word in ("出境", "entry", "?")] == ["exit", "entry", None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kinds = [", "not TOML"),
        ('title = {zh = "x", en = "x"}\nbody = "police"\nkinds = []\nconfirms = true', "kinds"),
        ('title = {zh = "x", en = "x"}\nbody = "nobody"\nkinds = ["death"]\nconfirms = true', "body"),
        (
            (
                'title = {zh = "x", en = "x"}\nbody = "police"\nkinds = ["death"]\nconfirms = true\narea_level = 5\n'
                'cycle = "as_it_happens"'
            ),
            "areas report by the month",
        ),
        (
            (
                'title = {zh = "x", en = "x"}\nbody = "police"\nkinds = ["death"]\nconfirms = true\n'
                '[code]\nname = "c"\nheadings = ["c"]\nwords = {a = []}\nno_event = ["b"]'
            ),
            "a code that has no words",
        ),
    ],
)
def test_a_definition_that_cannot_be_used_is_refused_with_its_key(text: str, said: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        read_definition(text.encode())
    assert any(said in problem for problem in refused.value.problems)
    assert all(isinstance(problem, Problem) and problem.code for problem in refused.value.problems)


@pytest.mark.parametrize("name", sorted(catalogue().feeds))
def test_a_definition_that_is_written_reads_the_same(name: str) -> None:
    definition = catalogue().feeds[name]
    assert read_definition(written(definition).encode()) == definition
