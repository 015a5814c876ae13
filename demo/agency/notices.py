"""What people of the made-up agency were told and agreed to: reminders with receipts, consents, an erasure; and the weekly counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random

from sqlalchemy import text

from demo.agency.names import ADMINISTRATORS, OPERATORS
from demo.agency.people import Person
from demo.agency.world import FLEET_ID, ZONE, Agenda, World
from fleet.privacy.consent import Given, Way, consent_texts, record, withdraw
from fleet.privacy.erasure import Request, erase
from fleet.privacy.proof import Ground
from fleet.reminders.channels import Delivery, Message, Result
from fleet.reminders.planner import plan_reminders
from fleet.reminders.receipts import GatewayReceipt, apply_receipts
from fleet.reminders.sending import Sender
from fleet.statistics.snapshots import take_snapshot
from fleet.store import reminders
from fleet.store.reminders import Came, Outcome
from protocol.cases import OtherWay

_MESSAGES, _LATER_MESSAGES = 200, 40
"""So many are sent, those of the later day without a receipt yet; the rest waits. Which are sent first hangs on random ids."""
_CALLS = 24
_SETTLED_DAYS = 12
_CAME: tuple[Came, ...] = ("reached", "reached", "not_reached", "not_possible")


class MadeGateway:
    """A channel that sends nothing and answers by a draw, as gateways do: most messages are taken, some fail, some later."""

    name = "sms"
    cost_per_part = 5

    def __init__(self, seed: str) -> None:
        self._draw = Random(seed)  # noqa: S311 - a made population
        self.taken: list[str] = []

    def send(self, message: Message) -> Delivery:
        """Answer one try."""
        luck = self._draw.random()
        if luck < 0.06:
            return Delivery(Result.FAILED, "unknown_number", is_address_wrong=True)
        if luck < 0.1:
            return Delivery(Result.LATER, "busy")
        self.taken.append(message.message_id)
        return Delivery(Result.ACCEPTED, "ok", gateway_id=f"g-{len(self.taken)}")

    def close(self) -> None:
        """Do nothing: there is no connection."""


class NoticeWork:
    """Puts reminders, consents, an erasure and snapshots on the agenda."""

    def __init__(self, world: World, agenda: Agenda, people: Sequence[Person]) -> None:
        self._world = world
        self._agenda = agenda
        self._draw = Random(f"{world.seed} notices")  # noqa: S311 - a made population
        # Before anybody takes anything back: nobody passes with a reference that is gone.
        known = [person for person in people if person.seen and (world.today - person.seen).days > _SETTLED_DAYS]
        self._people = self._draw.sample(known, min(len(known), 50))

    def put_down(self) -> None:
        """Put everything on the agenda."""
        at, agenda = self._world.at, self._agenda
        for weeks in range(8, -1, -1):
            agenda.at(at(7 * weeks, 1), self._snapshot)
        for days in range(6, 0, -1):
            agenda.at(at(days, 2), self._snapshot)
        agenda.at(at(12, 9), self._remind)
        agenda.at(at(2, 9), self._call)
        agenda.at(at(1, 10), self._send_more)
        for place, person in enumerate(self._people[:30]):
            agenda.at(at(50 - place, 10), partial(self._consent, person, place))
        for person in self._people[:2]:
            agenda.at(at(9, 11), partial(self._withdraw, person))
        for place in range(2):
            agenda.at(at(5 - place, 11), partial(self._erase, self._people[-1], ADMINISTRATORS[place]))
        agenda.at(at(5, 12), partial(self._erase, self._people[-2], ADMINISTRATORS[0]))

    def _snapshot(self, now: datetime) -> None:
        take_snapshot(self._world.database, keep_days=400, zone=ZONE, now=now)

    def _remind(self, now: datetime) -> None:
        world = self._world
        plan_reminders(world.database, world.keys, world.settings.reminders, zone=ZONE, now=now)
        gateway = self._send(_MESSAGES, 0, now)
        receipts = [
            GatewayReceipt(message_id=message_id, state="failed" if place % 11 == 0 else "delivered", code="")
            for place, message_id in enumerate(gateway.taken)
            if place % 5
        ]
        apply_receipts(world.database, "sms", receipts, zone=ZONE, now=now + timedelta(minutes=30))

    def _send_more(self, now: datetime) -> None:
        self._send(_LATER_MESSAGES, 1, now)

    def _send(self, most: int, turn: int, now: datetime) -> MadeGateway:
        world = self._world
        gateway = MadeGateway(f"{world.seed} gateway {turn}")
        settings = world.settings.reminders
        sender = Sender(world.database, world.keys, {"sms": gateway}, settings, zone=ZONE, clock=lambda: now)
        sender.send(limit=most)
        return gateway

    def _call(self, now: datetime) -> None:
        """Plan the calls that follow from the messages, and write down what came of some of them."""
        world = self._world
        plan_reminders(world.database, world.keys, world.settings.reminders, zone=ZONE, now=now)
        with world.database.begin() as connection:
            found = connection.execute(
                text(
                    "SELECT reminder_id FROM reminders WHERE step = 'call' AND state = 'pending'"
                    " ORDER BY subject_id, kind LIMIT :most"
                ),
                {"most": _CALLS},
            ).scalars()
            for place, reminder_id in enumerate(found.all()):
                came = _CAME[place % len(_CAME)]
                worker = world.keys.cipher.encrypt(OPERATORS[1], subject_id=reminder_id, field_name="reminder_worker")
                day = now.astimezone(ZONE).date()
                reminders.settle(connection, reminder_id, Outcome(came, "list", day, worker), now=now)

    def _consent(self, person: Person, place: int, now: datetime) -> None:
        newest = list(consent_texts().values())[-1]
        way = (Way.PAPER, Way.COUNTER, Way.TERMINAL, Way.APP)[place % 4]
        given = Given(newest, "zh", way, now - timedelta(hours=1), OPERATORS[1])
        record(self._world.database, self._world.keys, person.subject_id, given, by=ADMINISTRATORS[1], now=now)

    def _withdraw(self, person: Person, now: datetime) -> None:
        world = self._world
        way = OtherWay.HOME_VISIT
        withdraw(world.database, world.keys, person.subject_id, other_way=way, by=ADMINISTRATORS[1], now=now)

    def _erase(self, person: Person, by: str, now: datetime) -> None:
        request = Request(Ground.REQUEST, by, "Asked for in writing; paid elsewhere since", although_entitled=True)
        world = self._world
        erase(
            world.database,
            world.keys,
            person.subject_id,
            request,
            fleet_id=FLEET_ID,
            zone=ZONE,
            word_kept=timedelta(days=30),
            now=now,
        )
