"""An MQTT broker inside this process, for the demo, the tests and a single office. MQTT 3.1.1, this machine only.

It keeps nothing on disk: after a restart the fleet publishes the retained policy again and the terminals send what has no receipt.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from asyncio import StreamReader, StreamWriter

from amqtt.broker import Broker
from amqtt.errors import AMQTTError, BrokerError, MQTTError

from fleet.errors import BrokerFailed

logger = logging.getLogger(__name__)
# It writes every packet and session, and a traceback for what it also raises.
for _name in ("amqtt", "transitions"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_BROKEN = (AMQTTError, BrokerError, MQTTError)
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0


class _ClosingBroker(Broker):  # type: ignore[misc]  # amqtt has no types
    """Leaves no connection open: the library forgets one that has not said who it is, and one whose end is cut short by the broker's."""

    async def stream_connected(self, reader: StreamReader, writer: StreamWriter, listener_name: str) -> None:
        try:
            await super().stream_connected(reader, writer, listener_name)
        except asyncio.CancelledError:
            # The broker ends, and this task with it: Python 3.11 writes a traceback for one that ends as cancelled.
            logger.debug("connection ended with the broker")
        finally:
            writer.transport.abort()


class EmbeddedBroker:
    """A broker with a thread and an event loop of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._bind = f"{host}:{port}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._broker: Broker | None = None

    def start(self) -> None:
        """Start listening.

        Raises:
            BrokerFailed: if it does not come up, for one because the port is taken.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(_START_TIMEOUT_S)
        except (*_BROKEN, OSError, TimeoutError) as error:
            self._broker = None
            self.stop()
            raise BrokerFailed(f"embedded broker on {self._bind} does not start: {error}") from error

    def stop(self) -> None:
        """Disconnect everybody and end; can be called twice."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        if self._broker is not None:
            try:
                asyncio.run_coroutine_threadsafe(self._broker.shutdown(), loop).result(_STOP_TIMEOUT_S)
            except (*_BROKEN, OSError, TimeoutError) as error:
                logger.warning("embedded broker did not stop in order error=%s", error)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_TIMEOUT_S)
        self._loop = self._thread = self._broker = None

    def _run(self) -> None:
        loop = self._loop
        if loop is None:
            return
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _start(self) -> None:
        self._broker = _ClosingBroker(
            {
                "listeners": {"default": {"type": "tcp", "bind": self._bind, "max_connections": 0}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            },
            loop=asyncio.get_running_loop(),
        )
        await self._broker.start()
