"""`lifecert-fleet simulate`: the rules of all regions over a made population."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress

from fleet.commands.shared import EXIT_FAILED, AsJson, print_json, say, stderr
from fleet.simulation.run import Simulated
from fleet.simulation.run import simulate as play


def simulate(
    people: Annotated[int, typer.Option("--people", min=1, max=10_000_000, help="How many.")] = 10_000,
    years: Annotated[int, typer.Option("--years", min=1, max=50, help="For how long.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")] = 1,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; one a processor if not said.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play deaths, moves, prison, late people, appeals and late records over a made population; exit 1 if anything does not hold."""
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        bar = progress.add_task("people", total=people)
        done = play(
            people, years, seed, workers=workers, on_progress=lambda count: progress.update(bar, completed=count)
        )
    if as_json:
        print_json(_json(done))
    else:
        for name, count in sorted(done.counts.items()):
            typer.echo(f"{name}: {count}")
        for violation in done.violations:
            say(violation)
        say(f"{done.person_years_per_s:.0f} person-years per second, {done.counts['violations']} violations")
    if done.counts["violations"]:
        raise typer.Exit(EXIT_FAILED)


def _json(done: Simulated) -> dict[str, object]:
    return {
        "people": done.people,
        "years": done.years,
        "seed": done.seed,
        "violations": done.violations,
        "person_years_per_s": round(done.person_years_per_s, 1),
        "seconds": round(done.seconds, 1),
        "counts": dict(sorted(done.counts.items())),
    }
