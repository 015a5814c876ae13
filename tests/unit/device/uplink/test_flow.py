from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.ports import OutboxRow
from device.uplink.flow import PresenceTimer, RosterQuestions, SendWindow, full_jitter_s

S = 1_000_000_000


def rows(*counters: int) -> list[OutboxRow]:
    return [OutboxRow(f"{counter:064x}", counter, b"") for counter in counters]


def window(cap_s: float = 100) -> SendWindow:
    return SendWindow(resend_after_s=10, resend_cap_s=cap_s)


def send(sending: SendWindow, found: list[OutboxRow], now_ns: int, fraction: float = 0) -> list[int]:
    """Send what is due; tokens are counters, told apart by time."""
    due = sending.due(found, limit=len(found) + 1, now_ns=now_ns)
    for row in due:
        sending.sent(row, row.counter + now_ns, now_ns=now_ns, fraction=fraction)
    return [row.counter for row in due]


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(0.01, 1000), st.floats(0, 1, exclude_max=True))
def test_jitter_is_between_nothing_and_the_cap(attempt: int, base_s: float, cap_s: float, fraction: float) -> None:
    assert 0 <= full_jitter_s(attempt, base_s=base_s, cap_s=cap_s, fraction=fraction) <= cap_s


def test_the_bound_of_the_jitter_doubles_up_to_the_cap() -> None:
    bounds = [full_jitter_s(attempt, base_s=1, cap_s=10, fraction=1) for attempt in range(6)]
    assert bounds == [1, 2, 4, 8, 10, 10]


def test_new_rows_are_sent_once_and_oldest_first() -> None:
    sending = window()
    assert send(sending, rows(1, 2), 0) == [1, 2]
    assert send(sending, rows(1, 2, 3), S) == [3]


def test_nothing_is_repeated_while_the_broker_owes_its_answer() -> None:
    sending = window()
    send(sending, rows(1), 0)
    assert send(sending, rows(1), 1000 * S) == []
    assert sending.waiting_since_ns() == 0


def test_a_row_the_broker_took_and_the_fleet_did_not_confirm_is_sent_again_ever_more_rarely() -> None:
    sending = window()
    now, sent_at = 0, []
    for _ in range(4):
        while not send(sending, rows(1), now, fraction=0.999999):
            now += S
        sent_at.append(now // S)
        assert sending.taken(1 + now) == rows(1)[0].sha256
    assert sent_at == [0, 20, 50, 100]


def test_a_token_is_taken_once_and_strangers_are_not() -> None:
    sending = window()
    send(sending, rows(1), 5)
    assert sending.taken(99) is None
    assert sending.taken(6) == rows(1)[0].sha256
    assert sending.taken(6) is None
    assert sending.waiting_since_ns() is None


def test_a_row_that_left_the_outbox_is_forgotten() -> None:
    sending = window()
    send(sending, rows(1, 2), 0)
    assert send(sending, rows(2), S) == []
    assert sending.taken(1) is None
    assert sending.waiting_since_ns() == 0
    sending.settled([rows(2)[0].sha256])
    assert sending.waiting_since_ns() is None


def test_an_answer_is_younger_than_the_first_sending_of_a_record_made_while_this_process_ran() -> None:
    sending = window()
    assert send(sending, rows(1), 0) == [1]
    send(sending, rows(1, 2, 3), 7 * S)
    digests = [row.sha256 for row in rows(1, 2, 3)]
    assert sending.settled(digests[:1]) is None, "an earlier process may have sent it long ago"
    sending.taken(2 + 7 * S)
    send(sending, rows(2, 3), 100 * S)
    assert sending.settled(digests[1:]) == 7 * S


def test_records_of_a_backlog_that_was_never_seen_whole_bound_nothing() -> None:
    sending = window()
    for row in sending.due(rows(1, 2), limit=2, now_ns=0):
        sending.sent(row, row.counter, now_ns=0, fraction=0)
    assert sending.settled(row.sha256 for row in rows(1, 2)) is None


def test_the_answer_to_a_record_that_was_sent_again_after_a_refusal_says_nothing_about_the_time() -> None:
    sending = window()
    assert not sending.due([], limit=5, now_ns=0)
    (row,) = rows(1)
    sending.sent(row, 1, now_ns=S, fraction=0)
    assert sending.settled([row.sha256]) == S
    sending.sent(row, 2, now_ns=50 * S, fraction=0)
    assert sending.settled([row.sha256]) is None, "the first answer may have come twice"


def test_after_a_reconnection_the_broker_has_its_time_again() -> None:
    sending = window()
    send(sending, rows(1), 0)
    sending.reconnected(50 * S)
    assert sending.waiting_since_ns() == 50 * S


@given(st.lists(st.sampled_from(["tick", "taken", "settle", "new"]), max_size=60))
def test_whatever_happens_no_row_is_with_the_link_twice(happenings: list[str]) -> None:
    sending, now, counter, token = window(), 0, 0, 0
    waiting: dict[int, OutboxRow] = {}
    unconfirmed: list[OutboxRow] = []
    for happening in happenings:
        now += 7 * S
        if happening == "new":
            counter += 1
            unconfirmed += rows(counter)
        elif happening == "taken" and waiting:
            first = next(iter(waiting))
            row = waiting.pop(first)
            assert sending.taken(first) in {row.sha256, None}
        elif happening == "settle" and unconfirmed:
            gone = unconfirmed.pop(0)
            sending.settled([gone.sha256])
        for row in sending.due(unconfirmed[:5], limit=5, now_ns=now):
            assert row not in waiting.values()
            token += 1
            sending.sent(row, token, now_ns=now, fraction=0.5)
            waiting[token] = row


@pytest.fixture
def questions() -> RosterQuestions:
    asking = RosterQuestions(retry_s=10, refresh_s=1000)
    asking.connected(0)
    return asking


def test_every_connection_asks(questions: RosterQuestions) -> None:
    assert questions.is_due(0)
    questions.asked(0, fraction=0)
    questions.page_applied(S, complete=True)
    assert not questions.is_due(500 * S)
    questions.connected(500 * S)
    assert questions.is_due(500 * S)


def test_an_unanswered_question_is_asked_again_ever_more_rarely(questions: RosterQuestions) -> None:
    waits, now = [], 0
    for _ in range(4):
        questions.asked(now, fraction=0.999999)
        start = now
        while not questions.is_due(now):
            now += S
        waits.append((now - start) // S)
    assert waits == [20, 30, 50, 90]


def test_an_incomplete_page_is_followed_by_the_next_question_at_once(questions: RosterQuestions) -> None:
    questions.asked(0, fraction=0)
    questions.page_applied(S, complete=False)
    assert questions.is_due(S)


def test_a_complete_page_is_refreshed_after_a_while(questions: RosterQuestions) -> None:
    questions.asked(0, fraction=0)
    questions.page_applied(S, complete=True)
    assert not questions.is_due(1000 * S)
    assert questions.is_due(1001 * S)


def test_pages_that_do_not_fit_make_one_question_a_second_at_most(questions: RosterQuestions) -> None:
    questions.page_unfit(0)
    assert questions.is_due(0)
    questions.asked(0, fraction=0)
    for _ in range(100):
        questions.page_unfit(S // 10)
    assert not questions.is_due(S // 2)
    assert questions.is_due(S)


def test_a_fleet_whose_pages_never_fit_is_asked_ever_more_rarely(questions: RosterQuestions) -> None:
    waits, now = [], 0
    for _ in range(5):
        questions.asked(now, fraction=0)
        questions.page_unfit(now)
        questions.page_unfit(now)
        start = now
        while not questions.is_due(now):
            now += S
        waits.append((now - start) // S)
    assert waits == [1, 2, 4, 8, 10], "never more rarely than without an answer"
    questions.page_applied(now, complete=False)
    questions.asked(now, fraction=0)
    questions.page_unfit(now)
    assert questions.is_due(now + S)


def test_presence_is_repeated_regularly_and_sooner_when_it_changes() -> None:
    timer = PresenceTimer(every_s=60, change_s=5)
    assert timer.is_due("a", 0)
    timer.said("a", 0)
    assert not timer.is_due("a", 59 * S)
    assert timer.is_due("a", 60 * S)
    assert not timer.is_due("b", 4 * S)
    assert not timer.may_be_due(4 * S)
    assert timer.may_be_due(5 * S)
    assert timer.is_due("b", 5 * S)
    timer.connected()
    assert timer.is_due("a", S)
