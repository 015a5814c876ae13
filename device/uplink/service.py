"""The uplink as a service: puts the parts together, minds signals and systemd."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from importlib.metadata import version
from threading import Event
from types import FrameType

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.attestation_file import FileAttestationStore
from device.adapters.clock_system import SystemClock
from device.adapters.commands_sqlite import open_commands
from device.adapters.entropy_system import SystemEntropy
from device.adapters.notify_systemd import SystemdNotifier
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.policy_file import FilePolicyStore
from device.adapters.reaching_files import FileReaching
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.reports_files import FileReportStore
from device.adapters.rule_packs_file import FileRulePackStore
from device.adapters.running_file import FileRunning
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity, load_private_key
from device.adapters.staff_file import FileStaffStore
from device.adapters.vitals_sysfs import SysfsVitals
from device.errors import DeviceError
from device.ports import Clock, Outbox, ReferenceStore, Signer, Vitals
from device.runner.chain import Chain
from device.runner.events import EventLog
from device.runner.records import Identity as RecordIdentity
from device.settings import Settings
from device.simulated.vitals import SimulatedVitals
from device.updates.in_force import start
from device.updates.marks import Process
from device.updates.place import place_of
from device.updates.release_keys import release_keys
from device.updates.stock import desired_store, shelf_of
from device.uplink.downloads import Fetcher, HttpsDoor
from device.uplink.inbox import Inbox
from device.uplink.loop import Identity, Link, Parts, Uplink
from device.uplink.mqtt import MqttLink
from device.uplink.reaching import OwnReach, ReachingForOthers
from device.uplink.updating import UplinkUpdating
from protocol.courier import CourierBundle
from protocol.events import EventKind
from protocol.topics import Kind

logger = logging.getLogger(__name__)

_SPARE_INFLIGHT = 8
"""Room for presence and questions beside a full window of records."""


def run(settings: Settings) -> None:
    """Carry messages between this terminal and its fleet until SIGTERM or SIGINT.

    A broker that cannot be reached is no error: it is tried again for ever. Call it from the main thread.

    Raises:
        KeyUnusable: if a key, a certificate or the fleet's identity cannot be used.
        StoreUnusable: if a database must not be touched.
        RestartAsked: if there is something newer to start from.
        DeviceError: if the data folder cannot be used.
    """
    identity = Identity(settings.terminal.fleet_id, settings.terminal.terminal_id, version("lifecert"))
    fleet_key = load_fleet_identity(settings.keys.fleet, fleet_id=identity.fleet_id).signing_key
    desired = desired_store(settings, fleet_key)
    started = start(Process.UPLINK, settings, desired.current())
    settings = started.settings
    inbox = Inbox(
        fleet_id=identity.fleet_id,
        terminal_id=identity.terminal_id,
        fleet_key=fleet_key,
        sealing_key=load_private_key(settings.keys.sealing.path),
    )
    signer = KeyfileSigner(settings.keys.signing.path)
    clock = SystemClock(settings.clock_path)
    outbox = SqliteOutbox(settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes)
    references = SqliteReferenceStore(settings.references_path, settings.keys.storage.path, clock)

    def make_link(on_arrived: Callable[[str, bytes], None], on_taken: Callable[[int], None]) -> Link:
        return MqttLink(
            identity.terminal_id,
            settings.broker,
            connect_timeout_s=settings.uplink.connect_timeout_s,
            max_inflight=settings.uplink.window + _SPARE_INFLIGHT,
            on_arrived=on_arrived,
            on_taken=on_taken,
        )

    notifier = SystemdNotifier()
    policies = FilePolicyStore(settings.policy_path, fleet_key)
    packs = FileRulePackStore(settings.rule_packs_path, fleet_key)
    attestations = FileAttestationStore(
        settings.attestation_path,
        fleet_key,
        fleet_id=identity.fleet_id,
        terminal_id=identity.terminal_id,
        key_id=signer.key_id,
    )
    staff = FileStaffStore(settings.staff_path, settings.keys.storage.path)
    attachments = SqliteAttachmentStore(settings.attachments_path, max_bytes=settings.outbox.max_bytes)
    commands = open_commands(settings.commands_path)
    shelf, entropy = shelf_of(settings), SystemEntropy()
    fetcher = Fetcher(
        settings,
        desired,
        shelf,
        HttpsDoor(settings.broker, now=lambda: clock.now().wall_clock),
        place=lambda: place_of(settings, clock.now()),
        now=clock.now,
        key_of=release_keys(settings.updates.release_keys),
        fraction=lambda: int.from_bytes(entropy.token(4), "big") / 2.0**32,
    )
    parts = Parts(
        outbox=outbox,
        references=references,
        policies=policies,
        packs=packs,
        attestations=attestations,
        staff=staff,
        attachments=attachments,
        signer=signer,
        clock=clock,
        entropy=entropy,
        inbox=inbox,
        vitals=vitals_of(settings),
        running=FileRunning(settings.running_path),
        commands=commands,
        reports=FileReportStore(settings.reports_path),
        desired=desired,
        updates=UplinkUpdating(started, desired, shelf, clock, fetches=fetcher.fetches),
    )
    events = event_log(settings, outbox=outbox, signer=signer, clock=clock)
    uplink = Uplink(
        identity,
        parts,
        settings.uplink,
        keep=settings.outbox.keep,
        keep_alive_s=settings.broker.keep_alive_s,
        make_link=make_link,
        alive=notifier.alive,
        on_refused=refusal_log(events, references),
    )
    reaching = ReachingForOthers(FileReaching(settings.reaching_path), lambda: OwnReach(settings, signer, clock))
    stop = _stop_on_signals()
    fetcher.start()
    reaching.start()
    notifier.ready(f"uplink of {identity.terminal_id} to {settings.broker.host}:{settings.broker.port}")
    logger.info("uplink started broker=%s:%d", settings.broker.host, settings.broker.port)
    try:
        uplink.run(stop)
    finally:
        notifier.stopping()
        reaching.stop()
        fetcher.stop()
        commands.close()
        attachments.close()
        references.close()
        outbox.close()
    logger.info("uplink stopped")


def vitals_of(settings: Settings) -> Vitals:
    """Return what knows the condition of the board: of the simulated one where the terminal stands on it."""
    return SimulatedVitals() if settings.camera.kind == "simulated" else SysfsVitals(settings.terminal.data_dir)


def event_log(settings: Settings, *, outbox: Outbox, signer: Signer, clock: Clock) -> EventLog:
    """Return what notes events of this terminal from a process that runs no sessions."""
    who = RecordIdentity(
        fleet_id=settings.terminal.fleet_id,
        terminal_id=settings.terminal.terminal_id,
        software=version("lifecert"),
        networks=(),
        features_name="",
        features_sha256="",
        is_simulated=settings.camera.kind == "simulated",
    )
    chain = Chain(outbox=outbox, signer=signer, entropy=SystemEntropy(), identity=who)
    return EventLog(chain=chain, identity=who, clock=clock)


def refusal_log(events: EventLog, references: ReferenceStore) -> Callable[[Kind | CourierBundle, str], None]:
    """Return what notes, as a link of the terminal's chain, that something sent down was refused; of a roster staff see it, too."""

    def note(kind: Kind | CourierBundle, why: str) -> None:
        if kind == Kind.ROSTER:
            try:
                references.note_refused()
            except DeviceError as error:
                logger.warning("refused roster not remembered why=%s", error)
        events.note(EventKind.REFUSED, kind=str(kind), why=why)

    return note


def _stop_on_signals() -> Event:
    stop = Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
