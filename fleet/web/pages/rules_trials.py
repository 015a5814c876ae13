"""What a rule pack would do to everybody: asked for, watched while it is worked out, shown, exported; and the two approvals after it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fleet.accounts.roles import Permission
from fleet.errors import DatabaseUnavailable, ImportRefused, NotFound, Refused
from fleet.exchange.effects import settle_all
from fleet.rules import publishing
from fleet.status.projection import reproject_outdated
from fleet.status.trials import ask_for_trial
from fleet.store.approvals import approvals_of
from fleet.store.areas import area_names, parents_above
from fleet.store.trials import Trial, find_trial, trials_of
from fleet.tables.writing import to_csv
from fleet.web.pages.rules import find
from fleet.web.pages.rules_results import Result, result_in
from fleet.web.saying import all_said, said
from fleet.web.sending import CSV, download
from fleet.web.visits import Visit, needs, not_found, sends

logger = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)
_TYPED = frozenset({"day_unusable", "text_unusable"})


@router.get("/rules/packs/{pack_id}/{version}/what-if")
def what_if(visit: Annotated[Visit, needs(Permission.RULES)], pack_id: str, version: str) -> HTMLResponse:
    """Show the trials of a version, and the form by which one is asked for."""
    return _asking_page(visit, pack_id, version)


@router.post("/rules/packs/{pack_id}/{version}/what-if")
def ask(visit: Annotated[Visit, sends(Permission.RULES_PROPOSE)], pack_id: str, version: str) -> Response:
    """Ask for a trial; it is worked out beside the pages."""
    visit.whole_fleet(Permission.RULES_PROPOSE)
    try:
        day = _day(visit)
        with visit.begin() as connection:
            stored = find(connection, pack_id, version)
            trial_id = ask_for_trial(
                connection,
                visit.cipher,
                stored.pack.pack_id,
                stored.pack.version,
                on=day,
                by=visit.visitor.name,
                now=visit.now,
            )
    except Refused as error:
        if error.code == "trial_runs" and (running := _running(visit, pack_id, version)) is not None:
            return RedirectResponse(f"/rules/trials/{running}", status_code=303)
        problem = said(visit.texts["rules"], error)
        status = 422 if error.code in _TYPED else 409
        return _asking_page(visit, pack_id, version, typed=visit.sent.fields, problem=problem, status=status)
    visit.console.trials.go_on()
    return RedirectResponse(f"/rules/trials/{trial_id}", status_code=303)


@router.get("/rules/trials/{trial_id}")
def trial(visit: Annotated[Visit, needs(Permission.RULES)], trial_id: str) -> HTMLResponse:
    """Show how far a trial is, or what came of it."""
    return _trial_page(visit, trial_id)


@router.get("/rules/trials/{trial_id}/progress")
def progress(visit: Annotated[Visit, needs(Permission.RULES)], trial_id: str) -> Response:
    """Show how far a trial is; once it is ended, have the whole page loaded anew."""
    found = _find(visit, trial_id)
    if found.state != "waiting":
        return Response(status_code=200, headers={"HX-Redirect": f"/rules/trials/{trial_id}"})
    return visit.page("rules/progress.html", trial=found)


@router.get("/rules/trials/{trial_id}/counts.csv")
def counts(visit: Annotated[Visit, needs(Permission.RULES)], trial_id: str) -> Response:
    """Give everything that a trial counted as a table."""
    found = _find(visit, trial_id)
    if found.result is None:
        raise not_found()
    lines: list[tuple[object, ...]] = []
    for cut, rows in sorted(found.result["states"].items()):
        lines += [(cut, *row) for row in rows]
    for cut, rows in sorted(found.result["stoppable"].items()):
        for key, before, after in rows:
            lines.append((cut, key, "stop_may_be_proposed", "before", before))
            lines.append((cut, key, "stop_may_be_proposed", "after", after))
    lines += [("area", area, "same_state", move, people) for area, move, people in found.result["moved"]]
    name = f"what-if-{found.pack_id}-{found.version}-{found.day}.csv"
    return download(to_csv((("cut", "key", "from", "to", "people"), lines)), name, CSV)


@router.post("/rules/packs/{pack_id}/{version}/approve")
def approve(
    visit: Annotated[Visit, sends(Permission.RULES_APPROVE, is_fresh=True)], pack_id: str, version: str
) -> Response:
    """Approve a pack whose trial the visitor has before them; the second person's word puts it in force."""
    visit.whole_fleet(Permission.RULES_APPROVE)
    trial_id = visit.sent.text("trial_id")
    seen = _find(visit, trial_id)
    name = f"{pack_id}/{version}"
    try:
        if f"{seen.pack_id}/{seen.version}" != name or seen.state != "done":
            raise Refused("another trial", code="not_tried")  # noqa: TRY301 - as every other refusal
        done = publishing.approve(
            visit.console.database,
            visit.keys,
            name,
            by=visit.visitor.name,
            reason=visit.sent.text("reason"),
            now=visit.now,
            although_nobody=visit.sent.text("although_nobody") == "yes",
            sha256=seen.sha256,
        )
    except (Refused, NotFound) as error:
        problems = [said(visit.texts["rules"], error)]
        status = 422 if error.code in _TYPED else 409
        return _trial_page(visit, trial_id, typed=visit.sent.fields, problems=problems, status=status)
    except ImportRefused as error:
        problems = all_said(visit.texts["rules"], error)
        return _trial_page(visit, trial_id, typed=visit.sent.fields, problems=problems, status=409)
    if done.in_force:
        _go_over(visit)
    return visit.done(f"/rules/packs/{name}", "pack_in_force" if done.in_force else "pack_approved")


def _running(visit: Visit, pack_id: str, version: str) -> str | None:
    """Return the trial of this very text and day that is at work: whoever asks once more is shown that one."""
    with visit.begin() as connection:
        stored = find(connection, pack_id, version)
        tries = trials_of(connection, stored.pack.pack_id, stored.pack.version)
    asked = ("waiting", stored.sha256, _day(visit))
    return next((each.trial_id for each in tries if (each.state, each.sha256, each.day) == asked), None)


def _go_over(visit: Visit) -> None:
    """Have everybody held to the packs of the day, beside the pages; ingest does it as well, from time to time."""
    console = visit.console

    def run() -> None:
        settling = partial(settle_all, console.database, zone=console.zone, now=console.clock())
        try:
            reproject_outdated(console.database, zone=console.zone, clock=console.clock, then=settling)
        except DatabaseUnavailable:
            # What was done stays; ingest goes on with the rest.
            return
        except Exception:
            # Top of a task; ingest does it as well, and says it again.
            logger.exception("going over to other rule packs failed")

    threading.Thread(target=run, name="packs-of-the-day", daemon=True).start()


def _asking_page(
    visit: Visit,
    pack_id: str,
    version: str,
    *,
    typed: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> HTMLResponse:
    visit.whole_fleet(Permission.RULES)
    with visit.begin() as connection:
        stored = find(connection, pack_id, version)
        tries = trials_of(connection, stored.pack.pack_id, stored.pack.version)
    if any(each.state == "waiting" for each in tries):
        visit.console.trials.go_on()
    return visit.page(
        "rules/asking.html",
        status=status,
        stored=stored,
        name=publishing.name_of(stored.pack),
        tries=tries,
        typed=typed or {},
        problems=[problem] if problem else [],
    )


def _trial_page(
    visit: Visit,
    trial_id: str,
    *,
    typed: Mapping[str, str] | None = None,
    problems: list[str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    found = _find(visit, trial_id)
    result: Result | None = None
    with visit.begin() as connection:
        stored = find(connection, found.pack_id, str(found.version))
        name = publishing.name_of(stored.pack)
        approved = approvals_of(connection, visit.cipher, publishing.OBJECT, name)
        if found.result is not None:
            codes = {row[0] for row in found.result["states"].get("area", [])}
            parents = parents_above(connection, codes | {stored.pack.region})
            names = area_names(connection, {*codes, *parents})
            result = result_in(found.result, stored.pack.region, parents, names, visit.texts)
    return visit.page(
        "rules/trial.html",
        status=status,
        trial=found,
        stored=stored,
        name=name,
        result=result,
        approved=approved,
        is_current=stored.sha256 == found.sha256,
        has_approved=visit.visitor.name in {each.name for each in approved},
        may_approve=visit.tops(Permission.RULES_APPROVE) is None,
        typed=typed or {},
        problems=problems or [],
    )


def _find(visit: Visit, trial_id: str) -> Trial:
    """Return a trial; one that waits is gone on with, should the server that worked on it be gone."""
    visit.whole_fleet(Permission.RULES)
    with visit.begin() as connection:
        found = find_trial(connection, trial_id)
    if found is None:
        raise not_found()
    if found.state == "waiting":
        visit.console.trials.go_on()
    return found


def _day(visit: Visit) -> date:
    written = visit.sent.text("day")
    if not written:
        return visit.today
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise Refused("no day", code="day_unusable") from error
