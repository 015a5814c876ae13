"""The cases of the made-up agency: opened by sessions, at terminals and at the desk, and worked on as far as people would have got."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw
from sqlalchemy import text

from demo.agency.conditions import Condition
from demo.agency.names import ADMINISTRATORS, OPERATORS, REVIEWERS
from demo.agency.people import Person, made_id
from demo.agency.terminals import SOFTWARE, Terminal
from demo.agency.world import ZONE, Agenda, World
from fleet.app import Fleet, make_handler
from fleet.cases.deciding import Said, close, decide, take_up
from fleet.cases.desk import Request, open_request
from fleet.cases.files import Role, add_file, read_file, rules_of_case
from fleet.cases.machine import Kind, Verdict
from fleet.cases.opening import NewCase, Registry, open_case, take_in
from fleet.cases.pictures import open_picture
from fleet.cases.visits import VisitRequest, mark, plan, request_visit
from fleet.clock import day_of
from fleet.ingest.messages import Inbound
from fleet.staff.registry import add_operator
from protocol.cases import (
    CASE_TYP,
    CaseKind,
    CaseReason,
    CaseRecord,
    OtherWay,
    Photo,
    PhotoCheck,
    PhotoRole,
    Proxy,
    Relation,
)
from protocol.documents import DocumentKind
from protocol.envelope import seal, sha256_of
from protocol.events import EVENT_TYP, EventKind, TerminalEvent
from protocol.records import Claim
from protocol.staff import Role as StaffRole
from protocol.times import ClockSource, DeviceTime
from protocol.topics import Kind as TopicKind
from protocol.topics import Topic

_OPERATORS = ("w-101", "w-102", "w-103")
_WIDTH, _HEIGHT = 1280, 960
_EVENTS: tuple[tuple[EventKind, dict[str, str]], ...] = (
    (EventKind.SIGN_IN_REFUSED, {"whose": "unknown", "attempts": "2"}),
    (EventKind.CAMERA_LOST, {}),
    (EventKind.CAMERA_BACK, {}),
    (EventKind.POWER_FAILING, {}),
    (EventKind.CLOCK_JUMPED, {"seconds": "-3600"}),
    (EventKind.STARTED, {}),
)


class CaseWork:
    """Puts everything that happens to cases on the agenda."""

    def __init__(self, world: World, agenda: Agenda, people: Sequence[Person], made: Sequence[Terminal]) -> None:
        self._world = world
        self._agenda = agenda
        self._draw = Random(f"{world.seed} cases")  # noqa: S311 - a made population
        self._people = [each for each in people if each.last and each.reference_id and not each.is_stoppable]
        self._free = iter(self._draw.sample(self._people, min(len(self._people), 200)))
        self._terminals = [terminal for terminal in made if terminal.condition is Condition.WELL]
        self._office = Registry(world.keys.cipher, ZONE)

    def put_down(self) -> None:
        """Put everything on the agenda."""
        for number, (operator_id, name) in enumerate(zip(_OPERATORS, OPERATORS, strict=True)):
            add_operator(
                self._world.database,
                self._world.keys,
                name,
                roles=(StaffRole.WORKER, StaffRole.ENROLLER),
                area="",
                valid_until=self._world.today + timedelta(days=400 + number),
                now=self._world.at(900),
                operator_id=operator_id,
                by=ADMINISTRATORS[0],
            )
        self._of_sessions()
        self._of_terminals()
        self._of_desk()
        self._of_visits()
        self._of_agency()

    def _of_sessions(self) -> None:
        with self._world.database.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT record_id, received_at, outcome FROM records WHERE outcome IN ('review', 'presentation_attack')"
                    " ORDER BY received_at, record_id"
                )
            ).all()
        for place, row in enumerate(rows):
            self._agenda.at(row.received_at, partial(self._taken_in, row.record_id))
            is_alarm = row.outcome == "presentation_attack"
            reasons = ("false_alarm", "attack_confirmed") if is_alarm else ("person_and_alive", "other_person")
            self._follow(partial(self._case_of, row.record_id), row.received_at, place, *reasons)

    def _taken_in(self, record_id: str, now: datetime) -> None:
        with self._world.database.begin() as connection:
            take_in(
                connection,
                self._office,
                records=[record_id],
                pictures=[],
                subjects=[],
                accept_simulated=False,
                now=now,
            )

    def _case_of(self, record_id: str) -> str:
        with self._world.database.begin() as connection:
            found = connection.execute(
                text("SELECT case_id FROM case_sources WHERE record_id = :id"), {"id": record_id}
            ).scalar_one()
        return str(found)

    def _follow(
        self,
        case_id: Callable[[], str],
        opened: datetime,
        place: int,
        passed: str,
        refused: str,
        more: str = "another_document",
    ) -> None:
        """Let people work on a case: in eight ways, from nothing to decided, answered and closed, as far as there was time."""
        ways = ("close", "late", "close", "decide", "once", "disagree", "more", "refuse")
        way = ways[place % len(ways)]
        first, second, third = (REVIEWERS[(place + shift) % 3] for shift in range(3))
        step = partial(self._review, case_id)
        begun = opened + timedelta(days=2, hours=place % 5)
        day = timedelta(days=1)
        if way == "late":
            return
        if way == "more":
            self._at(begun, partial(step, first, Verdict.MORE_EVIDENCE, more))
            return
        is_refused = way == "refuse"
        verdict, reason = (Verdict.REFUSED, refused) if is_refused else (Verdict.PASSED, passed)
        self._at(begun, partial(step, first, verdict, reason))
        if way == "once":
            return
        if way == "disagree":
            self._at(begun + day, partial(step, second, Verdict.REFUSED, refused))
            if place % 16 == 5:
                self._at(begun + 2 * day, partial(step, third, Verdict.REFUSED, refused))
            return
        self._at(begun + day, partial(step, second, verdict, reason))
        if way == "close":
            self._at(begun + 3 * day, partial(self._closed, case_id, first))

    def _at(self, moment: datetime, act: Callable[[datetime], None]) -> None:
        if moment <= self._world.now:
            self._agenda.at(moment, act)

    def _review(self, case_id: Callable[[], str], by: str, verdict: Verdict, reason: str, now: datetime) -> None:
        take_up(self._world.database, self._office, case_id(), by=by, now=now)
        said = Said(verdict, reason, by, "Looked at everything")
        self._at(now + timedelta(minutes=4), partial(self._said, case_id(), said))

    def _said(self, case_id: str, said: Said, now: datetime) -> None:
        decide(self._world.database, self._office, case_id, said, now=now)

    def _closed(self, case_id: Callable[[], str], by: str, now: datetime) -> None:
        close(self._world.database, self._office, case_id(), by=by, reason="finished", now=now)

    def _of_terminals(self) -> None:
        kinds = (CaseKind.SPECIAL, CaseKind.PHOTO_ENROLMENT, CaseKind.EXCEPTION, CaseKind.PROXY)
        for place in range(12):
            moment = self._world.at(30 - 2.5 * place, 11)
            person = next(self._free)
            terminal = self._terminals[place * 7 % len(self._terminals)]
            record_id = made_id(self._world.seed, "case record", place)
            kind = kinds[place % 4]
            self._agenda.at(moment, partial(self._recorded, terminal, person, kind, record_id, place))
            passed = {CaseKind.EXCEPTION: "person_and_alive"}.get(kind, "documents_in_order")
            other = {CaseKind.EXCEPTION: "cannot_be_told", CaseKind.PROXY: "documents_not_in_order"}.get(
                kind, "other_person"
            )
            self._follow(lambda record_id=record_id: record_id, moment, place // 4 + place, passed, other)  # type: ignore[misc]
            if kind is CaseKind.SPECIAL:
                self._at(moment + timedelta(days=1), partial(self._looked_at, record_id))
        for place, (event, detail) in enumerate(_EVENTS):
            terminal = self._terminals[place * 11 % len(self._terminals)]
            self._agenda.at(self._world.at(5 - place * 0.7), partial(self._happened, terminal, event, detail, place))

    def _recorded(
        self, terminal: Terminal, person: Person, kind: CaseKind, record_id: str, place: int, now: datetime
    ) -> None:
        roles = {
            CaseKind.SPECIAL: (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER),
            CaseKind.PHOTO_ENROLMENT: (PhotoRole.FACE,),
            CaseKind.PROXY: (PhotoRole.AUTHORITY,),
        }.get(kind, ())
        sealed = [seal(drawing(role, place), reader=self._world.keys.sealing_key().public()) for role in roles]
        claim = Claim(document=DocumentKind.RESIDENT_ID, token=person.token, subject_id=person.subject_id)
        newspaper = day_of(now, ZONE) - timedelta(days=1) if kind is CaseKind.SPECIAL else None
        link = CaseRecord.model_validate(
            {
                **terminal.head(record_id),
                "kind": kind,
                "claim": claim,
                "operator": _OPERATORS[place % 3],
                "reason": CaseReason.DISTANCE if kind is CaseKind.PROXY else CaseReason.BEDRIDDEN,
                "other_way": OtherWay.HOME_VISIT if kind is CaseKind.EXCEPTION else None,
                "photos": tuple(_photo(role, one) for role, one in zip(roles, sealed, strict=True)),
                "newspaper_date": newspaper,
                "newspaper_age_days": None if newspaper is None else 1,
                "proxy": Proxy(document=DocumentKind.RESIDENT_ID, token="B" * 43, relation=Relation.CHILD)
                if kind is CaseKind.PROXY
                else None,
                "opened": _moment(terminal, now),
                "software": SOFTWARE,
            }
        )
        self._send(terminal, TopicKind.RECORD, [terminal.sign(link, CASE_TYP)[0]], now)
        self._send(terminal, TopicKind.ATTACHMENT, sealed, now)

    def _happened(self, terminal: Terminal, kind: EventKind, detail: dict[str, str], place: int, now: datetime) -> None:
        link = TerminalEvent.model_validate(
            {
                **terminal.head(made_id(self._world.seed, "event", place)),
                "kind": kind,
                "at": _moment(terminal, now),
                "detail": detail,
                "software": SOFTWARE,
            }
        )
        self._send(terminal, TopicKind.RECORD, [terminal.sign(link, EVENT_TYP)[0]], now)

    def _send(self, terminal: Terminal, kind: TopicKind, payloads: Sequence[bytes], now: datetime) -> None:
        send(self._world, terminal.terminal_id, kind, payloads, now)

    def _looked_at(self, case_id: str, now: datetime) -> None:
        open_picture(
            self._world.database,
            self._world.keys,
            case_id,
            PhotoRole.WITH_NEWSPAPER,
            reader=REVIEWERS[1],
            reason="Review of the case",
            now=now,
        )

    def _of_desk(self) -> None:
        day = timedelta(days=1)
        for place in range(14):
            moment = self._world.at(33 - 2.2 * place, 9)
            seen_on = day_of(moment, ZONE) - day
            who = next(self._free).subject_id
            request, roles, reasons = (
                (
                    Request(Kind.SPECIAL, who, "bedridden", seen_on=seen_on),
                    (Role.IDENTITY_CARD, Role.WITH_NEWSPAPER),
                    ("person_and_alive", "newspaper_too_old", "newer_newspaper"),
                ),
                (
                    Request(Kind.REMOTE_FORM, who, "distance", body="former_unit", seen_on=seen_on),
                    (Role.FORM,),
                    ("documents_in_order", "documents_not_in_order", "seal_or_signature"),
                ),
                (
                    Request(Kind.PROXY, who, "hospital"),
                    (Role.AUTHORITY, Role.IDENTITY_CARD),
                    ("documents_in_order", "documents_not_in_order", "seal_or_signature"),
                ),
                (
                    Request(Kind.WRONG_DATA, who, "phone", note="19900001234"),
                    (),
                    ("data_confirmed", "data_not_confirmed", "another_document"),
                ),
            )[place % 4]
            found: list[str] = []
            self._agenda.at(moment, partial(self._requested, request, found, OPERATORS[place % 3]))
            for shift, role in enumerate(roles if place != 12 else ()):
                at = moment + timedelta(hours=1, minutes=shift)
                self._at(at, partial(self._handed_in, found, role, place, OPERATORS[place % 3]))
            if place != 12:
                self._follow(partial(found.__getitem__, 0), moment, place + place // 4, *reasons)

    def _requested(self, request: Request, found: list[str], by: str, now: datetime) -> None:
        with self._world.database.begin() as connection:
            found.append(open_request(connection, self._office, request, by=by, now=now))

    def _handed_in(self, found: list[str], role: Role, place: int, by: str, now: datetime) -> None:
        with tempfile.TemporaryDirectory(prefix="lifecert-made-") as folder:
            path = Path(folder, "handed-in.jpg")
            path.write_bytes(drawing(role, place))
            checked = read_file(path, role, rules_of_case(self._world.database, found[0]), None)
        world = self._world
        add_file(world.database, world.keys, self._office, found[0], role, checked, by=by, now=now)

    def _of_visits(self) -> None:
        reasons = ("bedridden", "age", "disability", "hospital")
        for place in range(6):
            request = VisitRequest(next(self._free).subject_id, reasons[place % 4], f"House {place + 3}, by the well")
            found: list[str] = []
            moment = self._world.at(9 - place, 9)
            self._agenda.at(moment, partial(self._visit_asked, request, found))
            if place % 2 == 0:
                self._at(moment + timedelta(hours=3), partial(self._visit_planned, found, place))

    def _visit_asked(self, request: VisitRequest, found: list[str], now: datetime) -> None:
        with self._world.database.begin() as connection:
            found.append(request_visit(connection, self._office, request, by=OPERATORS[0], now=now))
        with self._world.database.begin() as connection:
            review = day_of(now, ZONE) + timedelta(days=365)
            mark(connection, self._office, request, review_on=review, by=OPERATORS[0], now=now)

    def _visit_planned(self, found: list[str], place: int, now: datetime) -> None:
        day = self._world.today + timedelta(days=1 + place)
        plan(self._world.database, self._office, found[0], day=day, worker=_OPERATORS[0], by=OPERATORS[1], now=now)

    def _of_agency(self) -> None:
        for place, kind in enumerate((Kind.DUPLICATE, Kind.RECOVERY, Kind.DUPLICATE, Kind.RECOVERY)):
            found: list[str] = []
            moment = self._world.at(15 - 3 * place, 14)
            new = NewCase(kind, next(self._free).subject_id, moment)
            self._agenda.at(moment, partial(self._opened, new, found))
            reasons = (
                ("false_alarm", "same_person_twice")
                if kind is Kind.DUPLICATE
                else ("data_confirmed", "data_not_confirmed")
            )
            self._follow(partial(found.__getitem__, 0), moment, (0, 4, 1, 3)[place], *reasons)

    def _opened(self, new: NewCase, found: list[str], now: datetime) -> None:
        with self._world.database.begin() as connection:
            found.append(
                open_case(connection, self._office, new, by=OPERATORS[2], note="Found by the yearly check", now=now)
            )


def send(world: World, terminal_id: str, kind: TopicKind, payloads: Sequence[bytes], now: datetime) -> None:
    """Let the fleet take in messages of a terminal, as they arrive from the broker."""
    handler = make_handler(Fleet(world.settings, world.keys, world.database, lambda: now))
    topic = str(Topic(world.settings.fleet_id, terminal_id, kind))
    handler.handle([Inbound(topic, payload, now) for payload in payloads])


def drawing(role: str, number: int) -> bytes:
    """Return a drawing in place of a photograph: a card, a sheet or a newspaper in plain lines; nobody's face, as JPEG."""
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), (238, 236, 228))
    pen = ImageDraw.Draw(picture)
    tint = (60 + number * 37 % 140, 90 + number * 53 % 120, 140)
    pen.rounded_rectangle((160, 140, 1120, 820), radius=40, fill=(252, 252, 250), outline=tint, width=8)
    pen.ellipse((240, 260, 520, 600), fill=tint)
    for line in range(7):
        pen.rectangle((600, 260 + 70 * line, 1040 - 60 * (line % 3), 290 + 70 * line), fill=(190, 194, 200))
    pen.text((240, 700), role.replace("_", " "), fill=(40, 44, 52), font_size=54)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=60)
    return out.getvalue()


def _photo(role: PhotoRole, sealed: bytes) -> Photo:
    check = PhotoCheck(name="resolution", passed=True, found=float(_WIDTH), asked=640.0)
    size = len(sealed)
    return Photo(
        role=role, attachment=sha256_of(sealed), width_px=_WIDTH, height_px=_HEIGHT, image_bytes=size, checks=(check,)
    )


def _moment(terminal: Terminal, at: datetime) -> DeviceTime:
    since = datetime.combine(at.date(), time(), at.tzinfo)
    return DeviceTime(
        boot_id=made_id(0, f"boot {terminal.terminal_id}", at.toordinal()),
        monotonic_ns=int((at - since).total_seconds() * 1e9),
        wall_clock=at - timedelta(seconds=5),
        source=ClockSource.NETWORK,
        uncertainty_s=0.5,
        last_fleet_time=at - timedelta(minutes=20),
    )
