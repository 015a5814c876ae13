from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.prompter_text import TextPrompter
from device.adapters.references_sqlite import SqliteReferenceStore
from device.app.front import make_front, staff_warnings
from device.desk.view import StaffWarning
from device.runner.loop import Ports, Runner
from device.runner.records import Identity
from device.settings import load_settings
from device.simulated.clock import SteppedClock
from device.simulated.entropy import SeededEntropy
from device.simulated.panel import SimulatedPanel
from device.simulated.stores import FixedAttestation, FixedPolicy, FixedRulePacks, MemoryOutbox, ThrowAwaySigner
from device.uplink.service import event_log, refusal_log
from protocol import base64url
from protocol.keys import PrivateKey
from protocol.offline import standing
from protocol.policy import OfflinePolicy
from protocol.presence import OutboxCounts, PictureCounts, tally
from protocol.registration import FleetIdentity
from protocol.roster import RosterPage
from protocol.topics import Kind

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
NO_PICTURES = PictureCounts(waiting=0, refused=0)


@pytest.mark.parametrize(
    ("days", "waiting", "refused", "pictures", "expected"),
    [
        (0, 0, 0, 0, []),
        (8, 0, 0, 0, [StaffWarning.OFFLINE, StaffWarning.ROSTER_ENDS]),
        (0, 1000, 1, 0, [StaffWarning.RECORDS_WAITING, StaffWarning.RECORDS_REFUSED]),
        (0, 0, 0, 2, [StaffWarning.RECORDS_REFUSED]),
    ],
)
def test_staff_is_warned_of_what_stands_badly(
    days: int, waiting: int, refused: int, pictures: int, expected: list[StaffWarning]
) -> None:
    now = SteppedClock(T0 + timedelta(days=days)).now()
    counts = OutboxCounts(pending=waiting, published=0, acknowledged=0, refused=refused)
    found = standing(OfflinePolicy(), now, T0, counts, T0 + timedelta(days=14))
    refusals = PictureCounts(waiting=7, refused=pictures)
    assert list(staff_warnings(found, tally(counts), refusals, now, 3600.0)) == expected


SETTINGS = """
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"

[keys]
signing = "signing.pem"
sealing = "sealing.pem"
storage = "storage.key"
fleet = "fleet.json"
"""


def test_a_roster_that_the_uplink_refuses_is_shown_to_staff_until_a_page_applies(tmp_path: Path) -> None:
    (tmp_path / "terminal.toml").write_text(SETTINGS)
    settings = load_settings(tmp_path / "terminal.toml")
    clock, signer = SteppedClock(T0), ThrowAwaySigner()
    # The uplink is another process with a store of its own on the same file.
    ours, uplinks = (
        SqliteReferenceStore(settings.references_path, settings.keys.storage.path, clock) for _ in range(2)
    )
    ports = Ports(
        panel=SimulatedPanel(),
        prompter=TextPrompter(io.StringIO(), ("en",)),
        outbox=MemoryOutbox(),
        references=ours,
        policies=FixedPolicy(None),
        packs=FixedRulePacks(),
        signer=signer,
        clock=clock,
        entropy=SeededEntropy(1),
    )
    identity = Identity(
        fleet_id="north",
        terminal_id="t-1",
        software="test",
        networks=(),
        features_name="",
        features_sha256="",
        is_simulated=True,
    )
    runner = Runner(ports, identity=identity)
    front = make_front(
        settings,
        runner,
        ports=ports,
        identity=identity,
        attestations=FixedAttestation(None),
        fleet=FleetIdentity(fleet_id="north", signing_key=PrivateKey.generate().public()),
        printer=None,
        screen=None,
        stick=None,
        set_voice=lambda _language, _is_slow: None,
    )

    def warnings() -> tuple[StaffWarning, ...]:
        clock.advance(1_000_000_000)
        front.desk.mind()
        return front.desk.desk.warnings

    assert StaffWarning.ROSTER_REFUSED not in warnings()
    note = refusal_log(event_log(settings, outbox=MemoryOutbox(), signer=signer, clock=clock), uplinks)
    note(Kind.POLICY, "signature")
    assert StaffWarning.ROSTER_REFUSED not in warnings()
    note(Kind.ROSTER, "signature")
    assert StaffWarning.ROSTER_REFUSED in warnings()
    made = RosterPage(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=T0,
        expires_at=T0 + timedelta(days=30),
        after=0,
        upto=1,
        complete=True,
        claim_key=base64url.encode(bytes(32)),
        feature_keys={},
        entries=(),
    )
    assert uplinks.apply(made)
    assert StaffWarning.ROSTER_REFUSED not in warnings()
    front.close()
    ours.close()
    uplinks.close()


def test_staff_is_warned_of_a_clock_that_nothing_vouches_for_or_too_little() -> None:
    clock = SteppedClock(T0, uncertainty_s=4000.0)
    counts = OutboxCounts(pending=0, published=0, acknowledged=0, refused=0)
    found = standing(OfflinePolicy(), clock.now(), T0, counts, None)
    assert staff_warnings(found, tally(counts), NO_PICTURES, clock.now(), 3600.0) == (StaffWarning.CLOCK_UNSURE,)
    assert staff_warnings(found, tally(counts), NO_PICTURES, clock.now(), None) == ()
    clock.set_wall_clock(datetime(2099, 1, 1, tzinfo=UTC))
    assert staff_warnings(found, tally(counts), NO_PICTURES, clock.now(), None) == (StaffWarning.CLOCK_UNSURE,)
