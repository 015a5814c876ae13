"""`lifecert-fleet audit` and `verify-audit`: the log of every change and every look, exported and checked by anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.audit.log import Entry, entries, export, verify_lines
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, reporting, say, table
from fleet.errors import CheckFailed, Refused

app = typer.Typer(help="The append-only log of every change and every look.", no_args_is_help=True)
_MOST_LISTED = 1000


@app.command("export")
def export_log(
    file: Annotated[Path, typer.Argument(help="Where to write it; one JSON object a line.")], config: Config = CONFIG
) -> None:
    """Write the whole log, checked while it is written; persons appear by keyed hashes only."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        try:
            with file.open("x", encoding="utf-8") as out:
                count, last = export(connection, out)
        except FileExistsError as error:
            raise Refused(f"{file}: exists already; give another name") from error
        except OSError as error:
            raise Refused(f"{file}: cannot be written: {error.strerror}") from error
        say(f"{count} entries written to {file}; last digest {last}")


@app.command("list")
def list_log(
    kind: Annotated[str | None, typer.Option("--kind", help="Only about objects of this kind.")] = None,
    object_id: Annotated[str | None, typer.Option("--id", help="Only about this object.")] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """List the newest entries; who did it by keyed hash: the same person has the same one."""
    with opened(config) as fleet:
        zone = fleet.settings.zone()
        with fleet.database.begin() as connection:
            found: list[Entry] = list(entries(connection, object_kind=kind, object_id=object_id))[-_MOST_LISTED:]
    if as_json:
        print_json({"entries": [{**_fields(entry), "at": entry.at.isoformat()} for entry in found]})
        return
    shown = table("entry", "at", "action", "by", "object", "detail")
    for entry in found:
        what = ", ".join(f"{name} {value}" for name, value in entry.detail.items())
        shown.add_row(
            str(entry.entry),
            f"{entry.at.astimezone(zone):%Y-%m-%d %H:%M}",
            entry.action,
            entry.actor_hash[:12],
            escape(f"{entry.object_kind} {entry.object_id}"),
            escape(what),
        )
    Terminal().print(shown)


def verify_audit(
    file: Annotated[Path, typer.Argument(help="An exported log.")],
    last: Annotated[
        str | None,
        typer.Option(
            "--last", help="Digest of the last entry as noted down before; without it a log cut short is whole."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an exported audit log offline: nothing changed, left out or put in. Needs neither keys nor database."""
    with reporting():
        try:
            with file.open(encoding="utf-8") as lines:
                count, digest = verify_lines(lines)
        except OSError as error:
            raise CheckFailed(f"{file}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise CheckFailed(f"{file}: not UTF-8 from byte {error.start}") from error
        except CheckFailed as error:
            raise CheckFailed(f"{file}: {error}") from error
        if last is not None and digest != last:
            raise CheckFailed(
                f"{file}: ends with digest {digest}, {last} expected: entries are missing at its end or were added"
            )
        if as_json:
            print_json({"entries": count, "last": digest})
        else:
            say(f"{file}: {count} entries, unbroken; last digest {digest}")


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in Entry.__slots__}
