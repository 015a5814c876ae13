"""What a courier did, in lines for the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from device.courier.courier import Exported, Imported, OnProgress, Step
from protocol.courier_files import Problem, ProblemKind

_EVERY = 20
"""Progress lines of one step, at most."""
_SAID = {
    ProblemKind.DAMAGED: "damaged; it was left out, the fleet answers again when the stick has been there once more",
    ProblemKind.FOREIGN: "not sealed to this terminal, or not from this folder; it was left out",
    ProblemKind.FORGED: "not signed by this terminal's fleet; it was left out",
    ProblemKind.UNSUPPORTED: "of a newer version; update this terminal and import again",
    ProblemKind.INVALID: "carries a message that is not for this terminal or of an unknown kind; what was good in it counts",
    ProblemKind.MISSING: "listed and not there, taken in before or lost; the fleet answers again when the stick has been there once more",
    ProblemKind.NO_ROOM: "there is no room for it on this terminal, or its disk does not take it; `lifecert-terminal selftest` tells more",
    ProblemKind.UNFINISHED: "the fleet's part was not finished; what is whole counts, take the stick there once more",
}


def exported_lines(done: Exported) -> list[str]:
    """Say what an export did."""
    files = f"{done.chunks_written} files written, {done.chunks_kept} were there"
    lines = [f"{done.records} records are on the stick ({files}); they stay here until the fleet's receipts come"]
    if done.pictures:
        lines.append(f"{done.pictures} sealed pictures of cases are on it as well")
    if done.left:
        lines.append(f"{done.left} more records or pictures wait for the next stick")
    return lines


def imported_lines(done: Imported) -> list[str]:
    """Say what an import did."""
    if not done.chunks and not done.updates:
        return ["nothing came home on the stick"]
    lines = [f"{done.confirmed} records confirmed, {done.refused} refused"]
    if done.pictures or done.pictures_refused:
        lines.append(f"{done.pictures} sealed pictures of cases confirmed, {done.pictures_refused} refused")
    if done.pages or done.pages_unfit:
        lines.append(
            f"{done.pages} roster pages taken over" + (f", {done.pages_unfit} did not fit" if done.pages_unfit else "")
        )
    if done.expired:
        lines.append(
            f"{done.expired} roster pages or card keys had expired on the way: take the stick to the fleet again"
        )
    if done.updates:
        lines.append(
            f"{done.updates} bundles of updates taken over; they run once they were looked at and nobody is served"
        )
    if done.policy is not None:
        lines.append(f"policy {done.policy} is in force")
    return lines


def problem_lines(done: Imported) -> list[str]:
    """Say which files did not count, and why; all files of one kind in one line."""
    return [_line(kind, [problem for problem in done.problems if problem.kind is kind]) for kind in _kinds(done)]


def on_stderr() -> OnProgress:
    """Return a callback that writes progress to stderr, some twenty lines for each step."""
    shown: dict[Step, int] = {}

    def show(step: Step, done: int, total: int) -> None:
        part = _EVERY if done >= total else done * _EVERY // total
        if total and shown.get(step) != part:
            shown[step] = part
            sys.stderr.write(f"{step}: {done} of {total}\n")
            sys.stderr.flush()

    return show


def _kinds(done: Imported) -> list[ProblemKind]:
    return sorted({problem.kind for problem in done.problems})


def _line(kind: ProblemKind, problems: Sequence[Problem]) -> str:
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0].name}{more}: {_SAID[kind]}"
