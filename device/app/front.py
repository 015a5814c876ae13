"""Puts the front desk together: what the screen and the operators of one terminal work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta, timezone

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.staff_file import FileStaffStore
from device.desk.view import CountsView, Language
from device.ports import AttestationStore, Clock, DeskScreen
from device.runner.casework import Casework
from device.runner.events import EventLog
from device.runner.front import FrontDesk, FrontParts, StickRunner
from device.runner.loop import Ports, Runner, Stored
from device.runner.records import Identity
from device.settings import Settings
from protocol.documents import MaskedDocument
from protocol.slip import make_slip

_CHINA = timezone(timedelta(hours=8))
"""The terminals stand in one time zone; a day of a benefit rule is a day there."""


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
        return _today(ports.clock)

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
        return make_slip(
            stored.record,
            record_sha256=stored.sha256,
            masked=MaskedDocument(stored.record.claim.document, stored.tail),
            decided_on=stored.record.decided.wall_clock.astimezone(_CHINA).date(),
            sign=ports.signer.sign,
            attestation=attestation,
        )

    def standing() -> tuple[CountsView, tuple[str, ...]]:
        counts = ports.outbox.counts()
        warnings = ("records_refused",) if counts.refused else ()
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
            standing=standing,
            stick=stick,
        ),
        language=settings.terminal.languages[0],
    )
    return Front(desk, events, attachments)


def _today(clock: Clock) -> date:
    return clock.now().wall_clock.astimezone(_CHINA).date()
