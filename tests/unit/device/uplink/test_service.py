"""What the uplink notes of refusals, as links of the terminal's chain."""

from __future__ import annotations

from datetime import UTC, datetime

from device.settings import Settings, Terminal
from device.simulated.clock import SteppedClock
from device.simulated.stores import MemoryOutbox, MemoryReferences, ThrowAwaySigner
from device.uplink.service import event_log, refusal_log
from protocol.envelope import verify
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.topics import Kind


def test_a_refused_roster_is_a_link_of_the_chain_once_a_minute() -> None:
    outbox, signer = MemoryOutbox(), ThrowAwaySigner()
    settings = Settings(terminal=Terminal(fleet_id="north", terminal_id="t-1"))
    references = MemoryReferences(claim_key=None)
    clock = SteppedClock(datetime(2026, 11, 28, tzinfo=UTC))
    note = refusal_log(event_log(settings, outbox=outbox, signer=signer, clock=clock), references)
    for why in ("signature", "signature", "other_terminal"):
        note(Kind.ROSTER, why)
    public = signer._key.public()
    events = [
        TerminalEvent.parse(verify(row.envelope, key_of=lambda _: public, typ=EVENT_TYP).payload)
        for row in outbox.unconfirmed(9)
    ]
    assert [event.kind for event in events] == [EventKind.REFUSED] * 2
    assert [event.detail["why"] for event in events] == ["signature", "other_terminal"]
    assert references.was_refused()
