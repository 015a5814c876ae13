"""Slips at the terminal: what is printed, and what is said of one that somebody brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from device.ports import SlipSheet
from device.settings import Printer as PrinterSettings
from protocol.keys import PublicJwk
from protocol.registration import FleetIdentity
from protocol.slip import Slip, SlipCheck, bare_slip, check_slip, qr_segments, read_slip
from protocol.slip_words import check_line, how_to_check, slip_lines, today_unsure
from protocol.times import ClockSource, DeviceTime, agency_day


def code_content(slip: str, page_url: str | None) -> str:
    """Return what the QR code of a slip says: the slip, behind the address of the fleet's page where there is one."""
    return "".join(qr_segments(slip, page_url))


def slip_sheet(slip: str, *, fleet_key: PublicJwk, languages: Sequence[str], page_url: str | None) -> SlipSheet:
    """Return what comes out of the printer for a slip.

    Args:
        slip: from `protocol.slip.make_slip`, or scanned.
        fleet_key: the fleet's public signing key: what nobody could check is not printed.
        languages: in this order.
        page_url: from the settings.

    Raises:
        ProtocolError: if the slip is not genuine.
    """
    found = read_slip(slip, fleet_key)
    lines = tuple(line for language in languages for line in (*slip_lines(found, language), how_to_check(language), ""))
    return SlipSheet(lines, code_content(bare_slip(slip), page_url))


def print_now(sheet: SlipSheet, settings: PrinterSettings) -> None:
    """Print a slip while somebody waits for it, outside any session.

    Raises:
        PrinterUnavailable: if the printer has no paper or does not take it.
    """
    from device.adapters.printer_escpos import EscposPrinter

    EscposPrinter(settings).print_here(sheet)


def verify_slip(text: str, fleet: FleetIdentity, now: DeviceTime) -> SlipCheck:
    """Return whether a slip is genuine and holds now."""
    return check_slip(text, fleet, today=agency_day(now))


def check_in_words(check: SlipCheck, now: DeviceTime, languages: Sequence[str]) -> str:
    """Return what came of a check, a thing a line, language after language."""
    lines: list[str] = []
    for language in languages:
        lines.append(check_line(check, language))
        if now.source is ClockSource.NONE:
            lines.append(today_unsure(language))
        if check.slip is not None:
            lines += slip_lines(check.slip, language)
    return "\n".join(lines)


def check_as_data(check: SlipCheck, now: DeviceTime) -> dict[str, Any]:
    """Return what came of a check, for programs."""
    return {
        "valid": check.is_valid,
        "certified": check.is_certified,
        "verdict": str(check.verdict),
        "today": agency_day(now).isoformat(),
        "today_certain": now.source is not ClockSource.NONE,
        "slip": None if check.slip is None else _as_data(check.slip),
    }


def _as_data(slip: Slip) -> dict[str, Any]:
    until = slip.certified_until
    return {
        "fleet_id": slip.statement.fleet_id,
        "terminal_id": slip.statement.terminal_id,
        "record_digest": slip.record_digest,
        "outcome": str(slip.outcome),
        "certified_until": None if until is None else until.isoformat(),
        "decided_on": slip.decided_on.isoformat(),
        "clock_certain": slip.clock_certain,
        "simulated": slip.simulated,
        "document": {"kind": str(slip.document.kind), "tail": slip.document.tail},
        "next_step": str(slip.next_step),
        "key_valid_from": slip.statement.valid_from.isoformat(),
        "key_valid_until": slip.statement.valid_until.isoformat(),
    }
