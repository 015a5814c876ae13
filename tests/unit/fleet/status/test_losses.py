"""What reports come to."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fleet.status.losses import Reported, Span, date_of_death, losses, spans
from protocol.rules.life import LifeEvent, LifeEventKind

K = LifeEventKind
DAY = date(2020, 5, 20)


def make(
    kind: LifeEventKind, since: date, until: date | None = None, *, name: str = "", confirmed: bool = True
) -> Reported:
    event_id = name or f"{kind}-{since}"
    return Reported(event_id, LifeEvent(kind, since, until), "feed:x", event_id, confirmed, since)


def test_r8_7_the_earliest_confirmed_report_fixes_the_day_of_death() -> None:
    reports = [
        make(K.CREMATION, DAY + timedelta(days=3)),
        make(K.DEATH, DAY),
        make(K.DEATH, DAY - timedelta(days=9), confirmed=False),
        make(K.TRAVEL, DAY - timedelta(days=20)),
    ]
    found = date_of_death(reports)
    assert found is not None
    assert found.event == LifeEvent(K.DEATH, DAY)


def test_r8_7_a_cremation_alone_fixes_it() -> None:
    found = date_of_death([make(K.CREMATION, DAY)])
    assert found is not None
    assert found.event.since == DAY
    assert date_of_death([make(K.DEATH, DAY, confirmed=False)]) is None


def test_r7_9_payment_ends_from_the_month_after_a_confirmed_loss() -> None:
    (loss,) = losses([make(K.DEATH, date(2020, 12, 31))])
    assert (loss.since, loss.first_unpaid) == (date(2020, 12, 31), date(2021, 1, 1))


def test_r7_8_missing_and_imprisoned_lose_the_right_for_a_time_and_the_dead_for_good() -> None:
    found = losses([make(K.MISSING, DAY, DAY + timedelta(days=30)), make(K.DECLARED_DEAD, DAY + timedelta(days=900))])
    assert [(loss.kind, loss.until) for loss in found] == [
        (K.MISSING, DAY + timedelta(days=30)),
        (K.DECLARED_DEAD, None),
    ]


def test_r8_8_missing_and_declared_dead_have_their_dates() -> None:
    (span,) = spans([make(K.MISSING, DAY)])
    assert span == Span(DAY, None, K.MISSING, f"missing-{DAY}")
    assert span.holds_on(DAY + timedelta(days=9999))
    assert not span.holds_on(DAY - timedelta(days=1))


def test_r7_7_what_is_not_confirmed_takes_nothing_away() -> None:
    assert losses([make(K.SENTENCE, DAY, confirmed=False), make(K.DEATH, DAY, confirmed=False)]) == []


def test_r8_9_a_release_ends_the_sentence_before_it_whatever_was_planned() -> None:
    released = DAY + timedelta(days=100)
    planned = DAY + timedelta(days=400)
    (span,) = spans([make(K.RELEASE, released), make(K.SENTENCE, DAY, planned)])
    assert (span.since, span.until) == (DAY, released)


def test_r8_9_two_sentences_are_ended_by_a_release_each() -> None:
    def day(n: int) -> date:
        return DAY + timedelta(days=n)

    reports = [
        make(K.SENTENCE, day(0)),
        make(K.RELEASE, day(50)),
        make(K.SENTENCE, day(80)),
        make(K.RELEASE, day(120)),
        make(K.SENTENCE, day(200)),
    ]
    assert [(span.since, span.until) for span in spans(reports)] == [
        (day(0), day(50)),
        (day(80), day(120)),
        (day(200), None),
    ]


def test_r8_9_a_release_before_any_sentence_ends_none() -> None:
    (span,) = spans([make(K.SENTENCE, DAY), make(K.RELEASE, DAY - timedelta(days=1))])
    assert span.until is None


def test_r8_9_one_sentence_that_two_bodies_report_ends_with_one_release() -> None:
    both = [make(K.SENTENCE, DAY, name="a"), make(K.SENTENCE, DAY, name="b")]
    assert {span.until for span in spans([*both, make(K.RELEASE, DAY + timedelta(days=9))])} == {
        DAY + timedelta(days=9)
    }


@given(
    st.lists(st.tuples(st.sampled_from([K.SENTENCE, K.RELEASE, K.MISSING, K.DEATH]), st.integers(0, 20)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_r8_9_the_order_of_arrival_does_not_matter(said: list[tuple[LifeEventKind, int]], random: Random) -> None:
    reports = [make(kind, DAY + timedelta(days=n), name=f"{place}") for place, (kind, n) in enumerate(said)]
    shuffled = list(reports)
    random.shuffle(shuffled)
    assert losses(shuffled) == losses(reports)
