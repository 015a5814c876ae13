"""Reads a list of terminals, one a line, checks all of it, and says everything that is wrong before anything is done."""

from __future__ import annotations

import csv
import difflib
import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from protocol.ids import TerminalId
from provisioning.cards.contents import host_name_problem, timezone_problem
from provisioning.cards.network import Wifi, Wired, wifi, wifi_problems, wired, wired_problems
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
ALSO_CALLED: Final = {"终端": "terminal_id", "终端编号": "terminal_id", "地区": "area", "区划代码": "area"}
"""What `lifecert-fleet pki claim --list` takes as well, in the same file."""
_ON_LABELS: Final = ("terminal_id", "place")
_OF_WIFI: Final = ("wifi_password_file", "wifi_security", "wifi_hidden")
"""Each without a network's name is a mistake."""
_WIFI_COLUMNS: Final = {
    "name": "wifi_ssid",
    "password": "wifi_password_file",
    "country": "wifi_country",
    "security": "wifi_security",
}
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


def read_list(
    path: Path, *, timezone: str = "UTC", wifi_country: str | None = None, with_networks: bool = True
) -> tuple[list[Listed], list[str]]:
    """Read a list, CSV in UTF-8 or GB18030 with a line of headings.

    Args:
        path: its file.
        timezone: where a line has none.
        wifi_country: likewise.
        with_networks: False where nothing but the terminals' names and places is asked for: nothing else is looked at.

    Returns:
        The lines in which nothing is wrong, and all that is wrong with the others, each with line and column.

    Raises:
        ListRefused: if it is no list of terminals.
        FileUnusable: if it cannot be read.
    """
    rows, problems = _rows(path)
    if not with_networks:
        rows = [(line, {name: row[name] for name in _ON_LABELS if name in row}) for line, row in rows]
    found: list[Listed] = []
    lines: dict[str, int] = {}
    passwords: dict[Path, str] = {}
    for line, given in rows:
        row = {**given, "wifi_country": given.get("wifi_country") or wifi_country or ""}
        row["host_name"] = given.get("host_name") or row["terminal_id"]
        row["timezone"] = given.get("timezone") or timezone
        wrong = _problems(row, path.parent, passwords)
        for column in ("terminal_id", "host_name"):
            name = f"{column} {row[column]}"
            is_said = column == "host_name" and row[column] == row["terminal_id"] and "terminal_id" in wrong
            if lines.setdefault(name, line) != line and not is_said:
                wrong.setdefault(column, f"{row[column]} stands in line {lines[name]}, too")
        problems += [(line, f"{column}: {problem}") for column, problem in wrong.items()]
        if not wrong:
            found.append(_listed(line, row, passwords.get(path.parent / row.get("wifi_password_file", ""), "")))
    if not rows and not problems:
        raise ListRefused(f"{path.name}: no terminal in it")
    # Of one line in the order of its columns, as they were found.
    told = sorted(problems, key=lambda problem: problem[0])
    return found, [f"{path.name}: line {line}: {problem}" for line, problem in told]


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[tuple[int, str]]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    if len(data) > _MOST_BYTES or data.startswith(b"PK"):
        raise FileUnusable(f"{path}: not a CSV file; save the table as CSV UTF-8")
    reader = csv.DictReader(io.StringIO(_decoded(path, data), newline=""), strict=True)
    written = [(name or "").strip() for name in reader.fieldnames or ()]
    headings = [_OF_HEADING.get(_folded(name), name) for name in written]
    wrong = [_unknown(name) for name in headings if name not in COLUMNS]
    wrong += [f"column {name} stands there twice" for name in sorted(set(headings)) if headings.count(name) > 1]
    if "terminal_id" not in headings:
        wrong.append(
            "no column terminal_id (also called 终端, 终端编号); columns are told apart by commas, and the first line names them"
        )
    if wrong:
        raise ListRefused("\n".join(f"{path.name}: line 1: {problem}" for problem in wrong))
    reader.fieldnames = headings
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[tuple[int, str]] = []
    try:
        for cells in reader:
            if None in cells or None in cells.values():
                problems.append((reader.line_num, f"{len(headings)} columns expected"))
            elif any(cell.strip() for cell in cells.values()):
                rows.append((reader.line_num, {name: cell.strip() for name, cell in cells.items()}))
    except csv.Error as error:
        problems.append((reader.line_num, f"not CSV: {error}"))
    return rows, problems


def _folded(heading: str) -> str:
    return "".join(unicodedata.normalize("NFKC", heading).replace("_", "").split()).casefold()


_OF_HEADING: Final = {
    _folded(heading): name for heading, name in (*zip(COLUMNS, COLUMNS, strict=True), *ALSO_CALLED.items())
}


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


def _problems(row: dict[str, str], folder: Path, passwords: dict[Path, str]) -> dict[str, str]:
    """Return what is wrong with a line, by column; passwords that it names are added to those that were read."""
    wrong: dict[str, str] = {}
    try:
        _ID.validate_python(row["terminal_id"])
    except ValidationError:
        wrong["terminal_id"] = "small letters, digits and dashes expected, 63 at most"
    place = row.get("place", "")
    if len(place) > _MOST_PLACE or not place.isprintable():
        wrong["place"] = f"at most {_MOST_PLACE} characters that can be shown expected"
    # Where none is given it is the terminal's, of which the same would be said.
    if row["host_name"] != row["terminal_id"] and (problem := host_name_problem(row["host_name"])):
        wrong["host_name"] = problem
    if problem := timezone_problem(row["timezone"]):
        wrong["timezone"] = problem
    return wrong | _wifi_problems(row, folder, passwords) | _wired_problems(row)


def _wifi_problems(row: dict[str, str], folder: Path, passwords: dict[Path, str]) -> dict[str, str]:
    if not row.get("wifi_ssid"):
        return {name: "without wifi_ssid" for name in _OF_WIFI if row.get(name)}
    wrong: dict[str, str] = {}
    if row.get("wifi_hidden", "").lower() not in ("", "yes", "no"):
        wrong["wifi_hidden"] = "yes or no expected"
    path = folder / row.get("wifi_password_file", "")
    if path != folder and path not in passwords:
        try:
            passwords[path] = read_password(path)
        except FileUnusable as error:
            wrong["wifi_password_file"] = str(error)
    found = wifi_problems(row["wifi_ssid"], passwords.get(path, ""), row["wifi_country"], _security(row))
    return {_WIFI_COLUMNS[what]: problem for what, problem in found.items()} | wrong


def _wired_problems(row: dict[str, str]) -> dict[str, str]:
    if not row.get("address"):
        return {name: "without address" for name in ("gateway", "dns") if row.get(name)}
    return wired_problems(row["address"], row.get("gateway", ""), tuple(row.get("dns", "").split()))


def _listed(line: int, row: dict[str, str], password: str) -> Listed:
    """Return a line in which nothing is wrong."""
    wireless, cable = row.get("wifi_ssid", ""), row.get("address", "")
    is_hidden = row.get("wifi_hidden", "").lower() == "yes"
    return Listed(
        line,
        row["terminal_id"],
        row.get("place", ""),
        row["host_name"],
        row["timezone"],
        wifi(wireless, password, row["wifi_country"], security=_security(row), is_hidden=is_hidden)
        if wireless
        else None,
        wired(cable, row.get("gateway", ""), tuple(row.get("dns", "").split())) if cable else None,
    )


def _security(row: dict[str, str]) -> str:
    return row.get("wifi_security") or "wpa2"


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
