"""The broker inside the fleet's own process."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

import pytest

from fleet.broker import EmbeddedBroker

pytestmark = pytest.mark.integration


def test_its_end_leaves_nobody_connected_who_has_not_said_who_they_are(free_ports: Callable[[], int]) -> None:
    port = free_ports()
    broker = EmbeddedBroker("127.0.0.1", port)
    broker.start()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
            # The first byte of a CONNECT, so that the broker has taken the call and waits for the rest.
            caller.sendall(b"\x10")
            broker.stop()
            # Closed, or reset where the byte was not read yet; open, this times out.
            with suppress(ConnectionResetError):
                assert caller.recv(1) == b""
    finally:
        broker.stop()
