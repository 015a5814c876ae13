"""Turns: with real threads, few at once, few that wait, and everybody else told so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleet.accounts.turns import TooBusy, Turns


def test_so_many_have_one_at_once_and_all_who_may_wait_get_one() -> None:
    turns = Turns(2, waiting=14, wait_s=60)
    lock, present, most = threading.Lock(), 0, 0
    both = threading.Barrier(2)

    def work(number: int) -> int:
        nonlocal present, most
        with turns.one():
            with lock:
                present += 1
                most = max(most, present)
            # Two are within at once, or it would never be passed.
            both.wait(60)
            with lock:
                present -= 1
        return number

    with ThreadPoolExecutor(16) as threads:
        assert sorted(threads.map(work, range(16))) == list(range(16))
    assert most == 2


def test_who_finds_no_place_to_wait_is_told_at_once_and_who_waits_too_long_later() -> None:
    turns = Turns(1, waiting=1, wait_s=0.05)
    within, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.one():
            within.set()
            let_go.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert within.wait(60)
    with pytest.raises(TooBusy, match="no turn within"), turns.one():
        pass
    full = Turns(0, waiting=0, wait_s=60)
    with pytest.raises(TooBusy, match="too many wait"), full.one():
        pass
    let_go.set()
    holder.join()
    with turns.one(), turns.one():
        # A turn within a turn is the same one.
        pass
    with turns.one():
        pass
