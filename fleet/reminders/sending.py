"""Takes messages out of the outbox and gives them to channels.

Each message has two transactions. The first fixes its id (made of the step and the channel, so that every try has the same) and
commits. The second locks the step, looks once more whether the person still needs it, hands the message over, and stores what the
channel said. A program that is killed in between leaves a step that waits, and the next run hands it over again with the same id:
at least once to the gateway, which drops what it has. Two programs at once skip what the other has locked. The lock is held while the
gateway answers, so that its receipt, however quick, is stored after the message.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import Connection

from fleet.clock import Clock, day_of
from fleet.errors import FleetError, Refused
from fleet.keys import FleetKeys
from fleet.reminders.channels import Channel, Channels, Delivery, Message, Result
from fleet.reminders.composing import Facts, compose, sms_parts
from fleet.reminders.people import Known, known_people, rules_of
from fleet.reminders.planner import why_not
from fleet.reminders.planning import Kind, not_before
from fleet.settings import ReminderSettings
from fleet.store import contacts, reminder_deliveries, reminders, subjects
from fleet.store.areas import area_names
from fleet.store.contacts import Contact
from fleet.store.database import Database
from fleet.store.packs import shelf_of
from fleet.store.reminders import Outcome, Reminder

_UNREADABLE = "unreadable"
"""Code of a message whose name or address does not open with the fleet's key."""

_NO_CHANNEL = "no_channel"
"""Code of a message to somebody who has addresses, of channels only that the settings do not set up or do not name."""


@dataclass(slots=True)
class Sent:
    """What a run did; counts of messages."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    later: int = 0
    cancelled: int = 0
    next_channel: int = 0
    parts: int = 0
    """Short messages that were paid."""
    cost: int = 0
    """In hundredths of the currency."""
    codes: Counter[str] = field(default_factory=Counter)
    """Why messages failed or wait."""
    quiet_until: datetime | None = None
    """Where the quiet hours kept messages back."""
    is_stopped: bool = False
    """Whether somebody had it stop before all was sent."""


class Sender:
    """Sends what waits."""

    def __init__(
        self,
        database: Database,
        keys: FleetKeys,
        channels: Channels,
        settings: ReminderSettings,
        *,
        zone: tzinfo,
        clock: Clock,
    ) -> None:
        self._database = database
        self._keys = keys
        self._channels = channels
        self._settings = settings
        self._rules = rules_of(settings)
        self._zone = zone
        self._clock = clock

    def send(self, *, limit: int | None = None, goes_on: Callable[[int], bool] = lambda _handled: True) -> Sent:
        """Send what waits and is due, people with no data first; at most so many, and while it is told to go on.

        Raises:
            DatabaseUnavailable: what was done until then stays; run it again.
        """
        done = Sent()
        handled = 0
        while limit is None or handled < limit:
            if not goes_on(handled):
                done.is_stopped = True
                return done
            now = self._clock()
            if (until := self._allowed_from(now)) != now:
                done.quiet_until = until
                return done
            claimed = self._claim(now, done)
            if claimed is None:
                return done
            reminder_id, channel = claimed
            if channel is not None:
                self._hand_over(reminder_id, channel, done)
            handled += 1
        return done

    def _allowed_from(self, now: datetime) -> datetime:
        kept = self._settings
        return not_before(now, self._zone, quiet_from=kept.quiet_from, quiet_until=kept.quiet_until)

    def _claim(self, now: datetime, done: Sent) -> tuple[str, Channel | None] | None:
        """Return the next step and the channel it is tried by, with its message id on the disk; None if nothing waits.

        Without a channel there was none left to try, or nobody needs it any more, and the step is over.
        """
        with self._database.begin() as connection:
            reminder = reminders.next_message(connection, now)
            if reminder is None:
                return None
            if self._known(connection, reminder, now) is None:
                self._cancel(connection, reminder, now, done)
                return reminder.reminder_id, None
            tried = reminder_deliveries.of_reminder(connection, reminder.reminder_id)
            over = {name for name, delivery in tried.items() if delivery.state == "failed"}
            way = self._way(connection, reminder.subject_id, over)
            if way is None:
                self._give_up(connection, reminder, bool(over), now, done)
                return reminder.reminder_id, None
            message_id = message_id_of(reminder.reminder_id, way.channel)
            reminder_deliveries.begin(connection, message_id, reminder.reminder_id, way.channel, now=now)
            return reminder.reminder_id, self._channels[way.channel]

    def _hand_over(self, reminder_id: str, channel: Channel, done: Sent) -> None:
        with self._database.begin() as connection:
            now = self._clock()
            reminder = reminders.lock_message(connection, reminder_id, now)
            if reminder is None:
                return
            known = self._known(connection, reminder, now)
            contact = contacts.contacts_of(connection, [reminder.subject_id])[reminder.subject_id].get(channel.name)
            if known is None or contact is None or contact.address_sealed is None or contact.is_opted_out:
                # Something changed since it was claimed; the next look at it finds out what.
                return
            try:
                message = self._message(connection, reminder, known, contact)
            except Refused:
                found = Outcome("not_possible", "bad_text", day_of(now, self._zone))
                self._settle(connection, reminder, found, now, done)
                return
            except FleetError:
                # Stored under another key: others must not wait for it, and it must not be lost if the right keys come back.
                until = now + timedelta(seconds=self._settings.longest_wait_s)
                reminders.put_off(connection, reminder.reminder_id, until, _UNREADABLE)
                done.later += 1
                done.codes[_UNREADABLE] += 1
                return
            answer = channel.send(message)
            self._store(connection, reminder, channel, message, answer, done)

    def _known(self, connection: Connection, reminder: Reminder, now: datetime) -> Known | None:
        """Return the person if they still need it."""
        found = known_people(connection, reminders.people(connection, [reminder.subject_id]), zone=self._zone)
        known = found[0] if found else None
        reason = why_not(reminder, known.person if known else None, self._rules, now, self._zone)
        return None if reason is not None else known

    def _cancel(self, connection: Connection, reminder: Reminder, now: datetime, done: Sent) -> None:
        found = known_people(connection, reminders.people(connection, [reminder.subject_id]), zone=self._zone)
        person = found[0].person if found else None
        reminders.cancel(
            connection, reminder.reminder_id, why_not(reminder, person, self._rules, now, self._zone) or "not_needed"
        )
        done.cancelled += 1

    def _way(self, connection: Connection, subject_id: str, over: set[str]) -> Contact | None:
        """Return the first way in the order of the settings that is set up, wanted, and was not tried in vain."""
        ways = contacts.contacts_of(connection, [subject_id]).get(subject_id, {})
        for name in self._settings.channels:
            way = ways.get(name)
            if name not in self._channels or name in over or way is None or way.address_sealed is None:
                continue
            if not way.is_opted_out and not way.is_doubtful:
                return way
        return None

    def _give_up(self, connection: Connection, reminder: Reminder, was_tried: bool, now: datetime, done: Sent) -> None:
        day = day_of(now, self._zone)
        if was_tried:
            found = Outcome("not_reached", reminder.code or "failed", day)
        else:
            ways = contacts.contacts_of(connection, [reminder.subject_id]).get(reminder.subject_id, {}).values()
            found = Outcome("not_possible", self._why_no_way([way for way in ways if way.address_sealed]), day)
        self._settle(connection, reminder, found, now, done)

    def _why_no_way(self, addresses: list[Contact]) -> str:
        """Return the code of somebody who was not even tried."""
        if not addresses:
            return "no_address"
        usable = [way for way in addresses if way.channel in self._channels and way.channel in self._settings.channels]
        if not usable:
            return _NO_CHANNEL
        return "opted_out" if all(way.is_opted_out for way in usable) else "doubtful_address"

    def _settle(self, connection: Connection, reminder: Reminder, found: Outcome, now: datetime, done: Sent) -> None:
        reminders.settle(connection, reminder.reminder_id, found, now=now)
        done.failed += 1
        done.codes[found.code] += 1

    def _message(self, connection: Connection, reminder: Reminder, known: Known, contact: Contact) -> Message:
        """Return what is sent; here, and nowhere before, are name and address opened."""
        subject = subjects.find_by_id(connection, reminder.subject_id)
        if subject is None or contact.address_sealed is None:
            raise Refused(f"reminder {reminder.reminder_id}: subject or address is gone")
        cipher, name = self._keys.cipher, None
        if self._settings.is_name_told:
            name = cipher.decrypt(subject.name_sealed, subject_id=subject.subject_id, field_name="name")
        shelf = shelf_of(connection)
        pack = next(
            (p for p in (*shelf.on(known.person.due), *shelf.packs) if p.pack_id == known.rule_pack), shelf.default
        )
        facts = Facts(
            kind=Kind(reminder.kind),
            due=known.person.due,
            stop_from=known.person.stop_from,
            help_line=pack.help_line,
            name=name,
            place=area_names(connection, [subject.area]).get(subject.area),
        )
        address = cipher.decrypt(contact.address_sealed, subject_id=subject.subject_id, field_name=contact.field_name)
        return Message(
            message_id_of(reminder.reminder_id, contact.channel), address, compose(facts, self._settings.language)
        )

    def _store(
        self,
        connection: Connection,
        reminder: Reminder,
        channel: Channel,
        message: Message,
        answer: Delivery,
        done: Sent,
    ) -> None:
        now, day = self._clock(), day_of(self._clock(), self._zone)
        if answer.result is Result.LATER:
            done.codes[answer.code] += 1
            if reminder.tries + 1 < self._settings.max_tries:
                reminders.put_off(connection, reminder.reminder_id, self._next_try(now, reminder.tries), answer.code)
                done.later += 1
                return
        if answer.result in (Result.LATER, Result.FAILED):
            reminder_deliveries.settled(connection, message.message_id, "failed", answer.code, now=now)
            if answer.is_address_wrong:
                contacts.doubt(connection, reminder.subject_id, channel.name, now=now)
            reminders.try_next_channel(connection, reminder.reminder_id, answer.code, now=now)
            done.next_channel += 1
            return
        parts = sms_parts(message.text.body) if channel.name == "sms" else 1
        cost = parts * channel.cost_per_part
        reminder_deliveries.accepted(
            connection, message.message_id, gateway_id=answer.gateway_id, parts=parts, cost=cost, now=now
        )
        reminders.mark_sent(connection, [reminder.reminder_id], now=now)
        done.parts += parts if channel.name == "sms" else 0
        done.cost += cost
        if answer.result is Result.DELIVERED:
            reminder_deliveries.settled(connection, message.message_id, "delivered", answer.code, now=now)
            reminders.settle(connection, reminder.reminder_id, Outcome("reached", answer.code, day), now=now)
            done.delivered += 1
        else:
            done.accepted += 1

    def _next_try(self, now: datetime, tries: int) -> datetime:
        kept = self._settings
        wait_s = min(kept.first_wait_s * 2**tries, kept.longest_wait_s)
        # The quiet hours are looked at when it is sent: they may be others by then.
        return now + timedelta(seconds=wait_s)


def message_id_of(reminder_id: str, channel: str) -> str:
    """Return the id of a step's message by a channel: the same at every try, in every program."""
    return hashlib.sha256(f"{reminder_id}:{channel}".encode()).hexdigest()[:32]
