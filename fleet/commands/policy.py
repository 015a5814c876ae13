"""`lifecert-fleet publish-policy`, `calibrate` and `approve-calibration`: what every terminal asks for, and with which thresholds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console as Terminal
from rich.table import Table

from fleet.audit.log import UNNAMED
from fleet.clock import day_of
from fleet.commands import shared
from fleet.commands.shared import CONFIG, AsJson, Config, opened, print_json, say
from fleet.updates import policy as policy_updates

if TYPE_CHECKING:
    from fleet.updates.calibration import Proposal

By = Annotated[str, typer.Option("--as", help="Your name, recorded as you give it.")]
_FEATURES = "features_mobilefacenet"
"""The feature network a terminal has unless its settings name another."""


def publish_policy(
    file: Annotated[Path | None, typer.Argument(help="Policy as TOML; without it the one a new fleet has.")] = None,
    approved_by: Annotated[
        list[str] | None,
        typer.Option("--approved-by", help="Who answers for lower comparison thresholds; given twice, two persons."),
    ] = None,
    by: shared.By = UNNAMED,
    config: Config = CONFIG,
) -> None:
    """Sign a policy and put it in force on every terminal."""
    with opened(config) as fleet:
        policy = policy_updates.read_policy(file)
        new = policy_updates.publish_policy(
            fleet.database, fleet.keys, policy, now=fleet.clock(), approved_by=approved_by or (), by=by
        )
        say(f"policy {policy.policy_version} is in force" + ("" if new else " (it was issued before)"))


def calibrate(
    by: By,
    network: Annotated[
        str, typer.Option("--network", help="Under which name the policy has the thresholds.")
    ] = _FEATURES,
    fmr: Annotated[float, typer.Option("--fmr", help="False match rate that a match is to keep.")] = 1e-3,
    grey_fmr: Annotated[
        float, typer.Option("--grey-fmr", help="False match rate down to which a person looks at it.")
    ] = 1e-2,
    area: Annotated[str | None, typer.Option("--area", help="Only the people of this area.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Beginning of the network's SHA-256, where there are several.")
    ] = None,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Propose comparison thresholds from scores between different people of the fleet; two persons approve them."""
    # Loaded here, because the other commands need no numpy.
    from fleet.updates import calibration

    with opened(config) as fleet:
        now = fleet.clock()
        wanted = calibration.Wanted(network, fmr, grey_fmr, area, model)
        found = calibration.propose(
            fleet.database, fleet.keys, wanted, by=by, now=now, today=day_of(now, fleet.settings.zone())
        )
        if as_json:
            typer.echo(found.model_dump_json())
            return
        _print_proposal(found)


def approve_calibration(
    calibration_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the proposal, or its beginning.")],
    by: By,
    config: Config = CONFIG,
    as_json: AsJson = False,
) -> None:
    """Approve proposed thresholds; the second person's approval signs them into a new policy for every terminal."""
    from fleet.updates import calibration

    with opened(config) as fleet:
        done = calibration.approve(fleet.database, fleet.keys, calibration_id, by=by, now=fleet.clock())
        if as_json:
            print_json(asdict(done))
        elif done.policy_version is None:
            say(f"calibration {done.calibration_id}: approved by one, another person must approve it")
        else:
            say(f"policy {done.policy_version} is in force")


def _print_proposal(found: Proposal) -> None:
    table = Table("scores", "match", "estimate", "95 % interval", "grey", "highest", "tail shape")
    for kind, figures in (("raw", found.raw), ("normalised", found.normalised)):
        if figures is not None:
            low, high = figures.match_interval
            table.add_row(
                kind,
                f"{figures.match:.3f}",
                f"{figures.match_estimate:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{figures.grey:.3f}",
                f"{figures.highest:.3f}",
                f"{figures.tail.shape:+.2f}",
            )
    Terminal().print(table)
    say(
        f"{found.population}: {found.people} people, {found.pairs} pairs, false match rate {found.fmr:g}, grey {found.grey_fmr:g}"
    )
    say(f"in force: match {found.before.match:g}, grey {found.before.grey:g}")
    if found.why_not_normalised is not None:
        say(f"no normalised thresholds: {found.why_not_normalised}")
    if found.people_left_out:
        say(f"{found.people_left_out} people have references of another network or key domain only")
    if found.doubles:
        say(f"{found.doubles} pairs are alike enough to be one person enrolled twice: look at them first")
    say(f"two persons approve: lifecert-fleet approve-calibration {found.calibration_id[:12]} --as NAME")
