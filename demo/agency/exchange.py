"""What other bodies bring the made-up agency: feeds with deliveries, a village's list, partners, webhooks, people listed twice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from random import Random

from sqlalchemy import text

from demo.agency.names import ADMINISTRATORS, OPERATORS, REVIEWERS
from demo.agency.people import Person
from demo.agency.stops import month_before
from demo.agency.world import MODEL, POLICY, ZONE, Agenda, World
from fleet.app import Fleet, look_at_reports_since
from fleet.duplicates import queue
from fleet.errors import ImportRefused
from fleet.exchange.cycles import month_text
from fleet.exchange.definitions import catalogue
from fleet.exchange.deliveries import take_in, zero_report
from fleet.exchange.messages import DeliveredRow, Delivery
from fleet.intake import unit_lists
from fleet.intake.handed_in import Body, Evidence, HandedIn
from fleet.partners.registry import add_partner, revoke_partner, roll_key
from fleet.partners.webhooks import make_webhook
from fleet.store import duplicates, feeds
from fleet.store.duplicates import NewHit, Verdict
from fleet.store.feeds import StoredFeed
from fleet.store.partners import PartnerKind, Scope
from fleet.store.webhooks import WebhookEvent, add_webhook, claim_due, note_try
from fleet.tables.reading import Upload
from protocol.documents import parse_document

_FEEDS = ("deaths", "village_deaths", "travel", "hospital_stays", "sentences", "exit_entry")
_PARTNERS: tuple[tuple[str, str, PartnerKind, tuple[Scope, ...], tuple[str, ...] | None], ...] = (
    (
        *("province-app", "Page and app of the province", PartnerKind.PHONE_PAGE),
        (Scope.CERTIFICATIONS_WRITE, Scope.STATUS_READ, Scope.WEBHOOKS_MANAGE),
        None,
    ),
    (
        "bureau",
        "Bureau of the neighbouring city",
        PartnerKind.CITY,
        (Scope.STATUS_READ, Scope.WEBHOOKS_MANAGE),
        ("62",),
    ),
    ("bank-hall", "Savings bank", PartnerKind.BANK, (Scope.CERTIFICATIONS_WRITE,), ("14", "13")),
    ("old-tool", "Tool of the year before last", PartnerKind.OWN, (Scope.RECORDS_READ,), None),
)
_REPORTED_BY = 16
"""Day of the month from which on the month before is reported: on the eighth it comes."""
_LISTED = 6
"""People on the list of a village."""
_HOOKS = {"province-app": 204, "bureau": 503}
"""Who listens, and how their server answers."""
_RETRY = (timedelta(minutes=5), timedelta(hours=1), None)
"""After how long a message that failed is tried again; None: given up."""


@dataclass(slots=True)
class _Cast:
    """Who plays which part in what is reported."""

    draw: Random
    seen: list[Person]
    """Certified at a terminal in the last days."""
    quiet: list[Person] = field(default_factory=list)

    def take(self, of: list[Person], count: int) -> list[Person]:
        """Return so many who have no part yet."""
        return [of.pop() for _ in range(min(count, len(of)))]


class ExchangeWork:
    """Puts everything that other bodies do on the agenda."""

    def __init__(self, world: World, agenda: Agenda, people: Sequence[Person]) -> None:
        self._world = world
        self._agenda = agenda
        draw = Random(f"{world.seed} exchange")  # noqa: S311 - a made population
        seen = [person for person in people if person.seen and (world.today - person.seen).days < 10]
        quiet = [person for person in people if person.last is not None and not person.is_stoppable]
        self._cast = _Cast(draw, draw.sample(seen, len(seen)), draw.sample(quiet, min(len(quiet), 400)))
        self._communities = sorted({person.community.code for person in people})
        self._village = people[0].community
        self._villagers = [person for person in people if person.community.code == self._village.code][:_LISTED]
        self._dead: list[Person] = []

    def put_down(self) -> None:
        """Put everything on the agenda."""
        at, agenda = self._world.at, self._agenda
        agenda.at(at(60), self._partners)
        agenda.at(at(55), self._hooks)
        agenda.at(at(51), self._revoked)
        agenda.at(at(25), self._key_rolled)
        for name in _FEEDS:
            agenda.at(at(190), partial(self._feed, name))
        cast = self._cast
        # The last month that was reported is one whose deliveries came a week ago at least.
        newest = 1 if self._world.today.day >= _REPORTED_BY else 2
        for months in (newest + 2, newest + 1, newest):
            month = month_before(self._world.today, months)
            arrives = at((self._world.today - month_before(self._world.today, months - 1)).days - 7, 8)
            died = cast.take(cast.quiet, 5)
            self._dead += died
            dead = self._rows(died, month)
            if months == newest:
                # Two of them have been at a terminal since, and one is not who the row says.
                dead += self._rows(cast.take(cast.seen, 4), month)
                wrong = self._rows(cast.take(cast.quiet, 1), month)[0]
                dead.append(wrong.model_copy(update={"name": "另一人"}))
            agenda.at(arrives, partial(self._delivery, "deaths", month, dead, 1, None))
            travels = self._rows(cast.take(cast.quiet, 20), month)
            agenda.at(arrives + timedelta(hours=1), partial(self._delivery, "travel", month, travels, 1, None))
            if months == newest + 1:
                fewer = travels[:-3]
                agenda.at(arrives + timedelta(days=2), partial(self._delivery, "travel", month, fewer, 2, 1))
            stays = self._rows(cast.take(cast.quiet, 8), month)
            agenda.at(arrives + timedelta(hours=2), partial(self._delivery, "hospital_stays", month, stays, 1, None))
            for place, area in enumerate(self._communities[: len(self._communities) - 3]):
                agenda.at(arrives + timedelta(minutes=place), partial(self._zero, month, area))
        agenda.at(at(7, 9), self._traveller)
        agenda.at(at(6, 9), self._refused)
        agenda.at(at(20, 13), self._duplicates)
        agenda.at(at(5, 9), self._list)
        for days in (3, 2, 1):
            agenda.at(at(days, 13), self._messages)

    def _rows(self, people: Sequence[Person], month: date) -> list[DeliveredRow]:
        return [
            DeliveredRow(
                document_number=person.number,
                name=person.name,
                since=str(month + timedelta(days=self._cast.draw.randrange(1, 27))),
            )
            for person in people
        ]

    def _feed(self, name: str, now: datetime) -> None:
        definition = catalogue().feeds[name].model_dump(mode="json")
        with self._world.database.begin() as connection:
            feeds.save_feed(connection, StoredFeed(name, definition, month_before(self._world.today, 4), now))

    def _delivery(
        self, feed: str, month: date, rows: Sequence[DeliveredRow], number: int, corrects: int | None, now: datetime
    ) -> None:
        delivery = Delivery(feed=feed, period=month_text(month), number=number, corrects=corrects, rows=tuple(rows))
        world = self._world
        take_in(world.database, world.keys, delivery, actor=ADMINISTRATORS[1], now=now, zone=ZONE, unknown_days=400)
        look_at_reports_since(Fleet(world.settings, world.keys, world.database, lambda: now), now)

    def _zero(self, month: date, area: str, now: datetime) -> None:
        world = self._world
        zero_report(
            world.database,
            world.keys,
            "village_deaths",
            month,
            area=area,
            corrects=None,
            actor=ADMINISTRATORS[1],
            now=now,
            zone=ZONE,
        )

    def _traveller(self, now: datetime) -> None:
        """Report that somebody crossed a border after their death."""
        with self._world.database.begin() as connection:
            row = connection.execute(
                text("SELECT subject_id FROM life_events WHERE kind = 'death' ORDER BY since, subject_id LIMIT 1")
            ).scalar_one()
        known = next(person for person in self._dead if person.subject_id == row)
        month = month_before(self._world.today, 1)
        seen = DeliveredRow(
            document_number=known.number, name=known.name, since=str(month + timedelta(days=14)), code="entry"
        )
        self._delivery("exit_entry", month, [seen], 1, None, now)

    def _refused(self, now: datetime) -> None:
        """Bring a delivery that cannot be so: it is refused as a whole, and nothing of it is stored."""
        wrong = DeliveredRow(document_number="99999919400101000X", since="2026-02-30")
        with suppress(ImportRefused):
            self._delivery("sentences", month_before(self._world.today, 1), [wrong], 1, None, now)

    def _list(self, now: datetime) -> None:
        """Take in a village's list of whom it has seen; it waits for two persons."""
        world = self._world
        rows = ["证件号码,姓名", *(f"{person.number},{person.name}" for person in self._villagers)]
        papers = HandedIn(
            body=Body.VILLAGE,
            unit=self._village.code,
            evidence=Evidence.LIST,
            is_sealed=True,
            matches_originals=True,
            register_copies=len(self._villagers),
            verified_on=now.astimezone(ZONE).date() - timedelta(days=2),
            handler=OPERATORS[1],
            handler_document=parse_document(self._villagers[0].number),
        )
        file = Upload("\n".join(rows).encode())
        unit_lists.take_in(world.database, world.keys, file, papers, by=ADMINISTRATORS[1], now=now, zone=ZONE)

    def _partners(self, now: datetime) -> None:
        world = self._world
        for partner_id, name, kind, scopes, areas in _PARTNERS:
            add_partner(
                world.database,
                world.keys.cipher,
                partner_id,
                name=name,
                kind=kind,
                areas=areas,
                scopes=scopes,
                per_minute=600,
                valid_until=world.today + timedelta(days=300),
                by=ADMINISTRATORS[0],
                now=now,
            )

    def _revoked(self, now: datetime) -> None:
        revoke_partner(self._world.database, self._world.keys.cipher, "old-tool", by=ADMINISTRATORS[0], now=now)

    def _key_rolled(self, now: datetime) -> None:
        world = self._world
        roll_key(
            world.database, world.keys.cipher, "bank-hall", overlap=timedelta(days=7), by=ADMINISTRATORS[0], now=now
        )

    def _hooks(self, now: datetime) -> None:
        for partner_id in _HOOKS:
            url = f"https://{partner_id}.invalid/hook"
            events = (WebhookEvent.CASE_ANSWERED, WebhookEvent.STATUS_CHANGED)
            webhook, _ = make_webhook(self._world.keys.cipher, partner_id, url, events, now=now)
            with self._world.database.begin() as connection:
                add_webhook(connection, webhook)

    def _messages(self, now: datetime) -> None:
        """Write down what became of messages, as the courier does, without sending any: one server takes them, the other is away."""
        moment = now
        for _ in range(60):
            moment += timedelta(seconds=20)
            with self._world.database.begin() as connection:
                due = claim_due(connection, now=moment, until=moment + timedelta(seconds=40))
                if due is None:
                    return
                answer = _HOOKS[due.webhook.partner_id]
                again = None if answer < 300 else _RETRY[min(due.tries, len(_RETRY) - 1)]
                note_try(
                    connection,
                    due,
                    result=str(answer),
                    now=moment,
                    next_try_at=None if again is None else moment + again,
                    is_delivered=answer < 300,
                )

    def _duplicates(self, now: datetime) -> None:
        people = self._cast.take(self._cast.quiet, 24)
        pairs = [
            tuple(sorted((first.subject_id, second.subject_id)))
            for first, second in zip(people[::2], people[1::2], strict=True)
        ]
        match = next(iter(POLICY.comparison.values())).match
        hits = [
            NewHit(
                "same_face", (one, two), score=0.64 + 0.03 * place, threshold=match, model_sha256=MODEL, key_domain="d1"
            )
            for place, (one, two) in enumerate(pairs[:7])
        ]
        hits += [NewHit("same_person", (one, two), what="name and birth date") for one, two in pairs[7:10]]
        hits += [NewHit("elsewhere", (one, one), what="resident_pension elsewhere") for one, _ in pairs[10:]]
        with self._world.database.begin() as connection:
            duplicates.add_hits(connection, hits, now=now)
            found = duplicates.hits_in(connection, ("open",), limit=20)
        verdicts: tuple[tuple[Verdict, ...], ...] = (
            ("different", "different"),
            ("same_person", "same_person"),
            ("same_person", "different"),
            ("different",),
        )
        for hit, words in zip(found, verdicts, strict=False):
            for place, word in enumerate(words):
                moment = now + timedelta(days=1, hours=place)
                self._agenda.at(moment, partial(self._decided, hit.hit_id, word, REVIEWERS[place]))

    def _decided(self, hit_id: str, verdict: Verdict, by: str, now: datetime) -> None:
        cipher, reason = self._world.keys.cipher, "Compared both files"
        with self._world.database.begin() as connection:
            queue.decide(connection, cipher, hit_id, verdict, by=by, reason=reason, now=now)
