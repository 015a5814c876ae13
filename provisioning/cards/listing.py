"""Reads a list of terminals, one a line, checks all of it, and says everything that is wrong before anything is done."""

from __future__ import annotations

import csv
import difflib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from protocol.ids import TerminalId
from provisioning.cards.network import Wifi, Wired, wifi, wired
from provisioning.errors import FileUnusable, ListRefused

COLUMNS: Final = {
    "terminal_id": "its name at the fleet; small letters, digits and dashes",
    "area": "code of the area it serves; for `lifecert-fleet pki claim --list`",
    "place": "where it stands, in words for its label",
    "host_name": "its name in the network; the terminal's without",
    "timezone": "such as Asia/Urumqi; the command's --timezone without",
    "wifi_ssid": "name of the wireless network; none without",
    "wifi_password_file": "file with its password, from the folder of the list",
    "wifi_country": "two letters, such as CN; the command's --wifi-country without",
    "wifi_security": "wpa2 (without), wpa3 or open",
    "wifi_hidden": "yes where the network does not tell its name",
    "address": "fixed address at the cable, such as 192.0.2.10/24; asked for (DHCP) without",
    "gateway": "the router, where there is a fixed address",
    "dns": "name servers, with spaces between",
}
"""What a list may have; `terminal_id` it must."""
_ENCODINGS: Final = ("utf-8-sig", "gb18030")
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_PLACE: Final = 120
_ID: Final[TypeAdapter[str]] = TypeAdapter(TerminalId)


@dataclass(frozen=True, slots=True)
class Listed:
    """One terminal of a list."""

    line: int
    terminal_id: str
    place: str
    host_name: str
    timezone: str
    wifi: Wifi | None
    wired: Wired | None


def read_list(path: Path, *, timezone: str, wifi_country: str | None) -> list[Listed]:
    """Read a list, CSV in UTF-8 or GB18030 with a line of headings.

    Args:
        path: its file.
        timezone: where a line has none.
        wifi_country: likewise.

    Raises:
        ListRefused: with every problem, each with its line.
        FileUnusable: if it cannot be read.
    """
    rows, problems = _rows(path)
    found: list[Listed] = []
    lines: dict[str, int] = {}
    passwords: dict[Path, str] = {}
    for line, row in rows:
        try:
            each = _listed(line, row, path.parent, passwords, timezone, wifi_country)
        except FileUnusable as error:
            problems.append(f"line {line}: {error}")
            continue
        for what, name in (("terminal", each.terminal_id), ("host name", f"host {each.host_name}")):
            if lines.setdefault(name, line) != line:
                problems.append(f"line {line}: {what} {name.removeprefix('host ')} stands in line {lines[name]}, too")
        found.append(each)
    if not rows and not problems:
        problems.append("no terminal in it")
    if problems:
        raise ListRefused("\n".join(f"{path.name}: {problem}" for problem in problems))
    return found


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    if len(data) > _MOST_BYTES or data.startswith(b"PK"):
        raise FileUnusable(f"{path}: not a CSV file; save the table as CSV UTF-8")
    reader = csv.DictReader(io.StringIO(_decoded(path, data), newline=""), strict=True)
    headings = [(name or "").strip() for name in reader.fieldnames or ()]
    problems = [_unknown(name) for name in headings if name not in COLUMNS]
    problems += [f"column {name} stands there twice" for name in sorted(set(headings)) if headings.count(name) > 1]
    if "terminal_id" not in headings:
        problems.append("no column terminal_id; columns are told apart by commas, and the first line names them")
    if problems:
        raise ListRefused("\n".join(f"{path.name}: line 1: {problem}" for problem in problems))
    reader.fieldnames = headings
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        for cells in reader:
            if None in cells or None in cells.values():
                problems.append(f"line {reader.line_num}: {len(headings)} columns expected")
            elif any(cell.strip() for cell in cells.values()):
                rows.append((reader.line_num, {name: cell.strip() for name, cell in cells.items()}))
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: not CSV: {error}")
    return rows, problems


def _decoded(path: Path, data: bytes) -> str:
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileUnusable(f"{path}: neither UTF-8 nor GB18030; save the table as CSV UTF-8")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COLUMNS, n=1)
    hint = f", did you mean {near[0]}?" if near else f"; there are {', '.join(COLUMNS)}"
    return f"column {name[:40]!r} is not known{hint}"


def _listed(
    line: int, row: dict[str, str], folder: Path, passwords: dict[Path, str], timezone: str, wifi_country: str | None
) -> Listed:
    terminal_id = row["terminal_id"]
    try:
        _ID.validate_python(terminal_id)
    except ValidationError as error:
        raise FileUnusable("terminal_id: small letters, digits and dashes expected, 63 at most") from error
    place = row.get("place", "")
    if len(place) > _MOST_PLACE or not place.isprintable():
        raise FileUnusable(f"place: at most {_MOST_PLACE} characters that can be shown expected")
    return Listed(
        line,
        terminal_id,
        place,
        row.get("host_name") or terminal_id,
        row.get("timezone") or timezone,
        _wifi(row, folder, passwords, wifi_country),
        _wired(row),
    )


def _wifi(row: dict[str, str], folder: Path, passwords: dict[Path, str], country: str | None) -> Wifi | None:
    given = [name for name in ("wifi_password_file", "wifi_security", "wifi_hidden") if row.get(name)]
    if not row.get("wifi_ssid"):
        if given:
            raise FileUnusable(f"{', '.join(given)} without wifi_ssid")
        return None
    if (hidden := row.get("wifi_hidden", "").lower()) not in ("", "yes", "no"):
        raise FileUnusable("wifi_hidden: yes or no expected")
    name = row.get("wifi_password_file", "")
    password = ""
    if name:
        path = folder / name
        if path not in passwords:
            passwords[path] = read_password(path)
        password = passwords[path]
    return wifi(
        row["wifi_ssid"],
        password,
        row.get("wifi_country") or country or "",
        security=row.get("wifi_security") or "wpa2",
        is_hidden=hidden == "yes",
    )


def _wired(row: dict[str, str]) -> Wired | None:
    if not row.get("address"):
        if row.get("gateway") or row.get("dns"):
            raise FileUnusable("gateway and dns without address")
        return None
    return wired(row["address"], row.get("gateway", ""), tuple(row.get("dns", "").split()))


def read_password(path: Path) -> str:
    """Return the password in a file, without the end of its line.

    Raises:
        FileUnusable: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnusable(
            f"{path.name}: the password cannot be read: {getattr(error, 'strerror', 'not UTF-8')}"
        ) from error
