"""`lifecert-fleet updates`: bundles that the fleet keeps, and roll-outs of bundles and of settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.markup import escape
from sqlalchemy import Connection

from fleet.app import Fleet
from fleet.clock import day_of
from fleet.commands.shared import CONFIG, EXIT_USAGE, AsJson, Config, fail, noted, opened, print_json, say, table
from fleet.errors import NotFound, Refused
from fleet.store import rollouts as store
from fleet.store.bundles import newest_bundles, running_counts
from fleet.store.lives import references_by_network
from fleet.updates import rollouts
from fleet.updates.bundles import add_bundle, bundle_folder, release_keys, remove_bundle
from fleet.updates.desired import door_of, renumber
from fleet.updates.rollout import Plan
from fleet.updates.rollouts import Means, Watched, Wish, plan_from
from fleet.updates.terminal_settings import parsed, texts_of
from fleet.web.texts import groups_in

app = typer.Typer(help="Bundles of programs, networks and voices, and their roll-outs.", no_args_is_help=True)
By = Annotated[str, typer.Option("--by", help="Your name, recorded as you give it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, 1 to 100 characters.")]
RolloutId = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Id of the roll-out.")]
_LISTED = 200


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="Bundle that `lifecert-provision bundle make` wrote.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Take a bundle in, once a release key has vouched for all of it. No terminal is asked for it yet."""
    with opened(config) as fleet:
        settings = fleet.settings
        stored = add_bundle(
            fleet.database,
            fleet.keys.cipher,
            file,
            bundle_folder(settings.data_dir),
            key_of=release_keys(settings.provisioning.release_keys),
            by=by,
            now=fleet.clock(),
        )
        say(f"{stored.kind} {stored.number} ({stored.label}), {stored.size} bytes; roll it out with `updates roll-out`")
        typer.echo(stored.bundle_id)


@app.command("list")
def list_bundles(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List the bundles that are here, and by which release key each was signed."""
    with opened(config) as fleet:
        is_trusted = _trust(fleet)
        with fleet.database.begin() as connection:
            found = newest_bundles(connection, limit=_LISTED)
        if as_json:
            print_json(
                {
                    "bundles": [
                        {
                            "bundle_id": each.bundle_id,
                            "added_at": each.added_at.isoformat(),
                            "size": each.size,
                            "signed_by": each.key_id,
                            "is_trusted": is_trusted(each.key_id),
                            **each.manifest,
                        }
                        for each in found
                    ]
                }
            )
            return
        rows = table("bundle", "kind", "number", "label", "for", "bytes", "good until", "signed by", "key")
        for each in found:
            board = " ".join(str(each.manifest[name]) for name in ("machine", "python") if each.manifest[name])
            until = str(each.manifest["expires_at"])[:10]
            cells = (each.bundle_id, each.kind.value, str(each.number), each.label, board, str(each.size), until)
            rows.add_row(*map(escape, (*cells, each.key_id, _TRUST[is_trusted(each.key_id)])))
        Terminal().print(rows)


@app.command("remove")
def remove(
    bundle: Annotated[str, typer.Argument(help="Id of the bundle, or its first characters, 8 at least.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Delete a bundle's file that no terminal is asked for."""
    with opened(config) as fleet:
        folder = bundle_folder(fleet.settings.data_dir)
        found = remove_bundle(fleet.database, fleet.keys.cipher, bundle, folder, by=by, now=fleet.clock())
        say(f"{found.kind} {found.number} ({found.label}) is removed")


@app.command("renumber")
def renumber_words(by: By, config: Config = CONFIG) -> None:
    """After a restore from a backup, before `serve` starts: ask terminals for everything anew, above any number that they took since."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            count = renumber(connection, door=door_of(fleet.settings.provisioning), now=fleet.clock())
            noted(fleet, connection, by, "rollout.renumbered", "fleet", fleet.settings.fleet_id, terminals=count)
        say(f"terminals that are asked anew: {count}")


@app.command("versions")
def versions(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Count what terminals run, by what each of them signed."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = running_counts(connection)
        if as_json:
            rows = [
                {"kind": kind, "what": what, "bundle_id": of or None, "terminals": n} for kind, what, of, n in found
            ]
            print_json({"versions": rows})
            return
        shown = table("kind", "what", "bundle", "terminals")
        for kind, what, of, count in found:
            shown.add_row(escape(kind), escape(what), of[:16], str(count))
        Terminal().print(shown)


@app.command("references")
def references(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Count who has a reference of each features network: whoever has none of a new one must be enrolled anew once it decides."""
    with opened(config) as fleet:
        today = day_of(fleet.clock(), fleet.settings.zone())
        with fleet.database.begin() as connection:
            found = references_by_network(connection, today=today)
        if as_json:
            print_json({"networks": [asdict(each) for each in found]})
            return
        shown = table("network", "sha256", "with a reference", "without", "terminals")
        for each in found:
            cells = (each.name or "-", each.model_sha256[:16], each.people, each.without, each.terminals)
            shown.add_row(*(escape(str(cell)) for cell in cells))
        Terminal().print(shown)


@app.command("roll-out")
def roll_out(
    by: By,
    reason: Reason,
    bundle: Annotated[
        str | None, typer.Option("--bundle", help="Id of the bundle, or its first characters, 8 at least.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--setting", help="In its place a setting as NAME=VALUE; several times. What is not named is taken away."
        ),
    ] = None,
    no_settings: Annotated[bool, typer.Option("--no-settings", help="In its place take all settings away.")] = False,
    area: Annotated[
        list[str] | None, typer.Option("--area", help="Code of an area, with all below it; the whole fleet without.")
    ] = None,
    canary: Annotated[
        list[str] | None, typer.Option("--canary", help="A terminal of the canary group; several times.")
    ] = None,
    canary_count: Annotated[int, typer.Option(min=1, max=1000, help="So many are drawn where none is named.")] = 3,
    shares: Annotated[str, typer.Option(help="Percent of all at the end of each later phase.")] = "5,25,100",
    soak_hours: Annotated[float, typer.Option(min=0, max=2400, help="Least length of a phase.")] = 24,
    shadow_hours: Annotated[
        float, typer.Option(min=0, max=2400, help="Networks run in shadow in the canary group for so long first.")
    ] = 0,
    from_hour: Annotated[
        int | None, typer.Option(min=0, max=23, help="Later phases begin from this hour on, of the agency's day.")
    ] = None,
    until_hour: Annotated[int | None, typer.Option(min=0, max=23, help="Until this one.")] = None,
    abort_percent: Annotated[
        int, typer.Option(min=0, max=100, help="Turn back when more than this share went back or was lost.")
    ] = 20,
    least_counted: Annotated[int, typer.Option(min=1, max=10000, help="Once so many have ended.")] = 3,
    lost_hours: Annotated[
        float, typer.Option(min=0.1, max=2400, help="A terminal that is silent for so long is lost, or out of reach.")
    ] = 48,
    config: Config = CONFIG,
) -> None:
    """Make a roll-out; `updates start` starts it, which of a bundle two persons must say."""
    if (bundle is not None, bool(setting), no_settings).count(True) != 1:
        fail("give exactly one of --bundle, --setting and --no-settings", EXIT_USAGE)
    typed = dict(each.partition("=")[::2] for each in setting or ())
    with opened(config) as fleet:
        wish = Wish(
            plan_from(
                shares=shares,
                soak_hours=soak_hours,
                shadow_hours=shadow_hours,
                from_hour=from_hour,
                until_hour=until_hour,
                abort_percent=abort_percent,
                least_counted=least_counted,
                lost_hours=lost_hours,
            ),
            bundle_id=bundle,
            settings=None if bundle is not None else parsed(typed),
            areas=tuple(area or ()),
            canary=tuple(canary or ()),
            canary_count=canary_count,
        )
        with fleet.database.begin() as connection:
            made = rollouts.make_rollout(connection, _means(fleet), wish, by=by, reason=reason, now=fleet.clock())
        two = "two persons start it" if bundle is not None else "start it"
        say(f"made; {two} with `updates start {made}`")
        typer.echo(made)


@app.command("start")
def start(rollout: RolloutId, by: By, reason: Reason, config: Config = CONFIG) -> None:
    """Say that a roll-out may start; one of a bundle runs once a second person has said so, too."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            runs = rollouts.start_rollout(connection, _means(fleet), rollout, by=by, reason=reason, now=fleet.clock())
        say("it runs" if runs else "noted; a second person must say so as well")


@app.command("drop")
def drop(rollout: RolloutId, by: By, config: Config = CONFIG) -> None:
    """Give a roll-out up that has not started."""
    _act(config, lambda fleet, connection: _step(fleet, connection, rollouts.drop_rollout, rollout, by), "dropped")


@app.command("pause")
def pause(rollout: RolloutId, by: By, config: Config = CONFIG) -> None:
    """Ask no further terminal; who was asked goes on."""
    _act(config, lambda fleet, connection: _step(fleet, connection, rollouts.pause_rollout, rollout, by), "paused")


@app.command("resume")
def resume(rollout: RolloutId, by: By, config: Config = CONFIG) -> None:
    """Go on with a roll-out that is paused."""
    _act(config, lambda fleet, connection: _step(fleet, connection, rollouts.resume_rollout, rollout, by), "it runs")


@app.command("abort")
def abort(rollout: RolloutId, by: By, config: Config = CONFIG) -> None:
    """Turn back: every terminal is asked for what it was asked for before."""
    _act(config, lambda fleet, connection: _step(fleet, connection, rollouts.abort_rollout, rollout, by), "aborted")


@app.command("leave-out")
def leave_out(
    rollout: RolloutId,
    terminal: Annotated[str, typer.Argument(help="Id of the terminal.")],
    by: By,
    config: Config = CONFIG,
) -> None:
    """Take one terminal out of a roll-out, which then waits for it no more."""

    def work(fleet: Fleet, connection: Connection) -> None:
        rollouts.leave_out(connection, _means(fleet), rollout, terminal, by=by, now=fleet.clock())

    _act(config, work, f"terminal {terminal} is left out")


@app.command("roll-outs")
def list_rollouts(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """List roll-outs, the newest first, with how far each is."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            found = rollouts.watched(connection, store.newest_rollouts(connection, limit=_LISTED))
        if as_json:
            print_json({"rollouts": [_told(each) for each in found]})
            return
        rows = table("roll-out", "of", "to", "state", "phase", "kept", "failed", "out of reach")
        for each in found:
            totals = each.totals
            rows.add_row(
                each.stored.rollout_id,
                escape(_subject(each)),
                escape(", ".join(each.stored.areas or ()) or "all"),
                each.state.value,
                f"{each.stored.phase}/{each.plan.last}",
                f"{totals['kept']}/{sum(totals.values())}",
                str(totals["went_back"] + totals["lost"]),
                str(totals["unreachable"]),
            )
        Terminal().print(rows)


@app.command("show")
def show(rollout: RolloutId, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Show a roll-out by phase and standing, and the terminals that did not end well."""
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            stored = store.find_rollout(connection, rollout)
            if stored is None:
                raise NotFound(f"roll-out {rollout}: there is none")
            found = rollouts.watched(connection, [stored])[0]
            looked_at = ("went_back", "lost", "refused", "unreachable", "working")
            members = store.members_of(connection, rollout, standings=looked_at, limit=_LISTED)
        zone = fleet.settings.time_zone
        if as_json:
            rows = [
                {
                    "terminal": each.terminal_id,
                    "phase": each.phase,
                    "standing": each.standing,
                    "why": each.why,
                }
                for each in members
            ]
            plan = {**rollouts.plan_json(found.plan), "time_zone": zone}
            print_json({**_told(found), "plan": plan, "terminals": rows})
            return
        say(f"{_subject(found)}: {found.state}{', waits for a person' if found.is_held else ''}")
        say(f"the first phase begins when it is started, each later one {_hours(found.plan, zone)}")
        shown = table("phase", "standing", "terminals")
        for phase, standings in found.counts.items():
            for standing, count in standings.items():
                shown.add_row(str(phase), standing, str(count))
        Terminal().print(shown)
        words = groups_in("en")["rollouts"]["whys"]
        for each in members:
            told = f": {words.get(each.why, each.why)}" if each.why else ""
            typer.echo(f"{each.terminal_id} {each.standing}{told}")


def _trust(fleet: Fleet) -> Callable[[str], bool | None]:
    """Return what says whether a key id is a release key's now; None where no file says who may sign."""
    path = fleet.settings.provisioning.release_keys
    if path is None:
        return lambda _: None
    try:
        key_of = release_keys(path)
    except Refused as error:
        # The list is worth having without it.
        say(str(error))
        return lambda _: None
    return lambda key_id: key_of(key_id) is not None


_TRUST = {True: "trusted", False: "no release key now", None: "release keys not known"}


def _hours(plan: Plan, zone: str) -> str:
    """Return when a phase may begin, in words."""
    if plan.from_hour is None:
        return "at any hour"
    return f"from {plan.from_hour}:00 until {plan.until_hour}:00 ({zone})"


def _told(found: Watched) -> dict[str, object]:
    stored = found.stored
    return {
        "rollout_id": stored.rollout_id,
        "bundle_id": stored.bundle_id,
        "settings": None if stored.settings is None else texts_of(stored.settings),
        "areas": None if stored.areas is None else list(stored.areas),
        "state": stored.state,
        "why": stored.why,
        "phase": stored.phase,
        "phases": found.plan.last,
        "is_held": found.is_held,
        "counts": {str(phase): dict(standings) for phase, standings in found.counts.items()},
    }


def _subject(found: Watched) -> str:
    if found.bundle is not None:
        return f"{found.bundle.kind} {found.bundle.number} ({found.bundle.label})"
    settings = found.stored.settings
    return "settings " + (" ".join(f"{name}={value}" for name, value in texts_of(settings).items()) if settings else "")


def _step(fleet: Fleet, connection: Connection, work: Callable[..., None], rollout: str, by: str) -> None:
    work(connection, _means(fleet), rollout, by=by, now=fleet.clock())


def _act(config: Path, work: Callable[[Fleet, Connection], None], done: str) -> None:
    with opened(config) as fleet:
        with fleet.database.begin() as connection:
            work(fleet, connection)
        say(done)


def _means(fleet: Fleet) -> Means:
    return Means(fleet.keys.cipher, door_of(fleet.settings.provisioning))
