"""Puts a terminal off the broker whose certificate holds no more: a connection that is open outlives it."""

from __future__ import annotations

import ssl
import tempfile
import threading
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from fleet.pki.authority import Authority, issue_client
from fleet.pki.files import write, write_key
from fleet.settings import BrokerSettings
from protocol.trust import ClosingSocket

_WAIT_S = 5.0


def expel(terminal_id: str, issuing: Authority, broker: BrokerSettings, *, now: datetime) -> bool:
    """Take a terminal's place at the broker for a moment, and leave it; return whether that was done.

    The broker takes the name in a certificate for the client identifier, and ends a connection when another one with its identifier
    comes. The certificate for it is made here and never leaves this program. Source: MQTT 3.1.1, 3.1.4-2.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    with tempfile.TemporaryDirectory(prefix="lifecert-") as name:
        folder = Path(name)
        write_key(folder / "key", key)
        write(folder / "certificate", issue_client(issuing, terminal_id, key.public_key(), now=now).chain)
        context = ssl.create_default_context(cafile=str(broker.ca_file) if broker.ca_file else None)
        context.sslsocket_class = ClosingSocket
        context.load_cert_chain(folder / "certificate", folder / "key")
    came = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=terminal_id, protocol=mqtt.MQTTv311)
    client.tls_set_context(context)
    client.on_connect = lambda *_: came.set()
    try:
        client.connect(broker.host, broker.port, keepalive=10)
        client.loop_start()
        return came.wait(_WAIT_S)
    except OSError:
        return False
    finally:
        client.disconnect()
        client.loop_stop()
