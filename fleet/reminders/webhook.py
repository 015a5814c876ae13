"""Messages by a gateway's webhook: JSON posted over HTTPS, signed, with an id by which the gateway tells a repeated one.

The signature is that of `docs/reminders.md`: HMAC-SHA-256 (RFC 2104) over the time of sending, a full stop and the exact bytes of the
body, in hexadecimal digits. The same scheme, turned round, proves who calls back (`verify_callback`).
"""

from __future__ import annotations

import hmac
import json
import re
import ssl
from datetime import datetime, timedelta
from typing import Any

import httpx

from fleet.clock import Clock
from fleet.errors import Refused
from fleet.reminders.channels import MIN_KEY_BYTES, Delivery, Message, Result, read_secret
from fleet.settings import SmsSettings, WechatSettings

SIGNATURE, TIMESTAMP, MESSAGE_ID = "X-Lifecert-Signature", "X-Lifecert-Timestamp", "Idempotency-Key"
CALLBACK_AGE = timedelta(minutes=5)
"""A callback that says it is older, or so much younger, is refused: it may be one that somebody recorded."""
_PLACES = re.compile(r"\{(to|text|title|message_id)\}")
_CODE = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_CODE = 40
_LONGEST_ID = 100
_LATER = frozenset({408, 409, 425, 429})
"""Answers that ask for another try later, beside all of 500 and above. Source: RFC 9110 15.5, RFC 6585, RFC 8470."""
_MOST_BYTES = 64 * 1024
"""Longest answer that is read."""
WRONG_ADDRESS = frozenset({"unknown_number", "invalid_number", "unknown_user", "empty_number"})
"""Codes by which gateways may say that nobody is at an address; others are put into these words by the gateway's operator."""


class WebhookChannel:
    """One gateway."""

    def __init__(
        self,
        name: str,
        settings: SmsSettings | WechatSettings,
        *,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Make the channel; nothing is sent yet.

        Raises:
            SettingsInvalid: if a file it names cannot be used.
        """
        if settings.url is None or settings.key_file is None:
            raise Refused(f"{name}: url and key_file are not set", code="channel_not_set", channel=name)
        self.name = name
        self.cost_per_part = settings.cost_per_part if isinstance(settings, SmsSettings) else 0
        self._settings = settings
        self._url = settings.url
        self._key = read_secret(settings.key_file, f"{name}.key_file", least=MIN_KEY_BYTES)
        self._clock = clock
        headers = {"Content-Type": "application/json", "User-Agent": "lifecert-fleet"}
        if settings.token_file is not None:
            headers["Authorization"] = f"Bearer {read_secret(settings.token_file, f'{name}.token_file').decode()}"
        trusted = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True
        self._client = httpx.Client(
            timeout=settings.timeout_s,
            headers=headers,
            verify=trusted,
            follow_redirects=False,
            transport=transport,
            trust_env=False,
        )

    def send(self, message: Message) -> Delivery:
        """Post it once."""
        body = json.dumps(filled(self._settings.body, message), ensure_ascii=False, separators=(",", ":")).encode()
        stamp = str(int(self._clock().timestamp()))
        headers = {
            TIMESTAMP: stamp,
            SIGNATURE: "sha256=" + signature(self._key, stamp, body),
            MESSAGE_ID: message.message_id,
        }
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                found = _read(answer)
        except httpx.TimeoutException:
            return Delivery(Result.LATER, "timeout")
        except httpx.HTTPError:
            # The library's texts can carry the address that was called, with whatever stands in it.
            return Delivery(Result.LATER, "unreachable")
        return self._judged(answer.status_code, found)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _judged(self, status: int, body: bytes) -> Delivery:
        if status in _LATER or status >= 500:
            return Delivery(Result.LATER, f"http_{status}")
        if not 200 <= status < 300:
            return Delivery(Result.FAILED, f"http_{status}")
        try:
            found = json.loads(body) if body.strip() else {}
        except ValueError:
            found = {}
        settings = self._settings
        said = looked_up(found, settings.ok_key) if settings.ok_key else None
        if settings.ok_key and said not in settings.ok_values:
            code = tidy_code(said or "no_answer")
            return Delivery(Result.FAILED, code, is_address_wrong=code in WRONG_ADDRESS)
        own_id = looked_up(found, settings.id_key) if settings.id_key else None
        return Delivery(Result.ACCEPTED, "ok", None if own_id is None else own_id[:_LONGEST_ID])


def filled(template: Any, message: Message) -> Any:
    """Return a JSON template with every place filled; a value is never read as a template again."""
    values = {
        "to": message.address,
        "text": message.text.body,
        "title": message.text.title,
        "message_id": message.message_id,
    }

    def fill(part: Any) -> Any:
        if isinstance(part, str):
            return _PLACES.sub(lambda found: values[found[1]], part)
        if isinstance(part, dict):
            return {name: fill(value) for name, value in part.items()}
        return [fill(value) for value in part] if isinstance(part, list) else part

    return fill(template)


def signature(key: bytes, stamp: str, body: bytes) -> str:
    """Return the signature of a body sent at a time, seconds since 1970, as 64 hexadecimal digits."""
    return hmac.digest(key, stamp.encode() + b"." + body, "sha256").hex()


def verify_callback(key: bytes, stamp: str, said: str, body: bytes, *, now: datetime) -> None:
    """Check that a callback is from whoever has the key, and new.

    Raises:
        Refused: if it is not.
    """
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise Refused("callback: no time of sending")
    expected = "sha256=" + signature(key, stamp, body)
    if not hmac.compare_digest(expected.encode(), said.encode()):
        raise Refused("callback: signature wrong")
    if abs(now.timestamp() - int(stamp)) > CALLBACK_AGE.total_seconds():
        raise Refused("callback: too old or too new; check the clocks")


def looked_up(found: Any, path: str) -> str | None:
    """Return what stands at a key of an answer, `a.b` for one within another; None if nothing simple does."""
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, bool):
        return str(found).lower()
    return str(found) if isinstance(found, str | int) else None


def tidy_code(said: str) -> str:
    """Return a gateway's code as one short word, so that no message of its own gets into our tables."""
    return _CODE.sub("_", said.strip())[:_LONGEST_CODE] or "unknown"


def _read(answer: httpx.Response) -> bytes:
    found = b""
    for chunk in answer.iter_bytes():
        found += chunk
        if len(found) > _MOST_BYTES:
            break
    return found[:_MOST_BYTES]
