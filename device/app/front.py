"""Puts the front desk together: what the screen and the operators of one terminal work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.staff_file import FileStaffStore
from device.app.slips import code_content, slip_sheet, verify_slip
from device.desk.view import CountsView, Language, SlipView, StaffWarning
from device.ports import AttestationStore, DeskScreen, Positioner, PrinterCondition, SlipPrinter
from device.runner.casework import Casework
from device.runner.commissionings import CommissioningRunner
from device.runner.events import EventLog
from device.runner.front import FrontDesk, FrontParts
from device.runner.loop import Ports, Runner, Stored
from device.runner.records import Identity
from device.runner.sticks import StickRunner
from device.settings import Settings
from protocol.documents import MaskedDocument
from protocol.offline import OfflineReason, Standing
from protocol.presence import PictureCounts, Tally, tally
from protocol.registration import FleetIdentity
from protocol.slip import make_slip
from protocol.times import DeviceTime, agency_day


@dataclass(frozen=True, slots=True)
class Front:
    """The front desk with what it alone opened."""

    desk: FrontDesk
    events: EventLog
    staff: FileStaffStore
    attachments: SqliteAttachmentStore

    def close(self) -> None:
        """Close the store of pictures; may be called twice."""
        self.attachments.close()


def make_front(
    settings: Settings,
    runner: Runner,
    *,
    ports: Ports,
    identity: Identity,
    attestations: AttestationStore,
    fleet: FleetIdentity,
    printer: SlipPrinter | None,
    screen: DeskScreen | None,
    stick: StickRunner | None,
    commissioning: CommissioningRunner | None = None,
    positioner: Positioner | None = None,
    set_voice: Callable[[Language, bool], None],
) -> Front:
    """Return the front desk of a terminal.

    Raises:
        DeviceError: if a store cannot be opened.
    """
    attachments = SqliteAttachmentStore(settings.attachments_path, max_bytes=settings.outbox.max_bytes)

    def today() -> date:
        return agency_day(ports.clock.now())

    staff = FileStaffStore(settings.staff_path, settings.keys.storage.path)
    events = EventLog(chain=runner.chain, identity=identity, clock=ports.clock)
    casework = Casework(
        chain=runner.chain,
        attachments=attachments,
        identity=identity,
        clock=ports.clock,
        entropy=ports.entropy,
        today=today,
    )

    def slip_of(stored: Stored) -> str | None:
        attestation = attestations.current()
        if attestation is None:
            return None
        slip = make_slip(
            stored.record,
            record_sha256=stored.sha256,
            masked=MaskedDocument(stored.record.claim.document, stored.tail),
            decided_on=agency_day(stored.record.decided),
            sign=ports.signer.sign,
            attestation=attestation,
        )
        page_url = settings.slip.page_url
        if printer is not None:
            languages = settings.terminal.languages
            printer.print_slip(slip_sheet(slip, fleet_key=fleet.signing_key, languages=languages, page_url=page_url))
        return code_content(slip, page_url)

    def check(text: str) -> SlipView:
        found = verify_slip(text, fleet, ports.clock.now())
        if found.slip is None:
            return SlipView(found.verdict.value)
        return SlipView(found.verdict.value, found.slip.outcome.value, found.slip.certified_until)

    def standing() -> tuple[CountsView, tuple[StaffWarning, ...]]:
        whole = tally(ports.outbox.counts())
        policy = ports.policies.current()
        most_s = None if policy is None else policy.max_clock_uncertainty_s
        pictures = attachments.counts()
        warnings = staff_warnings(
            runner.standing(),
            whole,
            pictures,
            ports.clock.now(),
            most_s,
            was_roster_refused=ports.references.was_refused(),
        )
        if printer is not None and printer.condition is not PrinterCondition.READY:
            warnings += (StaffWarning.PRINTER,)
        if runner.is_power_failing:
            warnings += (StaffWarning.POWER_FAILING,)
        counts = CountsView(
            stored=whole.stored,
            confirmed=whole.confirmed,
            refused=whole.refused,
            pictures_waiting=pictures.waiting,
            pictures_refused=pictures.refused,
        )
        return counts, warnings

    desk = FrontDesk(
        runner,
        ports=ports,
        identity=identity,
        parts=FrontParts(
            screen=screen,
            staff=staff,
            casework=casework,
            events=events,
            today=today,
            set_voice=set_voice,
            slip_of=slip_of,
            check_slip=check,
            standing=standing,
            stick=stick,
            positioner=positioner,
            commissioning=commissioning,
        ),
        language=settings.terminal.languages[0],
        is_slow=settings.voice.slow,
    )
    return Front(desk, events, staff, attachments)


def staff_warnings(
    standing: Standing,
    whole: Tally,
    pictures: PictureCounts,
    now: DeviceTime,
    max_uncertainty_s: float | None,
    *,
    was_roster_refused: bool = False,
) -> tuple[StaffWarning, ...]:
    """Return what staff should know of network, records, pictures, roster and clock.

    Args:
        standing: how the terminal stands without its fleet.
        whole: what became of all records.
        pictures: those of cases that are still here.
        now: the moment, with its worth.
        max_uncertainty_s: the policy's bound on the clock; None without a policy.
        was_roster_refused: whether a roster came and could not be taken, and none has been taken since.
    """
    found = [_WARNINGS[reason] for reason in standing.reasons]
    if whole.refused or pictures.refused:
        found.append(StaffWarning.RECORDS_REFUSED)
    bound = now.uncertainty_s
    if bound is None or (max_uncertainty_s is not None and bound > max_uncertainty_s):
        found.append(StaffWarning.CLOCK_UNSURE)
    if was_roster_refused:
        found.append(StaffWarning.ROSTER_REFUSED)
    return tuple(found)


_WARNINGS = {
    OfflineReason.DAYS: StaffWarning.OFFLINE,
    OfflineReason.RECORDS: StaffWarning.RECORDS_WAITING,
    OfflineReason.ROSTER: StaffWarning.ROSTER_ENDS,
}
