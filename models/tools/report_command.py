"""`lifecert-models report`: measure, keep the figures, write the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track as progress_over

from device.adapters.inference_tflite import open_network, open_networks
from device.errors import DeviceError
from models.errors import ModelsError
from models.tools.evaluate import MODELS, PEOPLE
from models.tools.evaluate_verification import Paths
from models.tools.report import (
    Figures,
    Measured,
    ReportInvalid,
    Results,
    Sources,
    check_section,
    evaluate_section,
    measurements_of,
    read_results,
    without_names,
    write_page,
    write_results,
)
from models.tools.report_export import export_of, write_export
from models.tools.report_page import PAGE
from models.tools.report_sections import SECTIONS
from models.tools.sessions import Opened
from protocol.manifest import ModelManifest, load_manifest

_DOCS = MODELS.parent / "docs"
_KNOWN = _DOCS / f"{PAGE}.json"


def report(
    evaluation: Annotated[
        Path | None,
        typer.Option("--eval", metavar="FOLDER", help="Private test data, laid out as its SOURCES.md says."),
    ] = None,
    sections: Annotated[
        str,
        typer.Option(help=f"What to measure, with commas between: {', '.join(SECTIONS)}; 'none' only writes the page."),
    ] = ",".join(SECTIONS),
    take: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECTION=FILE.json", help="Take what `evaluate SECTION --json` printed in place of measuring."
        ),
    ] = None,
    measured: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Day of figures taken whose file does not say it."),
    ] = None,
    float_network: Annotated[
        Path | None,
        typer.Option(
            "--float", help="Float feature network with its manifest beside it, to compare the int8 one with."
        ),
    ] = None,
    known: Annotated[
        Path, typer.Option("--from", help="Figures measured before; kept where nothing newer is.")
    ] = _KNOWN,
    save: Annotated[Path, typer.Option(help="Where all figures are kept.")] = _KNOWN,
    out: Annotated[Path, typer.Option(help="Folder for the page and its plots.")] = _DOCS,
    people: Annotated[Path, typer.Option(help="Folder of the rendered people.")] = PEOPLE,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write what the fleet's console shows of it, too.")
    ] = None,
) -> None:
    """Measure everything there is data for and write the evaluation page with its plots."""
    wanted = [] if sections == "none" else [name.strip() for name in sections.split(",")]
    taken = dict(item.partition("=")[::2] for item in take or ())
    if unknown := sorted({*wanted, *taken} - set(SECTIONS)):
        _fail(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}", code=2)
    if empty := sorted(name for name, file in taken.items() if not file):
        _fail(f"--take {', '.join(empty)}: SECTION=FILE.json expected", code=2)
    if known not in {_KNOWN, save} and not known.is_file():
        _fail(f"--from {known}: no such file", code=2)
    private = [name for name in wanted if name not in taken and "EVAL" in SECTIONS[name].command]
    if evaluation is None and private and wanted != list(SECTIONS):
        _fail(f"{', '.join(private)}: needs the private test data, --eval FOLDER", code=2)
    try:
        results = read_results(known) if known.is_file() else Results()
        for name, file in taken.items():
            day = None if measured is None else measured.date()
            results = results.with_section(name, _taken(name, Path(file), day))
    except ReportInvalid as error:
        _fail(str(error), code=2)
    try:
        measuring = [name for name in SECTIONS if name in wanted and name not in taken]
        if measuring:
            opened = Opened(MODELS, "features_mobilefacenet", "auto")
            networks = open_networks(opened.models, features=opened.features, runtime=opened.runtime)
            floating = None if float_network is None else open_network(float_network.with_suffix(".toml"))
            sources = Sources(evaluation, people, networks, opened, _track, floating)
            for name in measuring:
                found = evaluate_section(name, sources)
                if found is None:
                    typer.echo(f"{name}: no data given", err=True)
                else:
                    results = _with(results, name, found)
                    # A later section that fails must not cost what this one took.
                    write_results(results, save)
    except (ModelsError, DeviceError) as error:
        _fail(str(error), code=1)
    write_results(results, save)
    write_page(results, out)
    if export is not None:
        write_export(export_of(measurements_of(results), _manifests()), export)
    typer.echo(f"{out / PAGE}.md: {len(results.sections)} of {len(SECTIONS)} sections have figures")


def _manifests() -> list[ModelManifest]:
    return [load_manifest(path) for path in sorted(MODELS.glob("*.toml"))]


def _with(results: Results, name: str, figures: Figures) -> Results:
    measured = Measured(
        measured_on=datetime.now(UTC).date(),  # noqa: TID251 - a day to be shown, nothing depends on it
        software=version("lifecert"),
        figures=without_names(figures),
    )
    return results.with_section(name, measured)


def _taken(name: str, path: Path, measured: date | None) -> Measured:
    """Return figures that `evaluate` printed, with the day and the version that it printed with them."""
    figures = _figures_of(path)
    day, software = figures.pop("measured_on", None), figures.pop("software", None)
    try:
        when = measured if day is None else date.fromisoformat(day)
    except (TypeError, ValueError) as error:
        raise ReportInvalid(f"{path.name}: measured_on is no day: {day!r}") from error
    if when is None:
        raise ReportInvalid(f"{path.name}: does not say when it was measured; give --measured DATE")
    # Older files do not say the version either; today's is not theirs.
    found = Measured(measured_on=when, software=str(software or "not stated"), figures=without_names(figures))
    check_section(name, found, path.name)
    return found


def _figures_of(path: Path) -> Figures:
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportInvalid(f"{path.name}: no figures: {error}") from error
    if not isinstance(figures, dict):
        raise ReportInvalid(f"{path.name}: expected an object of figures")
    return figures


def _track(what: str) -> Paths:
    def over(paths: Sequence[Path]) -> Iterable[Path]:
        return progress_over(paths, description=what, console=Console(stderr=True), transient=True)

    return over


def _fail(message: str, *, code: int) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(code)
