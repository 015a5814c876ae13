"""The command line `lifecert-fleet`: puts the commands together. Exit 0 done, 1 failed, 2 usage, 78 settings."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib.metadata import version as package_version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fleet.commands import (
    accounts,
    areas,
    audit,
    benefit_cases,
    benefits,
    cards,
    cases,
    courier,
    duplicates,
    feeds,
    fleet_setup,
    life,
    lists,
    operators,
    partners,
    photos,
    pki,
    places,
    policy,
    privacy,
    references,
    reminders,
    rules,
    statistics,
    status,
    terminal_commands,
    terminal_life,
    terminals,
    updates,
)
from fleet.commands.events import events
from fleet.commands.history import history
from fleet.commands.name_list import name_list
from fleet.commands.people import import_subjects
from fleet.commands.simulate import simulate

_PANELS: dict[str, dict[str, typer.Typer | Callable[..., None]]] = {
    "Setting up": {
        "init": fleet_setup.init,
        "migrate": fleet_setup.migrate,
        "serve": fleet_setup.serve,
        "accounts": accounts.app,
        "areas": areas.app,
        "places": places.app,
        "pki": pki.app,
        "operator": operators.app,
        "write-slip-page": fleet_setup.write_slip_page,
    },
    "People": {
        "import-subjects": import_subjects,
        "lists": lists.app,
        "life": life.app,
        "photos": photos.app,
        "enrol": references.enrol,
        "withdraw": references.withdraw,
        "references": references.app,
        "card": cards.app,
        "duplicates": duplicates.app,
        "history": history,
    },
    "Terminals": {
        "register-terminal": terminals.register_terminal,
        "retire-terminal": terminals.retire_terminal,
        "assign": terminals.assign,
        "terminals": terminal_commands.app,
        "updates": updates.app,
        "name-list": name_list,
        "courier": courier.app,
        "events": events,
        "quarantine": status.show_quarantine,
    },
    "Rules and status": {
        "rules": rules.app,
        "what-if": rules.run_what_if,
        "publish-policy": policy.publish_policy,
        "calibrate": policy.calibrate,
        "approve-calibration": policy.approve_calibration,
        "rebuild-status": status.rebuild_status,
    },
    "Stops and cases": {
        "reminders": reminders.app,
        "benefits": benefits.app,
        "cases": cases.app,
    },
    "Exchange": {
        "feeds": feeds.app,
        "partners": partners.app,
    },
    "Figures": {
        "statistics": statistics.app,
        "simulate": simulate,
    },
    "Privacy and audit": {
        "privacy": privacy.app,
        "audit": audit.app,
        "verify-audit": audit.verify_audit,
    },
}
"""What stands under which heading of the help, in its order there."""


class _InOrder(TyperGroup):
    """Lists the commands in the order of `_PANELS`; of itself the library lists single commands before groups of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        order = [name for entries in _PANELS.values() for name in entries]
        return sorted(super().list_commands(ctx), key=order.index)


app = typer.Typer(
    name="lifecert-fleet",
    cls=_InOrder,
    help="The fleet server of Lifecert.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
benefits.app.command("i-am-here")(benefit_cases.decide)
benefits.app.command("recover")(benefit_cases.recover)
benefits.app.command("settle")(benefit_cases.settle)
terminals_app = terminal_commands.app
terminals_app.command("list")(terminal_life.list_terminals)
for _command in (
    terminal_life.swap,
    terminal_life.suspend,
    terminal_life.resume,
    terminal_life.judge,
    terminal_life.decommissioned,
):
    terminals_app.command()(_command)
for _panel, _entries in _PANELS.items():
    for _name, _entry in _entries.items():
        if isinstance(_entry, typer.Typer):
            app.add_typer(_entry, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_entry)


def main() -> None:
    """Entry point of the console script."""
    app()


@app.callback(invoke_without_command=True)
def root(
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """The fleet server of Lifecert."""
    if version:
        typer.echo(f"lifecert-fleet {package_version('lifecert')}")
        raise typer.Exit
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    # It logs every request of its client and every migration step at INFO.
    for name in ("alembic", "uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
