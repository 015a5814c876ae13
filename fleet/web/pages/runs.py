"""Work that goes on beside the pages: how far it is, what came of it, and stopping it. Kinds with more to show have pages of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.store import page_runs
from fleet.store.page_runs import PageRun
from fleet.web.beside import KINDS, PAGE, Asked, Kind, Seen, Work, unpacked
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends

router = APIRouter(include_in_schema=False)
BEGIN: tuple[Permission, ...] = tuple(dict.fromkeys(each.begins for each in KINDS.values()))
LOOK: tuple[Permission, ...] = tuple(dict.fromkeys(each.looks or each.begins for each in KINDS.values()))
_LOOK_HERE = tuple(dict.fromkeys(each.looks or each.begins for each in KINDS.values() if each.page == PAGE))
MARKS = {
    "waiting": "plain",
    "running": "plain",
    "done": "good",
    "stopped": "warn",
    "interrupted": "warn",
    "failed": "bad",
}
"""How each state of a run is marked."""
_OF_RUNS = frozenset({"broken", "not_permitted_now"})
"""Codes that say nothing of what was looked at."""
_SHOWN = 5


@router.get(PAGE)
def one(visit: Annotated[Visit, needs(*_LOOK_HERE)], run_id: str) -> Response:
    """Show how far a run is, or what came of it."""
    run, kind = find(visit, run_id)
    if kind.page != PAGE:
        raise not_found()
    problems = problems_of(visit, run)
    return visit.page(
        "runs/run.html",
        group=kind.group,
        run=run,
        kind=kind,
        mark=MARKS[run.state],
        by=visit.console.runs.by(run),
        told=_told(visit, run),
        problems=problems,
        alarm=_alarm(visit, run),
        has_file=visit.console.runs.held(run_id) is not None,
        may_stop=may_stop(visit, run),
    )


@router.get(PAGE + "/progress")
def progress(visit: Annotated[Visit, needs(*LOOK)], run_id: str) -> Response:
    """Show how far a run is; once it is ended, have the whole page loaded anew."""
    run, kind = find(visit, run_id)
    if not run.is_open:
        # The id as it is stored: never a header of what an address says.
        return Response(status_code=200, headers={"HX-Redirect": kind.address(run.run_id)})
    return visit.page("runs/progress.html", run=run)


@router.post(PAGE + "/stop")
def stop(visit: Annotated[Visit, sends(*BEGIN)], run_id: str) -> Response:
    """Have a run stop where it is."""
    run, kind = find(visit, run_id)
    if not _may(visit, kind.begins, kind) or not kind.is_stoppable:
        raise not_found()
    with visit.begin() as connection:
        is_asked = page_runs.ask_to_stop(connection, run_id)
        if is_asked:
            visit.note(connection, "run.stopped", "page_run", run_id, kind=run.kind)
    return visit.done(kind.address(run_id), "run_stopping" if is_asked else "run_ended")


def begin(
    visit: Visit,
    kind: str,
    work: Work,
    *,
    asked: Mapping[str, Any] | None = None,
    note: Callable[[Connection], object] | None = None,
) -> RedirectResponse:
    """Begin work beside the pages, and lead the visitor to its page; to the one that goes on, where there is but one of a kind.

    Raises:
        Refused: if so many wait that this one cannot.
    """
    wanted = Asked(kind, visit.visitor, asked=asked or {}, note=note)
    other = visit.console.runs.start(wanted, work)
    if other is not None:
        return visit.done(KINDS[kind].address(other.run_id), "run_goes_on")
    visit.console.runs.wait(wanted.run_id)
    return RedirectResponse(KINDS[kind].address(wanted.run_id), status_code=303)


def find(visit: Visit, run_id: str, *names: str) -> tuple[PageRun, Kind]:
    """Return a run that the visitor may see, as it is, and its kind, one of some if any are named."""
    with visit.begin() as connection:
        found = page_runs.find_run(connection, run_id)
    kind = None if found is None or (names and found.kind not in names) else KINDS.get(found.kind)
    if found is None or kind is None or not _may_see(visit, found, kind):
        raise not_found()
    return visit.console.runs.looked_at(found), kind


def lately(visit: Visit, *names: str) -> list[tuple[PageRun, str, str]]:
    """Return the last runs of some kinds that the visitor may see, each with its mark and who asked for it."""
    with visit.begin() as connection:
        found = page_runs.newest_runs(connection, names, limit=_SHOWN * 2)
    seen = [visit.console.runs.looked_at(each) for each in found if _may_see(visit, each, KINDS[each.kind])]
    return [(each, MARKS[each.state], visit.console.runs.by(each)) for each in seen[:_SHOWN]]


def may_stop(visit: Visit, run: PageRun) -> bool:
    """Return whether the visitor may have a run stop."""
    kind = KINDS[run.kind]
    return kind.is_stoppable and run.is_open and not run.stop_asked and _may(visit, kind.begins, kind)


def problems_of(visit: Visit, run: PageRun) -> list[str]:
    """Return why a run failed, in the visitor's language."""
    texts = visit.texts[KINDS[run.kind].group]
    return [said(texts, unpacked(each)) for each in visit.console.runs.result_of(run).get("problems", ())]


def _may_see(visit: Visit, run: PageRun, kind: Kind) -> bool:
    looks = kind.looks or kind.begins
    if not _may(visit, looks, kind):
        return False
    if kind.seen is Seen.BY_PERMISSION or run.account_id == visit.visitor.account_id:
        return True
    return kind.seen is Seen.BY_OWNER_OR_FLEET and visit.tops(looks) is None


def _may(visit: Visit, permission: Permission, kind: Kind) -> bool:
    return visit.visitor.may(permission) and not (kind.is_fleets and visit.tops(permission) is not None)


def _alarm(visit: Visit, run: PageRun) -> str:
    """Return what stands before the reasons where what was found is worse than a run that failed."""
    alarms = visit.texts["runs"]["alarms"]
    found = visit.console.runs.result_of(run).get("problems", ())
    if run.kind not in alarms or not found or found[0]["code"] in _OF_RUNS:
        return ""
    return str(alarms[run.kind])


def _told(visit: Visit, run: PageRun) -> Sequence[str]:
    """Return what came of a run, in sentences."""
    sentences = visit.texts["runs"]["told"]
    result = visit.console.runs.result_of(run)
    facts = {name: value for name, value in result.items() if not isinstance(value, list)}
    names = [f"{run.kind}_{each}" for each in result.get("more", [])]
    if run.state in ("done", "stopped") and facts and run.kind in sentences:
        names.insert(0, run.kind)
    return [*(sentences[name].format(**facts) for name in names), *_left_out(visit, run, result)]


def _left_out(visit: Visit, run: PageRun, result: Mapping[str, Any]) -> list[str]:
    texts = visit.texts[KINDS[run.kind].group]
    return [said(texts, unpacked(each)) for each in result.get("left_out", ())]
