"""The sessions of the last sixty days: signed by their terminals, judged by the fleet's own rules, stored as ingest stores them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from demo.agency.conditions import Condition
from demo.agency.copying import copy_rows
from demo.agency.evidence import findings, reasons
from demo.agency.people import RECENT_DAYS, Person, made_id
from demo.agency.terminals import SOFTWARE, Terminal
from demo.agency.world import POLICY, ZONE, World
from fleet.admission import Position, admit, judge
from fleet.status.background import background_of
from fleet.store.links import LinkKind, flags_text
from protocol.documents import DocumentKind
from protocol.outcomes import Outcome
from protocol.policy import PathName
from protocol.records import RECORD_TYP, CertificationRecord, Claim, Decision
from protocol.times import ClockSource, DeviceTime

_CHUNK = 500
"""Records that are judged at once."""
_FAILED_SHARE = 0.07
"""Sessions that do not end as certified, of all people."""
_ENDS: tuple[tuple[Outcome, int], ...] = (
    (Outcome.REVIEW, 8),
    (Outcome.NOT_CERTIFIED, 25),
    (Outcome.POOR_SAMPLE, 26),
    (Outcome.CANCELLED, 24),
    (Outcome.NO_REFERENCE, 12),
    (Outcome.TIME_UNCERTAIN, 3),
    (Outcome.PRESENTATION_ATTACK, 2),
)
_HOURS = (8, 8, 9, 9, 9, 10, 10, 10, 11, 13, 14, 14, 15, 15, 16)
"""When people come."""
_WATCHED = (Condition.DULL, Condition.GLARING)
_AGAIN_A_DAY = 5
"""Sessions on each day at each of the two terminals that the charts are about, besides those of their community."""
_DRIFT_DAYS = 14
_JUMP_DAYS = 9


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at a terminal."""

    person: Person
    at: datetime
    outcome: Outcome


def store_sessions(world: World, people: Sequence[Person], made: Sequence[Terminal]) -> None:
    """Draw, sign, judge and store all sessions."""
    signed = list(_signed(world, people, made))
    rows = [row for start in range(0, len(signed), _CHUNK) for row in _judged(world, signed[start : start + _CHUNK])]
    copy_rows(world.url, {"links": [link for link, _ in rows], "records": [record for _, record in rows]})


def _signed(
    world: World, people: Sequence[Person], made: Sequence[Terminal]
) -> Iterator[tuple[CertificationRecord, bytes, str, str | None]]:
    """Give every record with its envelope, its digest and that of the stored one before it."""
    draw = Random(f"{world.seed} sessions")  # noqa: S311 - a made population
    by_terminal = _placed(draw, list(_sessions(world, people, draw)), made)
    for terminal in made:
        if terminal.condition in _WATCHED:
            more = Random(f"{world.seed} again {terminal.terminal_id}")  # noqa: S311 - as above
            by_terminal[terminal.terminal_id] += _again(world, people, more)
    number = 0
    # The watched ones last: what is drawn for the others does not hang on how many come to these.
    for terminal in sorted(made, key=lambda each: each.condition in _WATCHED):
        last = world.now - timedelta(days=terminal.heard_days_ago)
        lost = {2, 7, 8} if terminal.condition is Condition.GAPS else set[int]()
        before: str | None = None
        for session in sorted(by_terminal[terminal.terminal_id], key=lambda each: (each.at, each.person.subject_id)):
            if session.at > last:
                continue
            number += 1
            record = record_of(world, terminal, session, draw, number)
            envelope, digest = terminal.sign(record, RECORD_TYP)
            if record.counter in lost:
                # It never arrived: the one after it names a digest that nobody here knows.
                before = None
                continue
            yield record, envelope, digest, before
            before = digest


def record_of(world: World, terminal: Terminal, session: Session, draw: Random, number: int) -> CertificationRecord:
    """Return what a terminal records of a session, as the next link of its chain."""
    person, outcome = session.person, session.outcome
    nonce = made_id(world.seed, "nonce", number)
    is_known = outcome is not Outcome.NO_REFERENCE
    spoilt = _spoilt(terminal.condition, (world.now - session.at).total_seconds() / 86400)
    decided = _moment(terminal, session.at, has_time=outcome is not Outcome.TIME_UNCERTAIN)
    return CertificationRecord.model_validate(
        {
            **terminal.head(made_id(world.seed, "record", number)),
            "session_id": made_id(world.seed, "session", number),
            "nonce": nonce,
            "claim": Claim(document=DocumentKind.RESIDENT_ID, token=person.token, subject_id=person.subject_id),
            "decision": Decision(
                outcome=outcome,
                reasons=reasons(draw, outcome),
                policy_version=POLICY.policy_version,
                path=PathName.STANDARD,
            ),
            **findings(draw, outcome, person.reference_id if is_known else None, spoilt, nonce),
            "software": SOFTWARE,
            "started": _moment(terminal, session.at - timedelta(seconds=draw.randrange(12, 50))),
            "decided": decided,
        }
    )


def _sessions(world: World, people: Sequence[Person], draw: Random) -> Iterator[Session]:
    for person in people:
        if person.seen is not None:
            at = _hour(draw, person.seen, world)
            yield Session(person, at, Outcome.CERTIFIED)
            if draw.random() < 0.1:
                # The first try did not do.
                again = draw.choice((Outcome.POOR_SAMPLE, Outcome.POOR_SAMPLE, Outcome.CANCELLED))
                yield Session(person, at - timedelta(seconds=draw.randrange(60, 400)), again)
    with_reference = [
        person for person in people if person.reference_id and person.seen is None and not person.is_stoppable
    ]
    without = [person for person in people if person.reference_id is None]
    names, weights = zip(*_ENDS, strict=True)
    for _ in range(round(_FAILED_SHARE * len(people))):
        outcome = draw.choices(names, weights)[0]
        person = draw.choice(without if outcome is Outcome.NO_REFERENCE and without else with_reference)
        day = world.today - timedelta(days=draw.randrange(RECENT_DAYS))
        yield Session(person, _hour(draw, day, world), outcome)


def _hour(draw: Random, day: date, world: World) -> datetime:
    whole = datetime.combine(day, time(draw.choice(_HOURS)), ZONE)
    return world.pressed(whole + timedelta(seconds=draw.randrange(3600))).astimezone(UTC)


def _placed(draw: Random, sessions: Sequence[Session], made: Sequence[Terminal]) -> dict[str, list[Session]]:
    """Return the sessions of each terminal: each person goes to one of their own community."""
    near: dict[str, list[Terminal]] = defaultdict(list)
    for terminal in made:
        if terminal.condition is not Condition.NEVER_SEEN:
            near[terminal.community.code].append(terminal)
    everywhere = [terminal for group in near.values() for terminal in group]
    found: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        choice = near.get(session.person.community.code) or everywhere
        # Most go to the two that the charts are about, where they stand.
        watched = [each for each in choice if each.condition in _WATCHED]
        terminal = draw.choice(watched if watched and draw.random() < 0.8 else choice)
        found[terminal.terminal_id].append(session)
    return found


def _again(world: World, people: Sequence[Person], draw: Random) -> list[Session]:
    """Return sessions of people who came once before the day on which they were certified last, which is the one that counts."""
    found: list[Session] = []
    came: set[str] = set()
    for days_ago in range(RECENT_DAYS - 1, 1, -1):
        day = world.today - timedelta(days=days_ago)
        later = [each for each in people if each.seen is not None and each.seen > day and not each.is_stoppable]
        fresh = [person for person in later if person.subject_id not in came]
        choice = fresh if len(fresh) >= _AGAIN_A_DAY else later
        chosen = draw.sample(choice, min(_AGAIN_A_DAY, len(choice)))
        came.update(person.subject_id for person in chosen)
        found += [Session(person, _hour(draw, day, world), Outcome.CERTIFIED) for person in chosen]
    return found


def _spoilt(condition: Condition, days_ago: float) -> dict[str, float]:
    """Return by how much components of a picture are worse at a terminal so long ago."""
    if condition is Condition.DULL and days_ago < _DRIFT_DAYS:
        return {"sharpness": 45 * (1 - days_ago / _DRIFT_DAYS)}
    if condition is Condition.GLARING and days_ago < _JUMP_DAYS:
        return {"over_exposure_prevention": 30.0, "illumination_uniformity": 25.0, "dynamic_range": 15.0}
    return {}


def _moment(terminal: Terminal, at: datetime, *, has_time: bool = True) -> DeviceTime:
    return DeviceTime(
        boot_id=made_id(0, f"boot {terminal.terminal_id}", at.toordinal() // 9),
        monotonic_ns=int(at.timestamp() % 777_600 * 1e9),
        wall_clock=at,
        source=ClockSource.NETWORK if has_time else ClockSource.NONE,
        uncertainty_s=0.5 if has_time else None,
        last_fleet_time=at - timedelta(minutes=20),
    )


def _judged(
    world: World, chunk: Sequence[tuple[CertificationRecord, bytes, str, str | None]]
) -> Iterator[tuple[Sequence[Any], Sequence[Any]]]:
    """Give for each record its rows of `links` and of `records`."""
    with world.database.begin() as connection:
        background = background_of(connection, [record for record, *_ in chunk], zone=ZONE)
    for record, envelope, digest, before in chunk:
        arrived = record.decided.wall_clock + timedelta(seconds=3)
        admission = admit(
            record,
            sha256=digest,
            fleet_id=world.settings.fleet_id,
            terminal_id=record.terminal_id,
            retired_at=None,
            position=Position(None, before, None),
            received_at=arrived,
        )
        known = background.known(record, arrived)
        judgement = judge(record, known, accept_simulated=False, received_at=arrived)
        link = (
            *(record.record_id, digest, record.terminal_id, record.counter, record.previous),
            *(admission.chain.value, LinkKind.RECORD.value, envelope, arrived),
        )
        found, claim = judgement.bracket, record.claim
        row = (
            *(record.record_id, record.terminal_id, record.counter, record.session_id, claim.subject_id, claim.token),
            *(record.decision.outcome.value, record.to_bytes().decode(), arrived, found.earliest, found.latest),
            *(judgement.event_at, judgement.pass_at, flags_text(judgement)),
        )
        yield link, row
