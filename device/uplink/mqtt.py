"""The connection to the broker: paho-mqtt, MQTT 3.1.1, a persistent session, in the caller's thread."""

from __future__ import annotations

import logging
import select
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from device.errors import KeyUnusable, LinkDown
from device.settings import Broker
from protocol.errors import Malformed
from protocol.topics import Topic, TopicFilter
from protocol.trust import certificates_in, client_context, mind_the_clock

logger = logging.getLogger(__name__)

_TURN_S = 0.1


class MqttLink:
    """One MQTT client whose session the broker keeps while it is away.

    Everything happens in the thread that calls `connect`, `turn` and `disconnect`; the two callbacks run inside those. What the
    broker had not taken when a connection broke is delivered again on the next one, under the same token.

    Args:
        client_id: MQTT client identifier.
        broker: where and how to connect.
        connect_timeout_s: longest wait for the broker's answer.
        max_inflight: most messages the broker may owe an answer for.
        on_arrived: called with topic name and payload of each message.
        on_taken: called with the token of each message the broker has taken (PUBACK).

    Raises:
        KeyUnusable: if a certificate or key file of the connection cannot be used.
    """

    def __init__(
        self,
        client_id: str,
        broker: Broker,
        *,
        connect_timeout_s: float,
        max_inflight: int,
        on_arrived: Callable[[str, bytes], None],
        on_taken: Callable[[int], None],
    ) -> None:
        self._broker = broker
        self._connect_timeout_s = connect_timeout_s
        self._on_arrived = on_arrived
        self._on_taken = on_taken
        self._lost: str | None = None
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = connect_timeout_s
        client.max_inflight_messages_set(max_inflight)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._arrived
        client.on_publish = self._published
        self._tls = None if broker.tls_ca is None else _Tls(broker)
        if self._tls is not None:
            client.tls_set_context(self._tls.context)
        self._client = client

    def connect(self, will: Topic | None = None, will_payload: bytes = b"") -> None:
        """Connect, with a will if there is one, and wait for the broker's answer.

        Raises:
            LinkDown: if the broker is not there, does not answer in time, or refuses.
        """
        self._lost = None
        if self._tls is not None:
            self._tls.look_again()
        if will is not None:
            self._client.will_set(str(will), will_payload, qos=will.rule.qos, retain=will.rule.retain)
        try:
            self._client.connect(self._broker.host, self._broker.port, self._broker.keep_alive_s)
        except (OSError, ValueError) as error:
            raise LinkDown(f"no connection: {error}") from error
        deadline = time.monotonic() + self._connect_timeout_s
        while not self._client.is_connected():
            if time.monotonic() > deadline:
                raise LinkDown(f"no answer to the connection request within {self._connect_timeout_s} s")
            self.turn(_TURN_S)

    def subscribe(self, topics: TopicFilter) -> None:
        """Ask for messages; a refusal is `LinkDown` at a later `turn`."""
        result, _ = self._client.subscribe(str(topics), qos=1)
        self._check(result)

    def publish(self, topic: Topic, payload: bytes) -> int:
        """Give the link a message and return its token.

        Raises:
            LinkDown: if there is no connection.
        """
        info = self._client.publish(str(topic), payload, qos=topic.rule.qos, retain=topic.rule.retain)
        self._check(info.rc)
        return info.mid

    def turn(self, timeout_s: float) -> None:
        """Send and receive what is there, waiting up to `timeout_s` for something to arrive.

        Raises:
            LinkDown: if the connection is gone.
        """
        self._check(self._turned(timeout_s))

    def disconnect(self) -> None:
        """Take leave of the broker, which then forgets the will; may be called without a connection."""
        self._client.disconnect()

    def _turned(self, timeout_s: float) -> MQTTErrorCode:
        # Not `Client.loop`: it wakes itself by a connection of its own on 127.0.0.1, which lifecert-uplink.service forbids, and would wait
        # for it for ever. Nothing here comes from another thread.
        connection = self._client.socket()
        if connection is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        # What TLS has taken from the line already makes no socket readable.
        held = connection.pending() if isinstance(connection, ssl.SSLSocket) else 0
        wanted = [connection] if self._client.want_write() else []
        try:
            readable, writable, _ = select.select([connection], wanted, [], 0.0 if held else timeout_s)
        except (OSError, ValueError):
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        for is_ready, step in ((readable or held, self._client.loop_read), (writable, self._client.loop_write)):
            result = step() if is_ready else MQTTErrorCode.MQTT_ERR_SUCCESS
            if result != MQTTErrorCode.MQTT_ERR_SUCCESS or self._client.socket() is None:
                return result
        return self._client.loop_misc()

    def _check(self, result: MQTTErrorCode) -> None:
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkDown(self._lost or error_string(result))
        if self._lost is not None:
            raise LinkDown(self._lost)

    def _connected(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._lost = f"broker refuses the connection: {reason}"

    def _disconnected(self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._lost is None:
            self._lost = f"connection lost: {reason}"

    def _subscribed(self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._lost = "broker refuses the subscription"

    def _arrived(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._on_arrived(topic, bytes(message.payload))

    def _published(self, _client: Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Any) -> None:
        self._on_taken(mid)


class _Tls:
    """Certificates and key of the connection; a certificate that was renewed and a clock that was set hold from the next connection on."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        try:
            self._trusted = certificates_in(Path(broker.tls_ca or "").read_text())
            self.context = client_context(self._trusted, now=_now())
            self._load()
        except (OSError, ValueError, Malformed) as error:
            raise KeyUnusable(f"broker certificates and key: {error}") from error

    def look_again(self) -> None:
        """Take the certificate and the clock as they are now; what cannot be read leaves the certificate that was there.

        A half of a pair that is just being replaced is read whole by the next try.
        """
        mind_the_clock(self.context, self._trusted, now=_now())
        try:
            self._load()
        except (OSError, ValueError) as error:
            logger.warning("certificate cannot be read, the one before goes on error=%s", type(error).__name__)

    def _load(self) -> None:
        broker = self._broker
        if broker.tls_certificate is not None and broker.tls_key is not None:
            self.context.load_cert_chain(broker.tls_certificate, broker.tls_key.path)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
