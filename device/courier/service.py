"""Puts a courier together from the settings, with stores of its own: for the command line, and for the thread of a running terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.attestation_file import FileAttestationStore
from device.adapters.clock_system import SystemClock
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.rule_packs_file import FileRulePackStore
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity, load_private_key
from device.adapters.staff_file import FileStaffStore
from device.courier.courier import Courier, Parts
from device.runner.events import EventLog
from device.settings import Settings
from device.updates.stock import desired_store, stock
from device.uplink.inbox import Inbox
from device.uplink.service import event_log, refusal_log


@contextmanager
def open_courier(settings: Settings) -> Iterator[tuple[Courier, EventLog]]:
    """Give a courier on this terminal's stores, and what notes events in its chain; terminal and uplink may run meanwhile.

    Raises:
        KeyUnusable: if a key or the fleet's identity cannot be used.
        StoreUnusable: if a database must not be touched.
        DeviceError: if the data folder cannot be used.
    """
    who = settings.terminal
    fleet = load_fleet_identity(settings.keys.fleet, fleet_id=who.fleet_id)
    sealing_key = load_private_key(settings.keys.sealing.path)
    signer = KeyfileSigner(settings.keys.signing.path)
    clock = SystemClock(settings.clock_path)
    with ExitStack() as opened:
        outbox = SqliteOutbox(
            settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes
        )
        opened.callback(outbox.close)
        references = SqliteReferenceStore(settings.references_path, settings.keys.storage.path, clock)
        opened.callback(references.close)
        attachments = SqliteAttachmentStore(settings.attachments_path, max_bytes=settings.outbox.max_bytes)
        opened.callback(attachments.close)
        staff = FileStaffStore(settings.staff_path, settings.keys.storage.path)
        inbox = Inbox(
            fleet_id=who.fleet_id, terminal_id=who.terminal_id, fleet_key=fleet.signing_key, sealing_key=sealing_key
        )
        policies = FilePolicyStore(settings.policy_path, fleet.signing_key)
        packs = FileRulePackStore(settings.rule_packs_path, fleet.signing_key)
        attestations = FileAttestationStore(
            settings.attestation_path,
            fleet.signing_key,
            fleet_id=who.fleet_id,
            terminal_id=who.terminal_id,
            key_id=signer.key_id,
        )
        events = event_log(settings, outbox=outbox, signer=signer, clock=clock)
        desired = desired_store(settings, fleet.signing_key)
        courier = Courier(
            fleet,
            who.terminal_id,
            Parts(
                outbox,
                references,
                policies,
                packs,
                attestations,
                staff,
                attachments,
                signer,
                clock,
                inbox,
                desired,
                stock(settings, desired, clock),
            ),
            sealing_key=sealing_key,
            mount_root=settings.courier.mount_root,
            keep=settings.outbox.keep,
            on_refused=refusal_log(events, references),
        )
        yield courier, events
