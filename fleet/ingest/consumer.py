"""The fleet's MQTT connection: messages in, answers out, and no acknowledgement before the database has committed.

Three threads: the MQTT library's own fills a bounded queue; a worker takes batches from it, has them handled, publishes the answers and
only then acknowledges the messages to the broker; a listener waits for the database's notifications about new rosters and policies.
While the database is away, or a fault of our own stops a batch, the worker keeps it, unacknowledged, and tries again. A fault that
stays is narrowed down to single messages; one that fails alone is set aside in the quarantine without a receipt, so that the terminal sends
it again. A full queue makes the MQTT thread wait, so the broker keeps what comes meanwhile; should it give this client up,
it delivers everything unacknowledged again.

The MQTT session is persistent (clean session off, MQTT 3.1.1, QoS 1), so that the broker keeps messages while no worker runs.
"""

from __future__ import annotations

import logging
import queue
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from fleet.clock import Clock, monotonic_s
from fleet.errors import DatabaseUnavailable
from fleet.ingest.handler import Handler
from fleet.ingest.messages import Inbound, Outbound
from fleet.pki.renewing import take_pair
from fleet.settings import BrokerSettings
from fleet.store.cards import CARD_CHANNEL
from fleet.store.database import Availability, Database
from fleet.store.desired import DESIRED_CHANNEL
from fleet.store.held import HELD_CHANNEL
from fleet.store.operators import STAFF_CHANNEL
from fleet.store.policies import POLICY_CHANNEL
from fleet.store.rosters import ROSTER_CHANNEL
from fleet.store.terminal_commands import COMMAND_CHANNEL
from protocol.errors import ProtocolError
from protocol.topics import TABLE, Topic, fleet_inbox
from protocol.trust import ClosingSocket

logger = logging.getLogger(__name__)

_QUEUE_MESSAGES = 5000
"""Messages waiting in memory: 25 full batches."""
_TRIES = 5
"""So often a batch is tried that fails by a fault of our own before its messages are tried one by one."""
_LARGEST_UP = max(rule.max_bytes for rule in TABLE.values() if rule.direction == "up")
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0
_RECONNECT_S = (1, 30)
_KEEP_ALIVE_S = 30
_CLEAN_S = 3600.0
"""What is to be deleted is deleted within an hour."""
_QUEUE_BYTES = 64 * 1024 * 1024
"""Bytes waiting in memory; one message more may come in when less than that waits. Sixty-four of the largest pictures."""
_BATCH_BYTES = 16 * 1024 * 1024
"""A batch that has so many bytes is not added to, so that a transaction stays short."""
_CATCH_UP_S = 30.0
"""Rosters are looked through this often even without a notification, should one be lost."""
_NOTICE_WAIT_S = 0.5
_CHANNELS = (
    ROSTER_CHANNEL,
    POLICY_CHANNEL,
    CARD_CHANNEL,
    STAFF_CHANNEL,
    COMMAND_CHANNEL,
    HELD_CHANNEL,
    DESIRED_CHANNEL,
)


@dataclass(frozen=True, slots=True)
class _Arrival:
    message: Inbound
    packet_id: int
    qos: int
    connection: int
    """Which connection it came on: a packet id means nothing on another."""


class Consumer:
    """One ingest worker."""

    def __init__(
        self,
        handler: Handler,
        database: Database,
        broker: BrokerSettings,
        *,
        fleet_id: str,
        client_id: str,
        clock: Clock,
    ) -> None:
        self._handler = handler
        self._database = database
        self._broker = broker
        self._clock = clock
        self._filter = str(fleet_inbox(fleet_id, shared_group=broker.shared_group))
        self._arrivals: queue.Queue[_Arrival] = queue.Queue(_QUEUE_MESSAGES)
        self._room = _Room()
        self._stopping = threading.Event()
        self._subscribed = threading.Event()
        self._policy_wanted = threading.Event()
        self._connections = 0
        self._attested_from: date | None = None
        self._database_state = Availability("database")
        self._listener_state = Availability("database notifications")
        self._broker_state = Availability("broker")
        self._faulty = threading.Event()
        self._overflowing = False
        self._tls = _context(broker)
        self._client = self._make_client(client_id)
        self._threads = [
            threading.Thread(target=self._work, name="ingest-worker", daemon=True),
            threading.Thread(target=self._listen, name="ingest-listener", daemon=True),
        ]

    @property
    def is_connected(self) -> bool:
        """Whether messages can arrive: connected and subscribed."""
        return self._subscribed.is_set()

    @property
    def is_faulty(self) -> bool:
        """Whether the last batch failed by a fault of our own."""
        return self._faulty.is_set()

    def start(self) -> None:
        """Start; a broker that is away is tried again until it is there."""
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=_KEEP_ALIVE_S)
        self._client.loop_start()
        for thread in self._threads:
            thread.start()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until messages can arrive; return False if the time runs out."""
        return self._subscribed.wait(timeout_s)

    def stop(self) -> None:
        """Finish the batch at hand if the database allows it, disconnect and end. Can be called twice."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self, client_id: str) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
            manual_ack=True,
        )
        if self._tls is not None:
            client.tls_set_context(self._tls)
            client.on_pre_connect = self._on_pre_connect
        client.reconnect_delay_set(*_RECONNECT_S)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_pre_connect(self, _client: mqtt.Client, _data: Any) -> None:
        """Show the broker the certificate that is there now: it may be another one than at the last connection."""
        chain, key = self._broker.certificate_file, self._broker.key_file
        if self._tls is None or chain is None or key is None:
            return
        try:
            take_pair(self._tls, chain, key)
        except OSError as error:
            logger.warning("certificate not read anew, the last one goes on file=%s: %s", chain.name, error.strerror)

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._broker_state.lost(f"connection refused: {reason}")
            return
        self._broker_state.back()
        self._connections += 1
        client.subscribe(self._filter, qos=1)

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        self._broker_state.lost(f"{self._broker.host}:{self._broker.port} does not answer")

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._subscribed.clear()
        # Packet ids of this connection are void from here on.
        self._connections += 1
        if not self._stopping.is_set():
            self._broker_state.lost(reason)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _packet: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            logger.error("subscription refused filter=%s", self._filter)
            return
        self._subscribed.set()
        logger.info("ingest connected broker=%s:%d", self._broker.host, self._broker.port)
        # A broker may have lost its retained messages: the listener puts the policy in force, the statements and the card keys back.
        self._policy_wanted.set()

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        topic = _topic_text(message)
        if len(message.payload) > _limit(topic):
            # No terminal of ours sends such a message, and the queue must not fill the memory.
            logger.warning("message dropped topic=%r bytes=%d", topic[:200], len(message.payload))
            client.ack(message.mid, message.qos)
            return
        arrival = _Arrival(
            Inbound(topic, bytes(message.payload), self._clock()),
            message.mid,
            message.qos,
            self._connections,
        )
        while not self._stopping.is_set():
            try:
                self._room.wait_for_less(_QUEUE_BYTES, _NOTICE_WAIT_S)
                self._arrivals.put(arrival, timeout=_NOTICE_WAIT_S)
                self._room.add(len(message.payload))
            except queue.Full:
                if not self._overflowing:
                    logger.warning("ingest queue full messages=%d", self._arrivals.maxsize)
                self._overflowing = True
            else:
                break
        if self._arrivals.empty():
            self._overflowing = False

    def _work(self) -> None:
        while batch := self._next_batch():
            answers = self._handle(batch)
            if answers is None:
                return
            self._publish(answers)
            for arrival in batch:
                if arrival.connection == self._connections:
                    self._client.ack(arrival.packet_id, arrival.qos)

    def _next_batch(self) -> list[_Arrival]:
        """Return the next batch, or nothing when it is time to end."""
        batch: list[_Arrival] = []
        size = 0
        deadline_s = 0.0
        while not self._stopping.is_set():
            try:
                wait_s = max(0.0, deadline_s - monotonic_s()) if batch else _NOTICE_WAIT_S
                arrival = self._arrivals.get(timeout=wait_s)
                size += len(arrival.message.payload)
                self._room.add(-len(arrival.message.payload))
                batch.append(arrival)
            except queue.Empty:
                if batch:
                    return batch
                continue
            if len(batch) == 1:
                deadline_s = monotonic_s() + self._broker.batch_wait_s
            if len(batch) >= self._broker.batch_messages or size >= _BATCH_BYTES:
                return batch
        return batch

    def _handle(self, batch: Sequence[_Arrival]) -> list[Outbound] | None:
        """Have a batch handled, waiting for the database and for faults of our own to pass; None when it is time to end before that."""
        retry_s = _FIRST_RETRY_S
        tries = 0
        while True:
            try:
                answers = self._handler.handle([arrival.message for arrival in batch])
            except DatabaseUnavailable as error:
                self._database_state.lost(error)
            except Exception:
                # Top of a thread: no fault may end it, and none may cost a message.
                tries += 1
                self._faulty.set()
                if tries == 1:
                    logger.exception("batch not handled messages=%d", len(batch))
                if tries == _TRIES:
                    return self._handle_singly(batch)
            else:
                self._database_state.back()
                self._faulty.clear()
                return answers
            if self._stopping.wait(retry_s):
                return None
            retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    def _handle_singly(self, batch: Sequence[_Arrival]) -> list[Outbound] | None:
        answers: list[Outbound] = []
        for arrival in batch:
            while not self._stopping.is_set():
                try:
                    answers += self._handle_or_set_aside(arrival.message)
                    break
                except DatabaseUnavailable as error:
                    self._database_state.lost(error)
                    self._stopping.wait(_LONGEST_RETRY_S)
                except Exception:
                    # Top of a thread, and not even the quarantine takes it: it stays unacknowledged until a person has looked.
                    logger.exception("message not set aside")
                    self._stopping.wait(_LONGEST_RETRY_S)
            else:
                return None
        return answers

    def _handle_or_set_aside(self, message: Inbound) -> list[Outbound]:
        try:
            return self._handler.handle([message])
        except DatabaseUnavailable:
            raise
        except Exception:
            # Top of a thread, as in `_handle`.
            logger.exception("message set aside topic=%r", message.topic[:200])
            self._handler.set_aside(message)
            return []

    def _listen(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                with self._database.listen(*_CHANNELS) as connection:
                    self._listener_state.back()
                    retry_s = _FIRST_RETRY_S
                    standing = [*self._standing(), *self._handler.push_rosters()]
                    self._publish([*standing, *self._handler.push_commands(), *self._handler.take_released()])
                    self._follow(connection)
            except DatabaseUnavailable as error:
                self._listener_state.lost(error)
                self._stopping.wait(retry_s)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
            except Exception:
                # Top of a thread: without it new rosters and policies would wait for the next start.
                logger.exception("notification not handled")
                self._stopping.wait(_LONGEST_RETRY_S)

    def _follow(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        waited_s = uncleaned_s = 0.0
        self._handler.clean()
        while not self._stopping.is_set():
            noticed = list(connection.notifies(timeout=_NOTICE_WAIT_S, stop_after=1))
            for notice in noticed:
                if notice.channel == POLICY_CHANNEL:
                    self._publish(self._standing(notice.payload or None))
                if notice.channel == CARD_CHANNEL:
                    self._publish(self._handler.push_card_keys(notice.payload or None))
                if notice.channel == HELD_CHANNEL:
                    self._publish(self._handler.take_released())
                if notice.channel == STAFF_CHANNEL:
                    self._publish(self._handler.push_staff(notice.payload or None))
            if self._policy_wanted.is_set():
                self._policy_wanted.clear()
                self._publish(self._standing())
            waited_s += _NOTICE_WAIT_S
            uncleaned_s += _NOTICE_WAIT_S
            if uncleaned_s >= _CLEAN_S:
                uncleaned_s = 0.0
                self._handler.clean()
            if waited_s >= _CATCH_UP_S:
                self._publish(self._handler.push_staff())
            if noticed or waited_s >= _CATCH_UP_S:
                waited_s = 0.0
                self._publish([*self._handler.push_rosters(), *self._handler.push_commands(only_unsent=True)])
                self._publish(self._handler.push_desired(only_unsent=True))
                if self._handler.attestations_from() != self._attested_from:
                    self._publish(self._standing())

    def _standing(self, only: str | None = None) -> list[Outbound]:
        """Return what the broker keeps for every terminal, or for one."""
        if only is None:
            self._attested_from = self._handler.attestations_from()
        return self._handler.standing(only)

    def _publish(self, answers: Sequence[Outbound]) -> None:
        for answer in answers:
            rule = answer.topic.rule
            sent = self._client.publish(str(answer.topic), answer.payload, qos=rule.qos, retain=rule.retain)
            if sent.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
                logger.warning("not published topic=%s error=%s", answer.topic, sent.rc)


class _Room:
    """Counts the bytes that wait, between the thread that brings them and the one that takes them."""

    def __init__(self) -> None:
        self._bytes = 0
        self._changed = threading.Condition()

    def add(self, size: int) -> None:
        """Count bytes that came, or, below zero, went."""
        with self._changed:
            self._bytes += size
            self._changed.notify_all()

    def wait_for_less(self, limit: int, timeout_s: float) -> None:
        """Wait until fewer bytes wait than the limit.

        Raises:
            queue.Full: if the time runs out.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._bytes < limit, timeout_s):
                raise queue.Full


def _context(broker: BrokerSettings) -> ssl.SSLContext | None:
    """Return what a broker with TLS is met with; None where it has none. Raises OSError if a file cannot be used."""
    if broker.ca_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = ClosingSocket
    context.load_verify_locations(broker.ca_file)
    if broker.certificate_file is not None:
        context.load_cert_chain(broker.certificate_file, broker.key_file)
    return context


def _limit(topic: str) -> int:
    try:
        return Topic.parse(topic).rule.max_bytes
    except ProtocolError:
        return _LARGEST_UP


def _topic_text(message: mqtt.MQTTMessage) -> str:
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""
