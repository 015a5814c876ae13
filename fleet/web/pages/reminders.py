"""Reminders: what comes, what was sent and what came of it, what failed, and how a message reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response

from fleet.accounts.roles import Permission
from fleet.errors import Refused
from fleet.reminders.composing import LANGUAGES, Facts, compose, sms_parts
from fleet.reminders.planner import plan_reminders
from fleet.reminders.planning import Kind, Step
from fleet.reminders.sending import Sender
from fleet.reminders.setup import demand_channel, open_channels, set_up
from fleet.store import contacts, reminder_pages
from fleet.store.areas import area_names
from fleet.store.packs import shelf_of
from fleet.store.reminder_pages import DayCount
from fleet.web.beside import Job, Stopped
from fleet.web.charts import Chart, Form
from fleet.web.lists import listing, moment_in
from fleet.web.pages.runs import begin, lately
from fleet.web.palette import tone_of
from fleet.web.sending import Refusals, said
from fleet.web.visits import Visit, needs, sends

router = APIRouter(include_in_schema=False)
_LOOK = Permission.REMINDERS
_SEND = Permission.REMINDERS_SEND
_CHART_DAYS = 30
_COMING_DAYS = 14
_SHOWN_STATES = {"sent": ("sending", "accepted"), "proven": ("delivered",), "failed": ("failed",)}


def tabs(visit: Visit, here: str) -> list[tuple[str, str, bool]]:
    """Return the pages of the group that the visitor has."""
    texts = visit.texts["reminders"]["tabs"]
    entries = [("overview", "/reminders"), ("failed", "/reminders/failed"), ("preview", "/reminders/preview")]
    if visit.visitor.may(_SEND):
        entries += [("lists", "/reminders/lists"), ("contacts", "/reminders/contacts")]
    return [(path, texts[name], name == here) for name, path in entries]


@router.get("/reminders")
def overview(visit: Annotated[Visit, needs(_LOOK)]) -> Response:
    """Show what comes, what waits, what was sent, and the channels."""
    return _overview(visit)


def _overview(visit: Visit, *, problems: Sequence[str] = (), status: int = 200) -> Response:
    kept = visit.console.settings.reminders
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        waiting = reminder_pages.waiting(connection, codes)
        first = visit.today + timedelta(days=kept.lead_days)
        coming = reminder_pages.coming(connection, codes, since=first, until=first + timedelta(days=_COMING_DAYS))
        answers = reminder_pages.last_answers(connection)
    return visit.page(
        "reminders/overview.html",
        status=status,
        tabs=tabs(visit, "overview"),
        has_reach=codes is None,
        waiting=waiting,
        coming=[(day - timedelta(days=kept.lead_days), people) for day, people in coming],
        channels=[(name, is_there, answers.get(name)) for name, is_there in set_up(visit.console.settings).items()],
        no_way=_no_way(visit),
        quiet=(kept.quiet_from, kept.quiet_until),
        may_send=visit.visitor.may(_SEND) and visit.tops(_SEND) is None,
        problems=problems,
        lately=lately(visit, "reminders_plan", "reminders_send"),
    )


@router.get("/reminders/reach")
def reach(visit: Annotated[Visit, needs(_LOOK)]) -> Response:
    """Show how many of those who are asked to come can be told so: counted beside the page, which does not wait for it."""
    visit.whole_fleet(_LOOK)
    with visit.begin() as connection:
        found = contacts.reach(connection, visit.today)
    return visit.part("reminders/reach.html", reach=found)


@router.get("/reminders/sent")
def sent_lately(visit: Annotated[Visit, needs(_LOOK)]) -> Response:
    """Show what was sent by channel and day, and what came of it: counted beside the page, which does not wait for it."""
    start = datetime.combine(visit.today - timedelta(days=_CHART_DAYS - 1), time(), visit.zone).astimezone(UTC)
    offset = visit.now.astimezone(visit.zone).utcoffset() or timedelta(0)
    with visit.begin() as connection:
        days = reminder_pages.days(connection, visit.codes(connection, _LOOK), since=start, offset=offset)
    charts = [_chart(visit, channel, days) for channel in sorted({each.channel for each in days})]
    return visit.part("reminders/sent.html", charts=charts)


def _no_way(visit: Visit) -> list[str]:
    """Return why no message can be sent, a sentence; nothing where one can."""
    try:
        demand_channel(visit.console.settings)
    except Refused as error:
        return said(visit, error)
    return []


def _ways(visit: Visit) -> list[str]:
    """Return the channels that are used and set up; without one nothing can be sent."""
    settings = visit.console.settings
    set_up = {"sms": settings.sms.url, "wechat": settings.wechat.url, "email": settings.email.host}
    return [name for name in settings.reminders.channels if set_up[name] is not None]


def _chart(visit: Visit, channel: str, found: Sequence[DayCount]) -> Chart:
    texts = visit.texts["reminders"]
    days = [visit.today - timedelta(days=back) for back in range(_CHART_DAYS - 1, -1, -1)]
    series = {
        texts["message_states"][name]: [
            sum(each.messages for each in found if (each.channel, each.day) == (channel, day) and each.state in states)
            for day in days
        ]
        for name, states in _SHOWN_STATES.items()
    }
    title = texts["chart"].format(channel=texts["channels"][channel], days=_CHART_DAYS)
    tones = [tone_of("messages", name) for name in _SHOWN_STATES]
    return Chart(title, [f"{day:%m-%d}" for day in days], series, Form.STACKED, y_title=texts["messages"], tones=tones)


@router.post("/reminders/plan")
def plan(visit: Annotated[Visit, sends(_SEND)]) -> Response:
    """Bring the outbox up to today, beside the pages; no step is planned twice."""
    visit.whole_fleet(_SEND)

    def work(job: Job) -> Mapping[str, Any]:
        done = plan_reminders(
            visit.console.database,
            visit.keys,
            visit.console.settings.reminders,
            zone=visit.zone,
            now=visit.now,
            by=visit.visitor.name,
            tell=job.tell,
        )
        return {"planned": done.planned, "cancelled": done.cancelled, "unheard": done.unheard}

    return begin(visit, "reminders_plan", work)


@router.post("/reminders/send")
def send(visit: Annotated[Visit, sends(_SEND)]) -> Response:
    """Send what waits, beside the pages, one message after the other until somebody stops it or the quiet hours begin.

    Where no way to send is set up, calls take the place of messages if that is what was asked for.
    """
    visit.whole_fleet(_SEND)
    console, texts = visit.console, visit.texts["reminders"]
    with_calls = bool(visit.sent.text("calls"))
    if not with_calls and (problems := _no_way(visit)):
        return _overview(visit, problems=problems, status=409)
    ways = [texts["channels"][name] for name, is_there in set_up(console.settings).items() if is_there]
    with visit.begin() as connection:
        due = reminder_pages.due_messages(connection, visit.now)
    try:
        if with_calls:
            visit.make_sure("calls", **asdict(due))
        else:
            visit.make_sure("send", ways=visit.texts["console"]["list_mark"].join(ways), **asdict(due))
    except Refusals as error:
        return _overview(visit, problems=said(visit, error), status=409)

    def work(job: Job) -> Mapping[str, Any]:
        with open_channels(console.settings, clock=console.clock) as channels:
            sender = Sender(
                console.database,
                visit.keys,
                channels,
                console.settings.reminders,
                zone=visit.zone,
                clock=console.clock,
            )
            done = sender.send(goes_on=job.goes_on)
        with visit.begin() as connection:
            visit.note(
                connection,
                "reminders.sent",
                "reminders",
                visit.today.isoformat(),
                accepted=done.accepted,
                delivered=done.delivered,
                failed=done.failed,
            )
        result: dict[str, Any] = {
            "accepted": done.accepted + done.delivered,
            "failed": done.failed,
            "later": done.later + done.next_channel,
            "cancelled": done.cancelled,
        }
        if done.quiet_until is not None:
            result |= {"until": console.renderer.moment(done.quiet_until), "more": ["quiet"]}
        if done.is_stopped:
            raise Stopped(result)
        return result

    return begin(visit, "reminders_send", work)


@router.get("/reminders/failed")
def failed(visit: Annotated[Visit, needs(_LOOK)], step: str = "", after: str = "", before: str = "") -> Response:
    """Show steps that reached nobody, and why."""
    wanted = step if step in set(Step) else ""
    with visit.begin() as connection:
        codes = visit.codes(connection, _LOOK)
        shown = listing(
            "/reminders/failed",
            {"step": wanted},
            after=after,
            before=before,
            fetch=lambda behind, ahead, limit: reminder_pages.failed(
                connection, codes, step=wanted, below=moment_in(behind), above=moment_in(ahead), limit=limit
            ),
            key=lambda row: f"{row.at.isoformat()}|{row.reminder_id}",
        )
        names = {row.reminder_id: visit.opened(row.name_sealed, of=row.subject_id) for row in shown.rows}
        areas = area_names(connection, {row.area for row in shown.rows})
        if names:
            visit.note(
                connection,
                "reminders.failed_listed",
                "reminders",
                "failed",
                about=[row.subject_id for row in shown.rows],
                names_shown=len(names),
            )
    texts = visit.texts["reminders"]
    return visit.page(
        "reminders/failed.html",
        tabs=tabs(visit, "failed"),
        shown=shown,
        names=names,
        areas=areas,
        steps=[(each.value, texts["steps"][each.value]) for each in Step],
    )


@router.get("/reminders/preview")
def preview(visit: Annotated[Visit, needs(_LOOK)], kind: str = "") -> Response:
    """Show how a message to somebody who does not exist reads, in every language."""
    chosen = next((each for each in Kind if each.value == kind), Kind.DUE)
    texts = visit.texts["reminders"]
    due = visit.today + timedelta(days=_CHART_DAYS)
    with visit.begin() as connection:
        help_line = shelf_of(connection).default.help_line
    kept = visit.console.settings.reminders
    made = []
    for language in LANGUAGES:
        spoken: Literal["zh", "en"] = "zh" if language == "zh" else "en"
        facts = Facts(
            kind=chosen,
            due=due,
            stop_from=due + timedelta(days=_CHART_DAYS),
            help_line=help_line,
            name=texts["made_up"][f"name_{language}"] if kept.is_name_told else None,
            place=texts["made_up"][f"place_{language}"],
        )
        text = compose(facts, spoken)
        made.append((language, text, sms_parts(text.body), len(text.body)))
    return visit.page(
        "reminders/preview.html",
        tabs=tabs(visit, "preview"),
        kind=chosen.value,
        kinds=[(each.value, texts["kinds"][each.value]) for each in Kind],
        made=made,
        in_use=kept.language,
    )
