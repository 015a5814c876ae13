"""Sends the outbox to partners: signed, one message after another for each webhook, again and again until it is taken or too old.

What was sent and not written down is sent again, under the same `webhook-id`: delivery is at least once. Several workers share the work.
"""

from __future__ import annotations

import logging
import secrets
import threading
from datetime import datetime, timedelta

import httpx

from fleet.clock import Clock
from fleet.errors import DatabaseUnavailable, FleetError, Refused
from fleet.keys import FieldCipher
from fleet.partners.webhooks import Resolve, open_secret, resolve, signed_headers, target_of
from fleet.settings import WebhookSettings
from fleet.store.database import Availability, Database
from fleet.store.webhooks import Delivery, claim_due, delete_done, end_webhook, note_try

logger = logging.getLogger(__name__)

_THREADS = 8
"""Webhooks that are served at the same time, each by a thread of its own: a slow one holds up one thread and no other webhook."""
_POLL_S = 1.0
_GONE = 410
"""The receiver wants no more. Source: Standard Webhooks specification, "Deliverability and reliability"."""
_TIDY = timedelta(hours=1)
_CLAIM_SPARE_S = 30.0
"""Longer than a delivery may take: after that another worker may try."""


class Courier:
    """Delivers messages in threads of its own.

    Args:
        database: where the outbox is.
        cipher: opens the secrets.
        settings: how long, how often, where to.
        clock: the fleet's.
        resolve: gives the addresses of a host name.
    """

    def __init__(
        self,
        database: Database,
        cipher: FieldCipher,
        settings: WebhookSettings,
        *,
        clock: Clock,
        resolve: Resolve = resolve,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._settings = settings
        self._clock = clock
        self._resolve = resolve
        self._random = secrets.SystemRandom()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._tidied_at: datetime | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._stopping.clear()
        # One of them says that the database is lost, and tidies up.
        self._threads = [
            threading.Thread(target=self._run, args=(number == 0,), name="webhooks", daemon=True)
            for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End what is being sent and stop; can be called twice."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def deliver_next(self) -> bool:
        """Send the oldest message of the webhook whose turn has come; return False if it is nobody's turn.

        Raises:
            DatabaseUnavailable: as any transaction; nothing is lost.
        """
        now = self._clock()
        until = now + timedelta(seconds=self._settings.timeout_s + _CLAIM_SPARE_S)
        with self._database.begin() as connection:
            due = claim_due(connection, now=now, until=until)
        if due is not None:
            self._deliver(due)
        return due is not None

    def tidy(self) -> None:
        """Delete old messages, at most once an hour.

        Raises:
            DatabaseUnavailable: as any transaction.
        """
        now = self._clock()
        if self._tidied_at is not None and now - self._tidied_at < _TIDY:
            return
        with self._database.begin() as connection:
            delete_done(connection, before=now - timedelta(days=self._settings.keep_days))
        self._tidied_at = now

    def _run(self, is_first: bool) -> None:
        state = Availability("database for webhooks")
        while not self._stopping.is_set():
            done = False
            try:
                done = self.deliver_next()
                if is_first:
                    self.tidy()
                    state.back()
            except DatabaseUnavailable as error:
                if is_first:
                    state.lost(error)
            except Exception:
                # Top of the thread: one message that meets a fault of ours must not end the others' deliveries.
                logger.exception("webhooks not delivered")
            if not done:
                self._stopping.wait(_POLL_S)

    def _deliver(self, delivery: Delivery) -> None:
        result, status = self._send(delivery)
        now = self._clock()
        is_delivered = status is not None and 200 <= status < 300
        with self._database.begin() as connection:
            if status == _GONE:
                end_webhook(connection, delivery.webhook.partner_id, delivery.webhook.webhook_id, now=now)
                logger.warning("webhook ended by its receiver id=%s", delivery.webhook.webhook_id)
            next_try = None if is_delivered else self._next_try(delivery, now)
            note_try(connection, delivery, result=result, now=now, next_try_at=next_try, is_delivered=is_delivered)
        if not is_delivered and next_try is None:
            logger.error("webhook message given up id=%s result=%s", delivery.message_id, result)

    def _next_try(self, delivery: Delivery, now: datetime) -> datetime | None:
        """Return when to try again, or None if it was tried long enough. Waiting is a random part of a growing most: full jitter.

        Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
        """
        if now - (delivery.first_try_at or now) >= timedelta(days=self._settings.days):
            return None
        most = min(self._settings.longest_wait_s, self._settings.first_wait_s * 2.0 ** min(delivery.tries, 30))
        return now + timedelta(seconds=self._random.uniform(0, most))

    def _send(self, delivery: Delivery) -> tuple[str, int | None]:
        """Return what came of it, and the status if there was an answer. The answer's body is not read."""
        try:
            target = target_of(
                delivery.webhook.url,
                is_own=delivery.is_own,
                allows_private=self._settings.private_addresses,
                resolve=self._resolve,
            )
            secret = open_secret(self._cipher, delivery.webhook)
        except Refused as error:
            return str(error), None
        except FleetError:
            return "secret does not open", None
        headers = {
            **signed_headers(secret, delivery.message_id, delivery.payload, now=self._clock()),
            "Content-Type": "application/json",
            "Host": target.host_header,
            "User-Agent": "lifecert-fleet",
        }
        try:
            # Redirects would lead where nobody looked; proxies of the environment resolve names by themselves.
            with (
                httpx.Client(timeout=self._settings.timeout_s, follow_redirects=False, trust_env=False) as client,
                client.stream(
                    "POST",
                    target.url,
                    content=delivery.payload.encode(),
                    headers=headers,
                    extensions={"sni_hostname": target.host},
                ) as answer,
            ):
                return f"HTTP {answer.status_code}", answer.status_code
        except httpx.HTTPError as error:
            return type(error).__name__, None
