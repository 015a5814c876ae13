"""Roll-outs of bundles and of settings: made, agreed to, watched, held and turned back. For whoever looks after the whole fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.errors import NotFound, Refused
from fleet.store import rollouts as store
from fleet.store.approvals import NEEDED, approvals_of
from fleet.store.areas import area_names
from fleet.store.bundles import newest_bundles, running_counts
from fleet.store.rollouts import StoredRollout
from fleet.store.terminal_settings import Scope, StoredSettings, Target, all_settings, sealed_of
from fleet.updates import rollouts
from fleet.updates.desired import door_of
from fleet.updates.rollout import SHADOW, Standing, State
from fleet.updates.rollouts import OBJECT, Means, Watched, Wish, plan_from, watched
from fleet.updates.terminal_settings import differences, parsed, schema, settings_of, texts_of
from fleet.web.forms import count_in
from fleet.web.lists import LONGEST, listing, number_in
from fleet.web.pages.terminals import ACT, LOOK
from fleet.web.pages.terminals_changes import area_meant
from fleet.web.saying import said
from fleet.web.visits import Visit, needs, not_found, sends
from protocol.bundle import BundleKind
from protocol.desired import SettingValues

router = APIRouter(include_in_schema=False)
PATH = "/terminals/-/rollouts"
_LISTED = 200
_STATE = frozenset(
    {
        "rollout_state",
        "rollout_under_way",
        "same_person",
        "two_have_approved",
        "in_one_hand",
        "not_meant",
        "rollout_not_in",
    }
)
"""Refusals of the state; all others are of what was typed."""
MARKS = {
    State.WAITING: "warn",
    State.RUNNING: "plain",
    State.PAUSED: "warn",
    State.DONE: "good",
    State.ABORTED: "bad",
    State.DROPPED: "plain",
}
STANDING_MARKS = {
    Standing.KEPT: "good",
    Standing.WENT_BACK: "bad",
    Standing.LOST: "bad",
    Standing.REFUSED: "warn",
    Standing.UNREACHABLE: "warn",
}

_WORDS: Mapping[str, Any] = {
    "marks": MARKS,
    "standing_marks": STANDING_MARKS,
    "standings": list(Standing),
    "shadow_phase": SHADOW,
    "under_way": (State.RUNNING, State.PAUSED),
}
"""What templates of a roll-out name besides it."""


@router.get("/terminals/-/bundles")
def bundles(visit: Annotated[Visit, needs(LOOK)]) -> HTMLResponse:
    """Show the bundles that are here, and what terminals run by their own signed word."""
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        found = newest_bundles(connection, limit=_LISTED)
        counts = running_counts(connection)
    rows = [(each, visit.opened(each.added_by_sealed, of=each.bundle_id, field_name="added_by")) for each in found]
    return visit.page(
        "rollouts/bundles.html", group="rollouts", rows=rows, counts=counts, has_door=_door(visit) is not None
    )


@router.get("/terminals/-/settings")
def settings(visit: Annotated[Visit, needs(LOOK)]) -> HTMLResponse:
    """Show the settings that the office has set for the fleet and for areas, and for which terminals."""
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        found = all_settings(connection)
        names = area_names(connection, {target.name for target in found if target.scope is Scope.AREA})
    return visit.page(
        "rollouts/settings.html",
        group="rollouts",
        rows=[
            (each, texts_of(each.settings), *_who(visit, each)) for each in found.values() if texts_of(each.settings)
        ],
        names=names,
    )


@router.get(PATH)
def listed(visit: Annotated[Visit, needs(LOOK)], after: str = "", before: str = "") -> HTMLResponse:
    """Show roll-outs, the newest first."""
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        shown = listing(
            PATH,
            {},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: watched(
                connection,
                store.newest_rollouts(connection, below=number_in(behind), above=number_in(ahead), limit=limit),
            ),
            key=lambda each: str(each.stored.place),
        )
        names = area_names(connection, {code for each in shown.rows for code in each.stored.areas or ()})
    return visit.page("rollouts/list.html", group="rollouts", shown=shown, names=names, marks=MARKS)


@router.get(PATH + "/new")
def form(visit: Annotated[Visit, needs(ACT)], bundle: str = "", area: str = "", settings: str = "") -> HTMLResponse:
    """Show the form, for a bundle or for settings, which begin as they are there."""
    visit.whole_fleet(ACT)
    typed = {"bundle": bundle[:LONGEST], "area": area[:LONGEST]}
    if settings:
        code = area.replace("\0", "")[:LONGEST]
        target = Target(Scope.AREA, code) if code else Target(Scope.FLEET)
        with visit.begin() as connection:
            typed |= texts_of(settings_of(connection, target))
    return _form(visit, typed, of_settings=bool(settings))


@router.post(PATH + "/new")
def make(visit: Annotated[Visit, sends(ACT)]) -> Response:
    """Store a roll-out, which waits to be started."""
    visit.whole_fleet(ACT)
    try:
        with visit.begin() as connection:
            wish = _wish(visit, connection)
            made = rollouts.make_rollout(
                connection, means(visit), wish, by=visit.visitor.name, reason=visit.sent.text("reason"), now=visit.now
            )
    except (Refused, NotFound) as error:
        of_settings = visit.sent.text("what") == "settings"
        problems = [said(visit.texts["rollouts"], error)]
        return _form(visit, visit.sent.fields, of_settings=of_settings, problems=problems, status=_status(error))
    return visit.done(f"{PATH}/{made}", "rollout_made")


@router.get(PATH + "/{rollout_id}")
def one(
    visit: Annotated[Visit, needs(LOOK)], rollout_id: str, standing: str = "", after: str = "", before: str = ""
) -> HTMLResponse:
    """Show a roll-out by phase and by terminal."""
    return _page(visit, rollout_id, standing=standing, after=after, before=before)


@router.get(PATH + "/{rollout_id}/progress")
def progress(visit: Annotated[Visit, needs(LOOK)], rollout_id: str) -> HTMLResponse:
    """Show how far a roll-out is; asked again by the page while it is under way."""
    visit.whole_fleet(LOOK)
    with visit.begin() as connection:
        found = watched(connection, [_found(connection, rollout_id)])[0]
    return visit.part("rollouts/progress.html", found=found, **_WORDS)


@router.post(PATH + "/{rollout_id}/start")
def start(visit: Annotated[Visit, sends(ACT)], rollout_id: str) -> Response:
    """Take the visitor's word that it may start; of a bundle the second person's starts it."""

    def work(connection: Connection) -> str:
        found = watched(connection, [_found(connection, rollout_id)])[0]
        visit.make_sure(
            "start_rollout",
            [(visit.texts["rollouts"]["reason"], visit.sent.text("reason"))],
            what=subject(visit, found),
            terminals=sum(found.totals.values()),
        )
        runs = rollouts.start_rollout(
            connection,
            means(visit),
            rollout_id,
            by=visit.visitor.name,
            reason=visit.sent.text("reason"),
            now=visit.now,
        )
        return "rollout_started" if runs else "rollout_approved"

    return _act(visit, rollout_id, work)


@router.post(PATH + "/{rollout_id}/drop")
def drop(visit: Annotated[Visit, sends(ACT)], rollout_id: str) -> Response:
    """Give a roll-out up that has not started."""
    return _step(visit, rollout_id, rollouts.drop_rollout, "rollout_dropped")


@router.post(PATH + "/{rollout_id}/pause")
def pause(visit: Annotated[Visit, sends(ACT)], rollout_id: str) -> Response:
    """Ask no further terminal."""
    return _step(visit, rollout_id, rollouts.pause_rollout, "rollout_paused")


@router.post(PATH + "/{rollout_id}/resume")
def resume(visit: Annotated[Visit, sends(ACT)], rollout_id: str) -> Response:
    """Go on."""
    return _step(visit, rollout_id, rollouts.resume_rollout, "rollout_resumed")


@router.post(PATH + "/{rollout_id}/abort")
def abort(visit: Annotated[Visit, sends(ACT)], rollout_id: str) -> Response:
    """Turn back."""

    def work(connection: Connection) -> str:
        found = watched(connection, [_found(connection, rollout_id)])[0]
        totals = found.totals
        asked = sum(count for name, count in totals.items() if name not in (Standing.AHEAD, Standing.LEFT_OUT))
        visit.make_sure("abort_rollout", what=subject(visit, found), asked=asked, kept=totals[Standing.KEPT])
        rollouts.abort_rollout(connection, means(visit), rollout_id, by=visit.visitor.name, now=visit.now)
        return "rollout_aborted"

    return _act(visit, rollout_id, work)


@router.post(PATH + "/{rollout_id}/leave-out")
def leave_out(visit: Annotated[Visit, sends(ACT)], rollout_id: str) -> Response:
    """Take one terminal out of a roll-out, which then waits for it no more."""

    def work(connection: Connection) -> str:
        terminal = visit.sent.text("terminal").replace("\0", "")
        rollouts.leave_out(connection, means(visit), rollout_id, terminal, by=visit.visitor.name, now=visit.now)
        return "rollout_left_out"

    return _act(visit, rollout_id, work)


def means(visit: Visit) -> Means:
    """Return what the visitor changes roll-outs with."""
    return Means(visit.cipher, _door(visit))


def subject(visit: Visit, found: Watched) -> str:
    """Return what is rolled out, in words."""
    t = visit.texts["rollouts"]
    if found.bundle is not None:
        bundle = found.bundle
        return str(t["bundle_told"]).format(kind=t["kinds"][bundle.kind], number=bundle.number, label=bundle.label)
    return str(t["settings_told"]).format(count=len(texts_of(found.stored.settings or SettingValues())))


def _act(visit: Visit, rollout_id: str, work: Callable[[Connection], str]) -> Response:
    visit.whole_fleet(ACT)
    try:
        with visit.begin() as connection:
            done = work(connection)
    except (Refused, NotFound) as error:
        if error.code == "rollout_unknown":
            raise not_found() from error
        problems = [said(visit.texts["rollouts"], error)]
        return _page(visit, rollout_id, problems=problems, status=_status(error))
    return visit.done(f"{PATH}/{rollout_id}", done)


def _step(visit: Visit, rollout_id: str, work: Callable[..., None], done: str) -> Response:
    def step(connection: Connection) -> str:
        work(connection, means(visit), rollout_id, by=visit.visitor.name, now=visit.now)
        return done

    return _act(visit, rollout_id, step)


def _status(error: Refused | NotFound) -> int:
    return 409 if error.code in _STATE else 422


def _found(connection: Connection, rollout_id: str) -> StoredRollout:
    found = store.find_rollout(connection, rollout_id.replace("\0", ""))
    if found is None:
        raise not_found()
    return found


def _page(
    visit: Visit,
    rollout_id: str,
    *,
    standing: str = "",
    after: str = "",
    before: str = "",
    problems: Sequence[str] = (),
    status: int = 200,
) -> HTMLResponse:
    visit.whole_fleet(LOOK)
    wanted = [each.value for each in Standing if each.value == standing]
    with visit.begin() as connection:
        found = watched(connection, [_found(connection, rollout_id)])[0]
        stored = found.stored
        members = listing(
            f"{PATH}/{stored.rollout_id}",
            {"standing": standing},
            after=_plain(after),
            before=_plain(before),
            fetch=lambda behind, ahead, limit: store.members_of(
                connection, stored.rollout_id, standings=wanted, after=behind, before=ahead, limit=limit
            ),
            key=lambda each: each.terminal_id,
        )
        approved = approvals_of(connection, visit.cipher, OBJECT, stored.rollout_id)
        names = area_names(connection, stored.areas or ())
        changes = (
            differences(settings_of(connection, stored.target), stored.settings)
            if stored.target is not None and stored.settings is not None
            else []
        )
    return visit.page(
        "rollouts/one.html",
        status=status,
        group="rollouts",
        found=found,
        subject=subject(visit, found),
        by=visit.opened(stored.made_by_sealed, of=stored.rollout_id, field_name="made_by"),
        reason=visit.opened(stored.reason_sealed, of=stored.rollout_id, field_name="reason"),
        members=members,
        names=names,
        changes=changes,
        approved=approved,
        needed=NEEDED,
        has_approved=visit.visitor.name in {each.name for each in approved},
        may_act=visit.tops(ACT) is None,
        typed=visit.sent.fields,
        problems=problems,
        **_WORDS,
    )


def _form(
    visit: Visit, typed: Mapping[str, str], *, of_settings: bool, problems: Sequence[str] = (), status: int = 200
) -> HTMLResponse:
    with visit.begin() as connection:
        found = [] if of_settings else newest_bundles(connection, limit=_LISTED)
    return visit.page(
        "rollouts/new.html",
        status=status,
        group="rollouts",
        of_settings=of_settings,
        bundles=found,
        has_networks=any(each.kind is BundleKind.NETWORKS for each in found),
        schema=schema(),
        typed=typed,
        problems=problems,
    )


def _wish(visit: Visit, connection: Connection) -> Wish:
    sent = visit.sent
    of_settings = sent.text("what") == "settings"
    area = sent.text("area")
    return Wish(
        plan_from(
            shares=sent.text("shares"),
            soak_hours=_number(visit, "soak_hours", 24),
            shadow_hours=0 if of_settings else _number(visit, "shadow_hours", 0),
            from_hour=_hour(visit, "from_hour"),
            until_hour=_hour(visit, "until_hour"),
            abort_percent=_number(visit, "abort_percent", 20),
            least_counted=_number(visit, "least_counted", 3),
            lost_hours=_number(visit, "lost_hours", 48),
        ),
        bundle_id=None if of_settings else sent.text("bundle"),
        settings=parsed({each.name: sent.text(each.name) for each in schema()}) if of_settings else None,
        areas=(area_meant(connection, area, None),) if area else (),
        canary=tuple(sent.text("canary").replace(",", " ").replace("，", " ").replace("\0", "").split()),
        canary_count=max(1, _number(visit, "canary_count", 3)),
    )


def _number(visit: Visit, name: str, otherwise: int) -> int:
    written = visit.sent.text(name)
    found = count_in(written, digits=5) if written else otherwise
    if found is None:
        raise Refused(f"{name}: a whole number expected", code="rollout_plan")
    return found


def _hour(visit: Visit, name: str) -> int | None:
    return _number(visit, name, 0) if visit.sent.text(name) else None


def _who(visit: Visit, stored: StoredSettings) -> tuple[str, str]:
    of = sealed_of(stored.target)
    return (
        visit.opened(stored.changed_by_sealed, of=of, field_name="changed_by"),
        visit.opened(stored.reason_sealed, of=of, field_name="reason"),
    )


def _door(visit: Visit) -> str | None:
    return door_of(visit.console.settings.provisioning)


def _plain(text: str) -> str:
    return text.replace("\0", "").strip()[:LONGEST]
