"""What cannot both be so is shown."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fleet.status.contradictions import ContradictionKind, find
from fleet.status.losses import Reported
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.life import LifeEvent, LifeEventKind

K = LifeEventKind
DAY = date(2026, 3, 5)


def said(kind: LifeEventKind, days: int = 0, *, name: str = "", source: str = "feed:x", received: int = 30) -> Reported:
    day = DAY + timedelta(days=days)
    name = name or f"{kind}{days}"
    return Reported(name, LifeEvent(kind, day), source, name, True, DAY + timedelta(days=received))


def act(days: int, kind: ActKind = ActKind.LIVE) -> Act:
    return Act(f"a{days}", DAY + timedelta(days=days), kind, Channel.TERMINAL)


def kinds(reports: list[Reported], *acts: Act) -> list[str]:
    return [each.kind.value for each in find("s", reports, acts)]


def test_r8_7_two_days_of_death_are_shown_with_both_sides() -> None:
    (found,) = find("s", [said(K.DEATH, source="feed:deaths"), said(K.DEATH, 2, source="family", received=40)], [])
    assert found.kind is ContradictionKind.DEATH_DAYS
    assert {(side.source, side.day) for side in (found.first, found.second)} == {
        ("feed:deaths", DAY),
        ("family", DAY + timedelta(days=2)),
    }
    assert found.first.is_loss
    assert found.since == DAY + timedelta(days=40), "from when on both were known"


def test_r8_7_two_sources_that_agree_do_not_contradict() -> None:
    assert kinds([said(K.DEATH, name="a"), said(K.DEATH, name="b"), said(K.CREMATION, 3), said(K.BURIAL, 0)]) == []


def test_r8_7_cremated_before_the_death_is_shown() -> None:
    assert kinds([said(K.DEATH), said(K.CREMATION, -1)]) == ["death_order"]


def test_r8_8_a_death_after_a_court_declared_it_is_shown() -> None:
    assert kinds([said(K.DEATH, 500), said(K.DECLARED_DEAD)]) == ["death_order"]


def test_r8_5_a_sign_of_life_after_a_death_is_shown() -> None:
    assert kinds([said(K.DEATH), said(K.TRAVEL, 1)]) == ["alive_after_death"]
    assert kinds([said(K.DEATH), said(K.HOSPITAL, 0)]) == [], "died on the day of admission"


def test_a_pass_at_a_terminal_after_a_death_is_shown() -> None:
    assert kinds([said(K.DEATH)], act(1)) == ["alive_after_death"]
    assert kinds([said(K.DEATH)], act(0), act(-5)) == []
    assert kinds([said(K.DEATH)], act(1, ActKind.SILENT)) == [], "it is made of reports, which contradict by themselves"


def test_r8_8_somebody_missing_who_is_seen_is_shown() -> None:
    assert kinds([said(K.MISSING), said(K.HOSPITAL, 4)], act(9)) == ["seen_while_missing"] * 2


def test_r8_9_who_travels_while_imprisoned_is_shown() -> None:
    reports = [said(K.SENTENCE), said(K.TRAVEL, 4), said(K.HOSPITAL, 5)]
    assert kinds(reports, act(9)) == ["seen_in_custody"] * 2
    assert kinds([*reports, said(K.RELEASE, 2)], act(9)) == []


def test_r8_9_a_release_before_the_sentence_of_another_delivery_is_shown() -> None:
    assert kinds([said(K.SENTENCE), said(K.RELEASE, -1)]) == ["release_before_sentence"]
    assert kinds([said(K.RELEASE, -1)]) == []


@given(
    st.lists(st.tuples(st.sampled_from(list(K)), st.integers(0, 30)), max_size=7),
    st.lists(st.integers(0, 30), max_size=3),
    st.randoms(use_true_random=False),
)
def test_contradictions_are_the_same_in_any_order_and_have_their_own_ids(
    found: list[tuple[LifeEventKind, int]], passes: list[int], random: Random
) -> None:
    reports = [said(kind, n, name=str(place)) for place, (kind, n) in enumerate(found)]
    acts = [act(n) for n in set(passes)]
    shuffled = list(reports)
    random.shuffle(shuffled)
    first = find("s", reports, acts)
    assert find("s", shuffled, acts[::-1]) == first
    ids = [each.contradiction_id for each in first]
    assert len(set(ids)) == len(ids)
