"""`lifecert-models evaluate`: measure the terminal's own vision code on labelled data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress
from rich.progress import track as progress_over
from rich.table import Table

from device.adapters.inference_tflite import Runtime, open_network, open_networks
from device.errors import CameraUnavailable, ClipInvalid, NetworkRefused
from device.vision.inference import Network, Networks
from models.tools.evaluate_clips import evaluate_clips, read_events
from models.tools.evaluate_detection import evaluate_detection, read_boxes
from models.tools.evaluate_evidence import evaluate_evidence
from models.tools.evaluate_groups import read_groups
from models.tools.evaluate_index import IndexInvalid
from models.tools.evaluate_landmarks import evaluate_landmarks, read_files
from models.tools.evaluate_minima import evaluate_minima
from models.tools.evaluate_pad import evaluate_pad, read_presentations
from models.tools.evaluate_pictures import evaluate_pictures
from models.tools.evaluate_quality import evaluate_quality
from models.tools.evaluate_scenes import evaluate_scenes, scene_tables
from models.tools.evaluate_verification import Paths, evaluate_verification, read_pairs
from models.tools.sessions import Opened

evaluate = typer.Typer(
    no_args_is_help=True,
    help="Measure the terminal's vision code. Paths in INDEX are relative to the folder above its own.",
)

MODELS = Path(__file__).resolve().parent.parent
"""Where the network files and manifests stand."""
PEOPLE = MODELS.parent / "demo" / "people"
"""Where the rendered people stand."""

Row = TypeVar("Row")
Index = Annotated[Path, typer.Argument(metavar="INDEX.csv", help="The index of the data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
ModelsDir = Annotated[Path, typer.Option("--models", help="Folder of networks and manifests.")]
Features = Annotated[str, typer.Option(help="Name of the feature network.")]
WantedPolicy = Annotated[
    Path | None, typer.Option(help="A policy as TOML; the one a new fleet starts with by default.")
]
WantedRuntime = Annotated[str, typer.Option(help="auto, ai-edge-litert or tflite-runtime.")]

_DEFAULT_FEATURES = "features_mobilefacenet"


@evaluate.command()
def detection(
    index: Index,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Recall and precision of face detection by face size; columns file, xmin, ymin, xmax, ymax, name."""
    rows = _read(read_boxes, index)
    report = evaluate_detection(rows, _open(models, features, runtime), track=_track("detecting"))
    sizes = [{"size in pixels": "all", **report}]
    sizes += [{"size in pixels": size, **rates} for size, rates in report["by_size_px"].items()]
    shown = (
        "size in pixels",
        "labelled_faces",
        "recall",
        "recall_interval",
        "detected_faces",
        "precision",
        "precision_interval",
    )
    _show(report, as_json, [(shown, sizes)])


@evaluate.command()
def landmarks(
    index: Index,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Consistency of landmarks; any index with a column file."""
    rows = _read(read_files, index)
    report = evaluate_landmarks(rows, _open(models, features, runtime), track=_track("finding landmarks"))
    _show(report, as_json, [_listing(report)])


@evaluate.command()
def verification(
    index: Index,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
    groups: Annotated[
        Path | None, typer.Option("--groups", help="Index of groups of people: columns file, group.")
    ] = None,
    float_network: Annotated[
        Path | None,
        typer.Option(
            "--float", help="Float feature network with its manifest beside it, as `build --float-to` writes it."
        ),
    ] = None,
) -> None:
    """Error rates of one-to-one comparison, overall and in groups; columns a, b, same, set, fold."""
    rows = _read(read_pairs, index)
    members = [] if groups is None else _read(read_groups, groups)
    networks = _open(models, features, runtime)
    floating = None if float_network is None else _open_float(float_network, runtime)
    report = evaluate_verification(
        rows,
        networks,
        members=members,
        float_features=floating,
        # The report draws them from what is printed.
        with_curves=as_json,
        track=_track("extracting features"),
    )
    points = ("fmr", "fmr_interval", "threshold", "fnmr", "fnmr_interval")
    single = {name: value for name, value in report.items() if name not in ("all_pairs", "groups")}
    tables = [_listing(single), (points, report["operating_points"])]
    if "all_pairs" in report:
        rates = [{"scores": kind, **row} for kind in ("raw", "normalised") for row in report["all_pairs"][kind]]
        tables.append((("scores", "fmr", "threshold", "fnmr", "fnmr_interval"), rates))
    for name, group in report.get("groups", {}).items():
        kinds = ("global", "normalised", "self_calibrated", "self_calibrated_raw")
        lines = [{"group": name, "thresholds": kind, **group[kind]} for kind in kinds]
        tables.append((("group", "thresholds", "threshold", "fmr", "fmr_over_nominal", "fnmr"), lines))
    _show(report, as_json, tables)


@evaluate.command()
def pad(
    index: Index,
    network: Annotated[
        Path | None, typer.Option(metavar="MANIFEST.toml", help="Texture network; else the one among the models.")
    ] = None,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Texture by source and attack species; columns file, label, kind, subject, clip, source, view, haar_face."""
    rows = _read(read_presentations, index)
    report = evaluate_pad(rows, _open(models, features, runtime, texture=network), track=_track("observing"))
    counts = ("source", "label", "kind", "presentations", "failures_to_acquire", "failure_to_acquire_interval")
    quality = ("source", "kind", "bona_fide", "attacks", "auc", "auc_interval", "bpcer_at_apcer_10")
    rates = ("source", "kind", "apcer", "apcer_interval", "bpcer", "bpcer_interval")
    tables: list[Rows] = [(quality, report["rates"])] if report["rates"] else []
    tables += [(rates, report["rates"])] if report["rates"] and report["threshold"] is not None else []
    _show(report, as_json, [(counts, report["classes"]), *tables])


@evaluate.command()
def clips(
    index: Index,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Labelled events found and missed; columns file, event, start_frame, end_frame."""
    rows = _read(read_events, index)
    report = evaluate_clips(rows, _open(models, features, runtime), track=_track("watching"))
    events = [{"file": clip["file"], **event} for clip in report["clips"] for event in clip["events"]]
    clip_columns = ("file", "frames", "frames_with_subject", "track_ids")
    _show(
        report,
        as_json,
        [
            (clip_columns, report["clips"]),
            (("file", "event", "start_frame", "end_frame", "is_found"), events),
            _listing(report),
        ],
    )


@evaluate.command()
def scenes(
    people: Annotated[Path, typer.Option(help="Folder of clips by lamp: people, sheets, screens.")] = PEOPLE,
    presentations: Annotated[int, typer.Option(min=1, help="Attack presentations.")] = 520,
    bona_fide: Annotated[
        int | None, typer.Option(min=0, help="Of living people; two fifths as many by default.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    policy: WantedPolicy = None,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Certified attacks and refused people: rendered scenes, played through the terminal's own session on every path (an hour)."""
    opened = Opened(models, features, _runtime(runtime), policy)
    _open(models, features, runtime)
    with _sessions() as on_played:
        report = evaluate_scenes(
            people,
            opened,
            presentations=presentations,
            bona_fide=2 * presentations // 5 if bona_fide is None else bona_fide,
            jobs=jobs,
            seed=seed,
            on_played=on_played,
        )
    _show(report, as_json, scene_tables(report))


@evaluate.command()
def pictures(
    index: Index,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    policy: WantedPolicy = None,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Attack pictures held before the standard path as still sheets; columns as `pad`."""
    rows = _read(read_presentations, index)
    opened = Opened(models, features, _runtime(runtime), policy)
    _open(models, features, runtime)
    with _sessions() as on_played:
        report = evaluate_pictures(rows, opened, people=PEOPLE, jobs=jobs, on_played=on_played)
    shown = (
        *("source", "kind", "presentations", "unreadable", "other_reference", "played", "certified", "interval"),
        *("outcomes", "failed"),
    )
    worst = [] if report["worst"] is None else [report["worst"]]
    _show(
        report,
        as_json,
        [(shown, report["classes"]), (("source", "kind", "played", "certified", "rate", "interval"), worst)],
    )


@contextmanager
def _sessions() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar, or twenty lines where stderr is no terminal; end with one line and exit code 2 for bad clips or policies."""
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, transient=True) as progress:
        task = progress.add_task("playing sessions", total=None)

        def played(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)
            if not console.is_terminal and done * 20 // total > (done - 1) * 20 // total:
                typer.echo(f"{done} of {total} sessions played", err=True)

        try:
            yield played
        except (ClipInvalid, CameraUnavailable, ValueError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from error


@evaluate.command()
def evidence(
    people: Annotated[Path, typer.Option(help="Folder of clips by lamp: people, sheets, screens.")] = PEOPLE,
    presentations: Annotated[int, typer.Option(min=0, help="Attack presentations with each light code.")] = 120,
    bona_fide: Annotated[int, typer.Option(min=1, help="Of living people, likewise.")] = 40,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    policy: WantedPolicy = None,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Planarity, illumination, pulse and capture path, each by itself, on rendered people and every species of attack."""
    opened = Opened(models, features, _runtime(runtime), policy)
    _open(models, features, runtime)
    with _sessions() as on_played:
        report = evaluate_evidence(
            people,
            opened,
            attacks=presentations,
            bona_fide=bona_fide,
            jobs=jobs,
            seed=seed,
            on_played=on_played,
        )
    shown = ("kind", "light", "group", "species", "presentations", "passed", "failed", "not_run", "scores", "reasons")
    _show(report, as_json, [(shown, report["rows"])])


@evaluate.command()
def quality(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Clips that begin with a person at rest.")],
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Quality components and features of pictures that are spoilt step by step; the source of the components' scales."""
    try:
        report = evaluate_quality(clips, _open(models, features, runtime), track=_track("spoiling"))
    except IndexInvalid as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    ways = report["degradations"]
    levels = [{"way": way["name"], "component": way["component"], **level} for way in ways for level in way["levels"]]
    shown = ("way", "level", "component", "value", "score", "cosine", "lowest_cosine", "found", "also_below_50")
    _show(report, as_json, [(shown, levels), (("name", "component", "middle", "is_monotone"), ways)])


@evaluate.command()
def minima(
    index: Index,
    as_json: AsJson = False,
    models: ModelsDir = MODELS,
    features: Features = _DEFAULT_FEATURES,
    runtime: WantedRuntime = "auto",
) -> None:
    """Pictures of real faces below the policy's quality minima; columns as `verification`."""
    rows = _read(read_pairs, index)
    pictures = sorted({path for pair in rows for path in (pair.a, pair.b)})
    report = evaluate_minima(pictures, _open(models, features, runtime), track=_track("observing"))
    components = [{"component": name, **found} for name, found in report["components"].items()]
    _show(report, as_json, [(("component", "minimum", "below", "rate", "interval"), components)])


def _read(reader: Callable[[Path], list[Row]], index: Path) -> list[Row]:
    """Read an index or end with every error on stderr and exit code 2."""
    try:
        return reader(index)
    except IndexInvalid as error:
        for line in error.errors:
            typer.echo(line, err=True)
        raise typer.Exit(2) from error


def _open(models: Path, features: str, runtime: str, *, texture: Path | None = None) -> Networks:
    """Load the networks or end with one line on stderr: exit code 2 for an unknown runtime, 1 for a refused network."""
    try:
        return open_networks(models, features=features, texture=texture, runtime=_runtime(runtime))
    except NetworkRefused as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _open_float(path: Path, runtime: str) -> Network:
    """Load a float feature network by its file or its manifest, or end as `_open`."""
    try:
        return open_network(path.with_suffix(".toml"), runtime=_runtime(runtime))
    except NetworkRefused as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _runtime(runtime: str) -> Runtime:
    wanted: dict[str, Runtime] = {
        "auto": "auto",
        "ai-edge-litert": "ai-edge-litert",
        "tflite-runtime": "tflite-runtime",
    }
    if runtime not in wanted:
        typer.echo(f"runtime {runtime!r} is unknown, expected one of {', '.join(wanted)}", err=True)
        raise typer.Exit(2)
    return wanted[runtime]


def _track(what: str) -> Paths:
    def over(paths: Sequence[Path]) -> Iterable[Path]:
        return progress_over(paths, description=what, console=Console(stderr=True), transient=True)

    return over


Rows = tuple[Sequence[str], Sequence[dict[str, Any]]]
"""The columns of a table and its rows."""


def _listing(report: dict[str, Any]) -> Rows:
    """Return the single figures of a report as a table of two columns."""
    single: list[dict[str, Any]] = []
    for name, value in report.items():
        if isinstance(value, dict):
            single += [{"figure": f"{name} {part}", "value": figure} for part, figure in value.items()]
        elif not (isinstance(value, list) and value and isinstance(value[0], dict)):
            single.append({"figure": name, "value": value})
    return ("figure", "value"), single


def _show(report: dict[str, Any], as_json: bool, tables: Sequence[Rows]) -> None:
    if as_json:
        measured_on = datetime.now(UTC).date().isoformat()  # noqa: TID251 - a day to be shown, nothing depends on it
        dated = {"measured_on": measured_on, "software": version("lifecert"), **report}
        typer.echo(json.dumps(dated, indent=2, ensure_ascii=False, allow_nan=False))
        return
    console = Console()
    for columns, rows in tables:
        table = Table(*(column.replace("_", " ") for column in columns))
        for row in rows:
            table.add_row(*(_cell(row.get(column)) for column in columns))
        console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items())
    if isinstance(value, tuple | list):
        return " to ".join(_cell(item) for item in value)
    return "-" if value is None else str(value)
