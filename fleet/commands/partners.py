"""`lifecert-fleet partners`: other systems that may use the open interface."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console as Terminal
from rich.markup import escape

from fleet.app import Fleet
from fleet.clock import day_of
from fleet.commands.shared import CONFIG, EXIT_USAGE, AsJson, Config, fail, opened, print_json, say, table
from fleet.partners import registry
from fleet.store import partners as store
from fleet.store.partners import Partner, PartnerKind, Scope
from fleet.store.webhooks import webhook_lines
from protocol.rules.days import add_months

_VALID_MONTHS = 12
"""How long a partner is in service unless somebody says otherwise: the list is looked through once a year."""
_PER_MINUTE = 120
_OVERLAP_HOURS = 24.0
_READING = (Scope.STATUS_READ, Scope.STATISTICS_READ, Scope.RECORDS_READ)

app = typer.Typer(
    help="Partners: other systems that may use the open interface, their keys, and where news are sent.",
    no_args_is_help=True,
)
PartnerId = Annotated[str, typer.Argument(metavar="ID", help="Small letters, digits and hyphens.")]
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
Scopes = Annotated[
    list[Scope] | None, typer.Option("--scope", help="What it may do; may be given several times.", show_default=False)
]
Areas = Annotated[
    list[str] | None,
    typer.Option("--area", help="Code of an area it may see, with all below it; may be given several times."),
]
PerMinute = Annotated[int | None, typer.Option("--per-minute", help="Most requests in a minute.", show_default=False)]
ValidUntil = Annotated[datetime | None, typer.Option("--valid-until", formats=["%Y-%m-%d"], help="Last day.")]


@app.command("add")
def add(
    partner_id: PartnerId,
    by: By,
    name: Annotated[str | None, typer.Option("--name", help="What people call it; the id without one.")] = None,
    kind: Annotated[PartnerKind, typer.Option("--kind")] = PartnerKind.BIOMETRIC_SYSTEM,
    scopes: Scopes = None,
    areas: Areas = None,
    all_areas: Annotated[bool, typer.Option("--all-areas", help="It may see everybody.")] = False,
    local: Annotated[
        bool,
        typer.Option(
            "--local", help="A program of your own: kind own, all areas, reading scopes unless others are given."
        ),
    ] = False,
    per_minute: PerMinute = None,
    valid_until: ValidUntil = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Add a partner and print its key, once: it is stored nowhere and can be shown by nobody again."""
    sees_all = all_areas or local
    if sees_all == bool(areas):
        fail("areas: --area CODE, or --all-areas, or --local expected", EXIT_USAGE)
    chosen = scopes or (list(_READING) if local else [])
    if not chosen:
        fail(f"--scope expected: {', '.join(Scope)}", EXIT_USAGE)
    with opened(config) as fleet:
        now = fleet.clock()
        until = add_months(day_of(now, fleet.settings.zone()), _VALID_MONTHS)
        key = registry.add_partner(
            fleet.database,
            fleet.keys.cipher,
            partner_id,
            name=name or partner_id,
            kind=PartnerKind.OWN if local else kind,
            areas=None if sees_all else areas,
            scopes=chosen,
            per_minute=_PER_MINUTE if per_minute is None else per_minute,
            valid_until=until if valid_until is None else valid_until.date(),
            by=by,
            now=now,
        )
    _show_key(partner_id, key, as_json=as_json)


@app.command("list")
def list_partners(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List all partners, in service or not."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = [
                (partner, store.keys_of(connection, partner.partner_id)) for partner in store.all_partners(connection)
            ]
        rows = [_row(fleet, partner, keys) for partner, keys in found]
    if as_json:
        print_json({"partners": rows})
        return
    shown = table("id", "name", "kind", "areas", "scopes", "per minute", "valid until", "keys", "state")
    for row in rows:
        areas = "all" if row["areas"] is None else ", ".join(row["areas"])
        keys = ", ".join(key["key_id"] for key in row["keys"])
        cells = (row["partner_id"], row["name"], row["kind"], areas, ", ".join(row["scopes"]), row["per_minute"])
        shown.add_row(*(escape(str(cell)) for cell in (*cells, row["valid_until"], keys, row["state"])))
    Terminal().print(shown)


@app.command("key")
def key(
    partner_id: PartnerId,
    by: By,
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0, max=24 * 90, help="So long keys before it go on.")
    ] = _OVERLAP_HOURS,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Give a partner a new key; the ones it has go on for a while, so that it can change over."""
    with opened(config) as fleet:
        made = registry.roll_key(
            fleet.database,
            fleet.keys.cipher,
            partner_id,
            overlap=timedelta(hours=overlap_hours),
            by=by,
            now=fleet.clock(),
        )
    _show_key(partner_id, made, as_json=as_json)


@app.command("scopes")
def scopes(
    partner_id: PartnerId,
    by: By,
    scopes: Scopes = None,
    areas: Areas = None,
    per_minute: PerMinute = None,
    valid_until: ValidUntil = None,
    config: Config = CONFIG,
) -> None:
    """Give a partner other rights, from its next request on; what is not named stays as it is."""
    if not (scopes or areas or per_minute is not None or valid_until):
        fail("--scope, --area, --per-minute or --valid-until expected", EXIT_USAGE)
    with opened(config) as fleet:
        changed = registry.change_partner(
            fleet.database,
            fleet.keys.cipher,
            partner_id,
            by=by,
            now=fleet.clock(),
            scopes=scopes or None,
            areas=areas or None,
            per_minute=per_minute,
            valid_until=None if valid_until is None else valid_until.date(),
        )
    say(f"partner {partner_id} may now: {', '.join(sorted(changed.scopes))}")


@app.command("revoke")
def revoke(partner_id: PartnerId, by: By, config: Config = CONFIG) -> None:
    """Take a partner out of service at once: keys, access tokens and webhooks. What it posted stays."""
    with opened(config) as fleet:
        registry.revoke_partner(fleet.database, fleet.keys.cipher, partner_id, by=by, now=fleet.clock())
    say(f"partner {partner_id} is revoked: its keys and tokens are refused from now on, and nothing is sent to it")


@app.command("webhooks")
def webhooks(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show where news are sent and how that goes."""
    with opened(config) as fleet, fleet.database.begin() as connection:
        found = webhook_lines(connection)
    rows: list[dict[str, Any]] = [
        {
            "partner_id": line.webhook.partner_id,
            "webhook_id": line.webhook.webhook_id,
            "url": line.webhook.url,
            "events": list(line.webhook.events),
            "delivered": line.delivered,
            "waiting": line.waiting,
            "dead": line.dead,
            "last_result": line.last_result,
            "next_try_at": None if line.next_try_at is None else line.next_try_at.isoformat(timespec="seconds"),
        }
        for line in found
    ]
    if as_json:
        print_json({"webhooks": rows})
        return
    shown = table("partner", "webhook", "url", "events", "delivered", "waiting", "dead", "last result", "next try")
    for row in rows:
        cells = (
            ", ".join(cell) if isinstance(cell, list) else "" if cell is None else str(cell) for cell in row.values()
        )
        shown.add_row(*(escape(cell) for cell in cells))
    Terminal().print(shown)


def _row(fleet: Fleet, partner: Partner, keys: list[store.PartnerKey]) -> dict[str, Any]:
    now = fleet.clock()
    today = day_of(now, fleet.settings.zone())
    in_use = [key for key in keys if key.expires_at is None or now < key.expires_at]
    state = "revoked" if partner.revoked_at else "expired" if partner.valid_until < today else "in service"
    return {
        "partner_id": partner.partner_id,
        "name": partner.name,
        "kind": partner.kind.value,
        "areas": None if partner.areas is None else sorted(partner.areas),
        "scopes": sorted(partner.scopes),
        "per_minute": partner.per_minute,
        "valid_until": partner.valid_until.isoformat(),
        "keys": [
            {
                "key_id": key.key_id,
                "made_at": key.made_at.isoformat(timespec="seconds"),
                "expires_at": None if key.expires_at is None else key.expires_at.isoformat(timespec="seconds"),
            }
            for key in in_use
        ],
        "state": state,
    }


def _show_key(partner_id: str, key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"partner_id": partner_id, "key": key})
        return
    typer.echo(key)
    say(f"the key of partner {partner_id}; hand it over by a safe way, it is not shown again")
