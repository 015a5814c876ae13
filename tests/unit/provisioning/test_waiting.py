from __future__ import annotations

import pytest

from provisioning.errors import FleetUnreachable
from provisioning.joining import Outcome, wait_and_join

pytestmark = pytest.mark.provisioning


class Time:
    """A clock that tries and waits move on."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s

    def sleep(self, seconds: float) -> None:
        self.s += seconds


@pytest.mark.parametrize(("try_s", "tries", "took"), [(30.0, 2, 65.0), (90.0, 1, 90.0), (0.5, 12, 60.5)])
def test_the_time_that_tries_take_counts(try_s: float, tries: int, took: float) -> None:
    time, seen = Time(), []

    def attempt() -> Outcome:
        seen.append(time.s)
        time.sleep(try_s)
        raise FleetUnreachable("no answer")

    with pytest.raises(FleetUnreachable):
        wait_and_join(attempt, every_s=5, most_s=60, sleep=time.sleep, clock=time)
    assert (len(seen), time.s - 1000) == (tries, took)


def test_a_terminal_that_waits_is_asked_for_until_it_is_in() -> None:
    time, answers = Time(), [Outcome("t-1", False), Outcome("t-1", False), Outcome("t-1", True)]
    assert wait_and_join(lambda: answers.pop(0), every_s=5, most_s=60, sleep=time.sleep, clock=time).is_joined
    assert time.s == 1010
    waiting = Outcome("t-1", False)
    assert wait_and_join(lambda: waiting, every_s=5, most_s=0, sleep=time.sleep, clock=time) is waiting
