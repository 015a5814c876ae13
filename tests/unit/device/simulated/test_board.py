"""The simulated board, entropy and stores."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from device.errors import OutboxFull, PanelUnavailable
from device.ports import Button
from device.session.commands import Lamp
from device.simulated.entropy import SeededEntropy
from device.simulated.panel import SimulatedPanel
from device.simulated.stores import FixedPolicy, MemoryOutbox, ThrowAwaySigner
from protocol.envelope import sha256_of
from protocol.errors import NotForUs
from protocol.policy import default_policy
from protocol.receipts import ReceiptItem, Verdict

LATER = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_board_that_is_not_open_neither_shines_nor_hears():
    panel, heard = SimulatedPanel(), []
    with pytest.raises(PanelUnavailable):
        panel.show(Lamp.IDLE)
    with pytest.raises(PanelUnavailable):
        panel.press(Button.START)
    panel.start(heard.append)
    panel.show(Lamp.WORKING)
    panel.press(Button.CANCEL)
    assert (panel.lamp, heard) == (Lamp.WORKING, [Button.CANCEL])
    panel.stop()
    panel.stop()
    assert panel.lamp is None


def test_seeded_entropy_repeats_itself_and_never_within_a_run():
    one, other = SeededEntropy(5), SeededEntropy(5)
    tokens = [one.token(16) for _ in range(20)]
    assert tokens == [other.token(16) for _ in range(20)]
    assert len(set(tokens)) == 20
    assert SeededEntropy(6).token(16) != tokens[0]


def test_the_memory_outbox_chains_settles_and_refuses_when_full():
    outbox, built = MemoryOutbox(max_rows=2), []

    def build(counter, previous):
        built.append((counter, previous))
        return f"record {counter}".encode()

    first = outbox.append(build)
    second = outbox.append(build)
    assert built == [(1, None), (2, sha256_of(b"record 1"))]
    with pytest.raises(OutboxFull):
        outbox.append(build)
    assert len(built) == 2
    outbox.mark_published([first.sha256])
    assert [row.counter for row in outbox.unconfirmed(9)] == [1, 2]
    outbox.settle(
        [
            ReceiptItem(sha256=first.sha256, verdict=Verdict.STORED),
            ReceiptItem(sha256=second.sha256, verdict=Verdict.REFUSED, reason="for_a_test"),
        ]
    )
    counts = outbox.counts()
    assert (counts.acknowledged, counts.refused, counts.pending, counts.published) == (1, 1, 0, 0)
    assert outbox.purge(keep=0) == 1
    assert outbox.append(build).counter == 3


def test_a_fixed_policy_takes_no_other_and_a_throw_away_key_signs():
    store = FixedPolicy(default_policy())
    assert store.current() == default_policy()
    with pytest.raises(NotForUs):
        store.apply(b"anything")
    assert ThrowAwaySigner().key_id != ThrowAwaySigner().key_id
