"""Puts the front desk together: what the screen and the operators of one terminal work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.staff_file import FileStaffStore
from device.app.slips import code_content, slip_sheet, today_of, verify_slip
from device.desk.view import CountsView, Language, SlipView, StaffWarning
from device.ports import AttestationStore, DeskScreen, SlipPrinter
from device.runner.casework import Casework
from device.runner.events import EventLog
from device.runner.front import FrontDesk, FrontParts, StickRunner
from device.runner.loop import Ports, Runner, Stored
from device.runner.records import Identity
from device.settings import Settings
from protocol.documents import MaskedDocument
from protocol.registration import FleetIdentity
from protocol.slip import make_slip


@dataclass(frozen=True, slots=True)
class Front:
    """The front desk with what it alone opened."""

    desk: FrontDesk
    events: EventLog
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
    set_voice: Callable[[Language, bool], None],
) -> Front:
    """Return the front desk of a terminal.

    Raises:
        DeviceError: if a store cannot be opened.
    """
    attachments = SqliteAttachmentStore(settings.attachments_path, max_bytes=settings.outbox.max_bytes)

    def today() -> date:
        return today_of(ports.clock.now())

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
            decided_on=today_of(stored.record.decided),
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
        counts = ports.outbox.counts()
        warnings = (StaffWarning.RECORDS_REFUSED,) if counts.refused else ()
        return CountsView(
            stored=counts.pending + counts.published + counts.acknowledged + counts.refused,
            confirmed=counts.acknowledged,
            refused=counts.refused,
        ), warnings

    desk = FrontDesk(
        runner,
        ports=ports,
        identity=identity,
        parts=FrontParts(
            screen=screen,
            staff=FileStaffStore(settings.staff_path, settings.keys.storage.path),
            casework=casework,
            events=events,
            today=today,
            set_voice=set_voice,
            slip_of=slip_of,
            check_slip=check,
            standing=standing,
            stick=stick,
        ),
        language=settings.terminal.languages[0],
    )
    return Front(desk, events, attachments)
