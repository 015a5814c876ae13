"""What the data say about who did not come."""

from __future__ import annotations

from datetime import date

import pytest

from fleet.exchange.comparison import Finding, compare
from fleet.status.losses import Reported
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.life import LifeEvent, LifeEventKind

K = LifeEventKind
OPENS, TODAY = date(2020, 11, 1), date(2020, 12, 25)
"""The window of Huzhou, and a day after its last."""


def said(kind: LifeEventKind, since: date, until: date | None = None, *, confirmed: bool = True) -> Reported:
    return Reported(f"{kind}{since}", LifeEvent(kind, since, until), "feed:x", "1", confirmed, since)


@pytest.mark.parametrize(
    ("reports", "finding"),
    [
        ([], Finding.NOTHING),
        ([said(K.TRAVEL, date(2020, 10, 31))], Finding.NOTHING),
        ([said(K.TRAVEL, date(2020, 11, 1))], Finding.ALIVE),
        ([said(K.DEATH, date(2020, 11, 9))], Finding.LOSS),
        ([said(K.SENTENCE, date(2019, 1, 1)), said(K.RELEASE, date(2020, 12, 1))], Finding.NOTHING),
        ([said(K.SENTENCE, date(2019, 1, 1)), said(K.TRAVEL, date(2018, 1, 1))], Finding.LOSS),
        ([said(K.DEATH, date(2020, 11, 9), confirmed=False), said(K.TRAVEL, date(2020, 11, 2))], Finding.REPORTED),
        ([said(K.DEATH, date(2020, 11, 9)), said(K.TRAVEL, date(2020, 11, 10))], Finding.CONTRADICTED),
    ],
)
def test_r7_11_the_gravest_thing_that_the_data_say_is_told(reports: list[Reported], finding: Finding) -> None:
    before = Act("a", date(2019, 11, 20), ActKind.LIVE, Channel.TERMINAL)
    assert (
        compare(reports, [before] if K.SENTENCE not in {r.event.kind for r in reports} else [], OPENS, TODAY) is finding
    )
