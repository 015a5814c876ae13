"""`lifecert-fleet accounts`: who may sign in to the console, and what they are for the agency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.accounts import changes, operators, registry, second_word
from fleet.accounts.changes import Change
from fleet.accounts.granting import Actor
from fleet.accounts.registry import Account
from fleet.accounts.roles import Grant, Role
from fleet.app import Fleet, account_rules
from fleet.cases import open_words
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say, table

app = typer.Typer(
    help="Accounts of the console: who may sign in, their roles and areas.",
    no_args_is_help=True,
)
Named = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name or id of the account.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
RoleOption = Annotated[Role, typer.Option("--role")]
Area = Annotated[
    str | None,
    typer.Option("--area", help="Code of the area where it holds, with all below it; without one in the whole fleet."),
]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What the person is called; no two accounts have the same name.")],
    role: RoleOption,
    by: By,
    area: Area = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Add an account with its first role; the first account is a fleet administrator's."""
    with opened(config) as fleet:
        actor = _actor(fleet, by)
        account_id = registry.add_account(
            fleet.database, fleet.keys.cipher, actor, name=name, grant=Grant(role, area), now=fleet.clock()
        )
    if as_json:
        print_json({"account_id": account_id})
        return
    typer.echo(account_id)
    say(f"account {account_id} is added; `lifecert-fleet accounts link {account_id}` lets its owner sign in and set up")


@app.command("list")
def list_accounts(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List all accounts, in service or not."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        everybody = Actor("", None, None)
        rows = [_row(each) for each in registry.accounts_for(connection, fleet.keys.cipher, everybody)]
    if as_json:
        print_json({"accounts": rows})
        return
    shown = table("id", "name", "roles", "signs in", "state")
    for row in rows:
        roles = ", ".join(
            grant["role"] + ("" if grant["area"] is None else f" in {grant['area']}") for grant in row["grants"]
        )
        ways = "by themselves" if row["is_set_up"] else "by a link"
        cells = (row["account_id"], row["name"], roles, ways, row["state"])
        shown.add_row(*(escape(cell) for cell in cells))
    Terminal().print(shown)


@app.command("grant")
def grant(named: Named, role: RoleOption, by: By, area: Area = None, config: Config = CONFIG) -> None:
    """Give an account a role, from its next request on."""
    account_id = _changed(config, named, by, registry.give, Grant(role, area))
    say(f"account {account_id} is now {role.value}{_where(area)}")


@app.command("revoke")
def revoke(named: Named, role: RoleOption, by: By, area: Area = None, config: Config = CONFIG) -> None:
    """Take a role from an account, from its next request on."""
    account_id = _changed(config, named, by, registry.take, Grant(role, area))
    say(f"account {account_id} is no longer {role.value}{_where(area)}")


@app.command("disable")
def disable(named: Named, by: By, config: Config = CONFIG) -> None:
    """Take an account out of service; its sessions end at once."""
    account_id = _changed(config, named, by, registry.disable)
    say(f"account {account_id} is out of service")


@app.command("enable")
def enable(named: Named, by: By, config: Config = CONFIG) -> None:
    """Take an account back into service."""
    account_id = _changed(config, named, by, registry.enable)
    say(f"account {account_id} is in service")


@app.command("reset")
def reset(named: Named, by: By, config: Config = CONFIG) -> None:
    """Forget what an account signs in with, and end its sessions; a link lets its owner set up anew."""
    account_id = _changed(config, named, by, registry.reset)
    say(f"account {account_id} signs in by nothing now; `lifecert-fleet accounts link {account_id}` makes a link")


@app.command("link")
def link(named: Named, by: By, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Print an address that signs in as an account, once and within minutes; hand it to its owner by a safe way."""
    with opened(config) as fleet:
        account_id, actor = _found(fleet, named), _actor(fleet, by)
        rules = account_rules(fleet.settings)
        url = registry.make_link(fleet.database, fleet.keys.cipher, actor, account_id, rules=rules, now=fleet.clock())
    minutes = int(rules.link.total_seconds() // 60)
    if as_json:
        print_json({"account_id": account_id, "url": url, "minutes": minutes})
        return
    typer.echo(url)
    say(f"good once, for {minutes} minutes; whoever opens it is signed in as account {account_id}")


@app.command("operator")
def link_operator(
    named: Named,
    operator_id: Annotated[str, typer.Argument(metavar="OPERATOR", help="Id of an operator of terminals.")],
    by: By,
    gone: Annotated[bool, typer.Option("--gone", help="It is another person.")] = False,
    config: Config = CONFIG,
) -> None:
    """Say that the person of an account is an operator of terminals, so that they review nothing that they took in there."""
    with opened(config) as fleet:
        account_id, actor = _found(fleet, named), _actor(fleet, by)
        change = operators.unlink if gone else operators.link
        change(fleet.database, fleet.keys.cipher, actor, account_id, operator_id, now=fleet.clock())
    say(f"operator {operator_id} is {'not ' if gone else ''}the person of account {account_id}")


@app.command("waiting")
def list_waiting(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List what was asked for at the console and waits for a second administrator."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        cipher = fleet.keys.cipher
        known = registry.accounts_for(connection, cipher, Actor("", None, None))
        names = {each.account_id: each.name for each in known}
        rows = [_waiting_row(each, names) for each in changes.waiting(connection, names)]
    if as_json:
        print_json({"changes": rows})
        return
    shown = table("change", "account", "what", "asked by", "asked")
    for row in rows:
        what = row["what"] if row["role"] is None else f"{row['what']} {row['role']}{_where(row['area'])}"
        cells = (row["change"], row["account"], what, row["asked_by"], row["asked_at"])
        shown.add_row(*(escape(cell) for cell in cells))
    Terminal().print(shown)


Asked = Annotated[str, typer.Argument(metavar="CHANGE", help="As `waiting` lists it.")]


@app.command("approve")
def approve(change: Asked, by: By, config: Config = CONFIG) -> None:
    """Be the second person of a change, as whoever has this server; the audit log says that it was done here."""
    _decided(config, change, by, second_word.approve)
    say(f"change {change} has taken effect")


@app.command("refuse")
def refuse(change: Asked, by: By, config: Config = CONFIG) -> None:
    """Drop a change that waits for a second person."""
    _decided(config, change, by, second_word.drop)
    say(f"change {change} is dropped")


def _decided(config: Any, change: str, by: str, decide: Callable[..., Change]) -> None:
    with opened(config) as fleet:
        decide(fleet.database, fleet.keys.cipher, _actor(fleet, by), change, now=fleet.clock())


def _waiting_row(change: Change, names: dict[str, str]) -> dict[str, Any]:
    return {
        "change": change.change_id,
        "account_id": change.account_id,
        "account": names[change.account_id],
        "what": change.action.value,
        "role": None if change.grant is None else change.grant.role.value,
        "area": None if change.grant is None else change.grant.area,
        "asked_by": names.get(change.asked_by, ""),
        "asked_at": change.asked_at.isoformat(timespec="seconds"),
    }


def _changed(config: Any, named: str, by: str, change: Callable[..., bool | None], *what: Grant) -> str:
    with opened(config) as fleet:
        account_id, actor = _found(fleet, named), _actor(fleet, by)
        change(fleet.database, fleet.keys.cipher, actor, account_id, *what, now=fleet.clock())
        if change in (registry.disable, registry.take):
            zone = fleet.settings.zone()
            open_words.drop_of(fleet.database, fleet.keys.cipher, account_id, by=by, now=fleet.clock(), zone=zone)
    return account_id


def _found(fleet: Fleet, named: str) -> str:
    with fleet.database.begin() as connection:
        return registry.find(connection, fleet.keys.cipher, named)


def _actor(fleet: Fleet, by: str) -> Actor:
    with fleet.database.begin() as connection:
        return registry.at_keyboard(connection, fleet.keys.cipher, by)


def _where(area: str | None) -> str:
    return " in the whole fleet" if area is None else f" in {area}"


def _row(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "name": account.name,
        "grants": [{"role": grant.role.value, "area": grant.area} for grant in account.grants],
        "is_set_up": account.is_set_up,
        "added_at": account.added_at.isoformat(timespec="seconds"),
        "state": "in service" if account.disabled_at is None else "disabled",
    }
