"""Certified unnoticed, or not."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fleet.exchange.silent import Held, Scene, certifying_scenes
from fleet.status.losses import Reported
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.life import LifeEvent, LifeEventKind
from protocol.rules.obligations import CertificationState, Entitled, obligation, state_on
from protocol.rules.pack import RulePack, Silent
from protocol.shipped_packs import shipped_pack

K = LifeEventKind
SHANXI, HUZHOU, LANZHOU = (shipped_pack(name) for name in ("SX-2018", "HZ-2020", "LZ-2019"))
ENTITLED = Entitled(date(2001, 7, 1), date(1940, 1, 1))
DAY = date(2021, 3, 5)


def demanding(pack: RulePack, needed: int) -> RulePack:
    assert pack.silent is not None
    points = {K.TRAVEL: 2, K.HOSPITAL: 3, K.HEALTH_CHECK: 1}
    return pack.model_copy(update={"silent": Silent(points=points, needed=needed)})


def said(
    kind: LifeEventKind, day: date, *, name: str = "", until: date | None = None, confirmed: bool = True
) -> Reported:
    name = name or f"{kind}:{day}"
    return Reported(name, LifeEvent(kind, day, until), "feed:x", name, confirmed, day)


def days(packs: list[RulePack], *reports: Reported) -> list[date]:
    return [scene.day for scene in certifying_scenes([Held(pack, ENTITLED) for pack in packs], reports)]


def test_r8_5_one_identified_scene_certifies_where_the_pack_says_so() -> None:
    scenes = certifying_scenes([Held(SHANXI, ENTITLED)], [said(K.TRAVEL, DAY)])
    assert scenes == [Scene(DAY, K.TRAVEL, "feed:x", f"travel:{DAY}")]


def test_r4_27_points_of_one_period_add_up() -> None:
    pack = demanding(SHANXI, 5)
    assert days([pack], said(K.TRAVEL, DAY), said(K.HEALTH_CHECK, DAY + timedelta(days=9))) == []
    later = DAY + timedelta(days=300)
    assert days([pack], said(K.TRAVEL, DAY), said(K.HOSPITAL, later)) == [later]


def test_r4_27_points_of_another_period_do_not_count() -> None:
    too_late = said(K.HOSPITAL, DAY + timedelta(days=366))
    assert days([demanding(SHANXI, 5)], said(K.TRAVEL, DAY), too_late) == []
    # Windows of Huzhou begin on 1 November.
    pack = demanding(HUZHOU, 5)
    before, after = date(2020, 10, 31), date(2020, 11, 1)
    assert days([pack], said(K.TRAVEL, before), said(K.HOSPITAL, after)) == []
    assert days([pack], said(K.TRAVEL, after), said(K.HOSPITAL, date(2020, 12, 19))) == [date(2020, 12, 19)]


def test_r4_27_the_same_scene_from_two_bodies_counts_once() -> None:
    pack = demanding(SHANXI, 4)
    assert days([pack], said(K.TRAVEL, DAY), said(K.TRAVEL, DAY, name="other")) == []
    assert days([pack], said(K.TRAVEL, DAY), said(K.TRAVEL, DAY + timedelta(days=1))) == [DAY + timedelta(days=1)]


def test_r4_27_a_pack_without_points_is_never_served_by_data() -> None:
    assert days([LANZHOU], said(K.TRAVEL, DAY)) == []
    assert days([], said(K.TRAVEL, DAY)) == []


def test_r4_27_of_two_packs_the_more_demanding_decides() -> None:
    """An act counts for all packs of a person, so it must be good enough for each of them."""
    assert days([SHANXI, demanding(HUZHOU, 3)], said(K.TRAVEL, DAY)) == []
    assert days([SHANXI, demanding(HUZHOU, 3)], said(K.HOSPITAL, DAY)) == [DAY]
    assert days([SHANXI, LANZHOU], said(K.TRAVEL, DAY)) == [DAY], "one that takes no data does not stand in the way"


def test_r4_27_only_sources_whose_word_confirms_certify() -> None:
    assert days([SHANXI], said(K.TRAVEL, DAY, confirmed=False)) == []


def test_r4_27_a_scene_before_the_benefit_certifies_nothing() -> None:
    assert days([SHANXI], said(K.TRAVEL, date(2001, 6, 30))) == []


def test_r4_27_nobody_is_certified_against_a_report_of_an_ending() -> None:
    for kind in (K.DEATH, K.CREMATION, K.BURIAL, K.DECLARED_DEAD):
        for confirmed in (True, False):
            for day in (DAY - timedelta(days=1), DAY + timedelta(days=1)):
                assert days([SHANXI], said(K.TRAVEL, DAY), said(kind, day, confirmed=confirmed)) == []


def test_r4_27_nobody_is_certified_while_missing_or_imprisoned() -> None:
    for kind in (K.MISSING, K.SENTENCE, K.REGISTER_CANCELLED):
        assert days([SHANXI], said(K.TRAVEL, DAY), said(kind, DAY - timedelta(days=9))) == []


def test_r8_9_scenes_outside_a_time_of_imprisonment_count() -> None:
    sentence, release = said(K.SENTENCE, DAY), said(K.RELEASE, DAY + timedelta(days=60))
    travels = [said(K.TRAVEL, DAY + timedelta(days=n)) for n in (-40, 10, 60)]
    assert days([SHANXI], sentence, release, *travels) == [DAY - timedelta(days=40), DAY + timedelta(days=60)]
    assert days([SHANXI], sentence, *travels) == [], "nobody knows whether it lasts"


def test_r4_27_one_act_in_a_period_is_enough() -> None:
    travels = [said(K.TRAVEL, DAY + timedelta(days=n)) for n in range(0, 60, 3)]
    assert days([HUZHOU], *travels) == [DAY]
    # Rolling packs: one a month, as benefits are paid by the month.
    assert [day.month for day in days([SHANXI], *travels)] == [3, 4, 5]


def test_r7_11_after_the_window_the_data_decide() -> None:
    """A hospital stay within Huzhou's window of 1 November to 20 December 2020, delivered in January 2021."""
    today = date(2021, 1, 15)
    late = obligation(HUZHOU, ENTITLED, [Act("a", date(2019, 12, 1), ActKind.LIVE, Channel.TERMINAL)])
    assert state_on(late, today) is CertificationState.OVERDUE
    (scene,) = certifying_scenes([Held(HUZHOU, ENTITLED)], [said(K.HOSPITAL, date(2020, 12, 3))])
    silent = Act("b", scene.day, ActKind.SILENT, Channel.DATA)
    assert state_on(obligation(HUZHOU, ENTITLED, [silent]), today) is CertificationState.CERTIFIED


def test_r4_28_voluntary_certification_and_data_serve_together() -> None:
    live = Act("a", date(2020, 11, 20), ActKind.LIVE, Channel.TERMINAL)
    (scene,) = certifying_scenes([Held(HUZHOU, ENTITLED)], [said(K.TRAVEL, date(2021, 11, 2))])
    silent = Act("b", scene.day, ActKind.SILENT, Channel.DATA)
    assert obligation(HUZHOU, ENTITLED, [live]).due == date(2021, 12, 20)
    assert obligation(HUZHOU, ENTITLED, [live, silent]).due == date(2022, 12, 20)


REPORTS = st.lists(
    st.tuples(
        st.sampled_from([K.TRAVEL, K.HOSPITAL, K.HEALTH_CHECK, K.MISSING, K.SENTENCE, K.RELEASE]), st.integers(0, 800)
    ),
    max_size=12,
)


@given(REPORTS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_r4_27_the_order_of_arrival_does_not_matter(
    found: list[tuple[LifeEventKind, int]], needed: int, random: Random
) -> None:
    reports = [said(kind, DAY + timedelta(days=n), name=str(place)) for place, (kind, n) in enumerate(found)]
    held = [Held(demanding(SHANXI, needed), ENTITLED), Held(demanding(HUZHOU, needed), ENTITLED)]
    shuffled = list(reports)
    random.shuffle(shuffled)
    assert certifying_scenes(held, shuffled) == certifying_scenes(held, reports)
    assert certifying_scenes(held, [*reports, *reports]) == certifying_scenes(held, reports), "twice is once"


@given(REPORTS, st.integers(1, 6))
def test_r4_27_every_act_has_its_points_and_no_loss_around_it(
    found: list[tuple[LifeEventKind, int]], needed: int
) -> None:
    reports = [said(kind, DAY + timedelta(days=n), name=str(place)) for place, (kind, n) in enumerate(found)]
    pack = demanding(SHANXI, needed)
    worth = {K.TRAVEL: 2, K.HOSPITAL: 3, K.HEALTH_CHECK: 1}
    for scene in certifying_scenes([Held(pack, ENTITLED)], reports):
        begins = scene.day - timedelta(days=366)
        seen = {(r.event.kind, r.event.since) for r in reports if begins <= r.event.since <= scene.day}
        assert sum(worth.get(kind, 0) for kind, _ in seen) >= needed
        assert not any(r.event.kind is K.MISSING for r in reports)
