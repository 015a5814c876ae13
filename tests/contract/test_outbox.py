"""What every outbox must do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.adapters.outbox_sqlite import SqliteOutbox
from device.errors import OutboxFull
from device.ports import Outbox
from device.simulated.stores import MemoryOutbox
from protocol.presence import Tally, tally
from protocol.receipts import ReceiptItem, Verdict


@pytest.fixture(params=["sqlite", "memory"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outbox]:
    if request.param == "memory":
        yield MemoryOutbox(max_rows=5)
        return
    box = SqliteOutbox(tmp_path / "outbox.sqlite", max_rows=5, max_bytes=1 << 24)
    yield box
    box.close()


def envelope(counter: int, previous: str | None) -> bytes:
    return f"record {counter} after {previous}".encode()


def item(sha256: str, verdict: Verdict = Verdict.STORED, reason: str | None = None) -> ReceiptItem:
    return ReceiptItem(sha256=sha256, verdict=verdict, reason=reason)


def refusal(sha256: str, reason: str) -> ReceiptItem:
    return item(sha256, Verdict.REFUSED, reason)


def test_counters_are_consecutive_and_every_record_names_the_one_before(outbox: Outbox) -> None:
    seen: list[tuple[int, str | None]] = []

    def build(counter: int, previous: str | None) -> bytes:
        seen.append((counter, previous))
        return envelope(counter, previous)

    stored = [outbox.append(build) for _ in range(3)]
    assert [s.counter for s in stored] == [1, 2, 3]
    assert seen == [(1, None), (2, stored[0].sha256), (3, stored[1].sha256)]
    assert stored[0].sha256 == hashlib.sha256(envelope(1, None)).hexdigest()


def test_a_build_that_fails_uses_nothing_up(outbox: Outbox) -> None:
    first = outbox.append(envelope)

    def broken(counter: int, previous: str | None) -> bytes:
        raise RuntimeError("signer is gone")

    with pytest.raises(RuntimeError, match="signer is gone"):
        outbox.append(broken)
    second = outbox.append(envelope)
    assert second.counter == 2
    rows = outbox.unconfirmed(10)
    assert [row.envelope for row in rows] == [envelope(1, None), envelope(2, first.sha256)]


def test_unconfirmed_gives_the_oldest_first_and_no_more_than_asked(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(4)]
    assert [r.sha256 for r in outbox.unconfirmed(2)] == [s.sha256 for s in stored[:2]]


def test_rows_are_read_on_from_a_counter_and_history_has_the_confirmed_ones_too(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(4)]
    outbox.settle([item(stored[1].sha256), refusal(stored[3].sha256, "signature")])
    assert [row.counter for row in outbox.unconfirmed(10, after=1)] == [3]
    assert [row.counter for row in outbox.unconfirmed(1, after=0)] == [1]
    assert [row.counter for row in outbox.history(10)] == [1, 2, 3, 4]
    assert [row.counter for row in outbox.history(2, after=1)] == [2, 3]
    outbox.purge(0)
    assert [row.counter for row in outbox.history(10)] == [1, 3, 4]


def test_published_rows_are_unconfirmed_until_the_receipt(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(3)]
    outbox.mark_published([stored[0].sha256, stored[1].sha256])
    assert [row.counter for row in outbox.unconfirmed(10)] == [1, 2, 3]
    outbox.settle([item(stored[1].sha256)])
    assert [row.counter for row in outbox.unconfirmed(10)] == [1, 3]


def test_a_broker_that_took_a_record_does_not_make_it_acknowledged(outbox: Outbox) -> None:
    stored = outbox.append(envelope)
    outbox.mark_published([stored.sha256])
    counts = outbox.counts()
    assert (counts.pending, counts.published, counts.acknowledged) == (0, 1, 0)


@pytest.mark.parametrize(
    ("verdict", "acknowledged", "refused"), [(Verdict.STORED, 1, 0), (Verdict.REPEATED, 1, 0), (Verdict.REFUSED, 0, 1)]
)
def test_a_receipt_settles_a_record(outbox: Outbox, verdict: Verdict, acknowledged: int, refused: int) -> None:
    stored = outbox.append(envelope)
    outbox.settle([item(stored.sha256, verdict)])
    counts = outbox.counts()
    assert (counts.acknowledged, counts.refused, counts.pending) == (acknowledged, refused, 0)
    assert not outbox.unconfirmed(10)


def test_a_puback_after_the_receipt_does_not_take_the_receipt_back(outbox: Outbox) -> None:
    stored = outbox.append(envelope)
    outbox.settle([item(stored.sha256)])
    outbox.mark_published([stored.sha256])
    assert outbox.counts().acknowledged == 1


def test_an_acknowledged_record_cannot_be_refused_later_but_a_refused_one_can_be_stored(outbox: Outbox) -> None:
    kept, healed = outbox.append(envelope), outbox.append(envelope)
    outbox.settle([item(kept.sha256), item(healed.sha256, Verdict.REFUSED)])
    outbox.settle([item(kept.sha256, Verdict.REFUSED), item(healed.sha256)])
    assert outbox.counts().acknowledged == 2


def test_refused_records_are_listed_with_the_fleets_reason(outbox: Outbox) -> None:
    first, second = outbox.append(envelope), outbox.append(envelope)
    outbox.settle([refusal(second.sha256, "fork"), refusal(first.sha256, "signature")])
    assert [(row.counter, row.reason) for row in outbox.refused(9)] == [(1, "signature"), (2, "fork")]
    assert [row.sha256 for row in outbox.refused(1)] == [first.sha256]


def test_refused_records_are_sent_again_by_reason_and_up_to_a_number(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(4)]
    outbox.settle([refusal(s.sha256, "fork" if s.counter == 2 else "signature") for s in stored])
    assert outbox.retry_refused(2, reasons={"signature"}) == 2
    assert [row.counter for row in outbox.unconfirmed(9)] == [1, 3]
    assert outbox.retry_refused(9, reasons={"signature"}) == 1
    assert outbox.retry_refused(9, reasons=()) == 0
    assert [(row.counter, row.reason) for row in outbox.refused(9)] == [(2, "fork")]
    assert outbox.retry_refused(9) == 1
    outbox.settle([item(stored[0].sha256), refusal(stored[1].sha256, "fork")])
    assert [row.counter for row in outbox.unconfirmed(9)] == [3, 4]
    assert [(row.counter, row.reason) for row in outbox.refused(9)] == [(2, "fork")]


def test_refused_records_do_not_fill_the_outbox(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(5)]
    outbox.settle([refusal(s.sha256, "fork") for s in stored])
    outbox.check()
    assert outbox.append(envelope).counter == 6


def test_unknown_digests_in_a_receipt_are_ignored(outbox: Outbox) -> None:
    outbox.append(envelope)
    outbox.settle([item("0" * 64)])
    assert outbox.counts().pending == 1


def test_purge_deletes_acknowledged_rows_only_and_keeps_the_newest(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(5)]
    outbox.settle([item(s.sha256) for s in stored[:4]])
    assert outbox.purge(1) == 3
    counts = outbox.counts()
    assert (counts.acknowledged, counts.pending) == (1, 1)
    assert outbox.purge(1) == 0


def test_the_chain_goes_on_after_everything_was_purged(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(3)]
    outbox.settle([item(s.sha256) for s in stored])
    assert outbox.purge(0) == 3
    following: list[tuple[int, str | None]] = []

    def build(counter: int, previous: str | None) -> bytes:
        following.append((counter, previous))
        return envelope(counter, previous)

    outbox.append(build)
    assert following == [(4, stored[2].sha256)]


def test_a_full_outbox_takes_nothing_until_records_are_confirmed(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(5)]
    called: list[int] = []
    with pytest.raises(OutboxFull, match="5 records not confirmed"):
        outbox.append(lambda counter, previous: called.append(counter) or b"")  # type: ignore[func-returns-value]  # notes the call
    assert called == []
    outbox.settle([item(stored[0].sha256)])
    assert outbox.append(envelope).counter == 6


def test_check_says_before_a_session_what_append_would_say_after_it(outbox: Outbox) -> None:
    outbox.check()
    assert set(outbox.counts().model_dump().values()) == {0}
    stored = [outbox.append(envelope) for _ in range(5)]
    with pytest.raises(OutboxFull):
        outbox.check()
    outbox.settle([item(stored[0].sha256)])
    outbox.check()
    assert outbox.append(envelope).counter == 6


def test_counts_of_an_empty_outbox_are_zero(outbox: Outbox) -> None:
    assert set(outbox.counts().model_dump().values()) == {0}


def test_stored_and_confirmed_are_true_after_receipts_and_purges(outbox: Outbox) -> None:
    stored = [outbox.append(envelope) for _ in range(5)]
    assert tally(outbox.counts()) == Tally(stored=5, confirmed=0, waiting=5, refused=0)
    outbox.mark_published([stored[0].sha256])
    outbox.settle([item(stored[0].sha256), item(stored[1].sha256), item(stored[2].sha256, Verdict.REFUSED)])
    before = tally(outbox.counts())
    assert before == Tally(stored=5, confirmed=2, waiting=2, refused=1)
    assert outbox.purge(0) == 2
    assert tally(outbox.counts()) == before
    outbox.append(envelope)
    assert tally(outbox.counts()) == Tally(stored=6, confirmed=2, waiting=3, refused=1)
