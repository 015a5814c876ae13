"""Webhooks: where they may lead, and how what is sent is signed, after the Standard Webhooks specification (v1, symmetric).

Source: Standard Webhooks specification, "Signature scheme": the signature covers `<webhook-id>.<webhook-timestamp>.<body>`, is HMAC-SHA256
with the secret's bytes in base64 after `v1,`; the secret is `whsec_` and base64 of 24 to 64 bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store.webhooks import Webhook, WebhookEvent

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_FIELD = "webhook_secret"
_HTTPS = 443
_HTTP = 80
MAX_URL = 500

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a host name; raises OSError if there are none."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: an address that was looked at, and the name it has."""

    address: str
    port: int
    host: str
    is_tls: bool
    path: str

    @property
    def url(self) -> str:
        """The URL of the address itself, so that nobody resolves the name again and finds another machine."""
        where = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.is_tls else 'http'}://{where}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """What the `Host` header says."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (_HTTPS if self.is_tls else _HTTP) else f"{name}:{self.port}"


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host name, as the system knows them."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def target_of(url: str, *, is_own: bool, allows_private: bool, resolve: Resolve) -> Target:
    """Return where a webhook leads.

    Args:
        url: as the partner gave it.
        is_own: whether the partner is a program of the agency itself, which alone may be on this machine and without TLS.
        allows_private: whether addresses that are not public may be sent to.
        resolve: gives the addresses of a name; every one of them must be allowed.

    Raises:
        Refused: with what is wrong: no https, credentials in it, no such host, an address of a private network.
    """
    parts = _parts(url)
    host = parts.hostname or ""
    is_tls = parts.scheme == "https"
    port = parts.port or (_HTTPS if is_tls else _HTTP)
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise Refused("webhook: its host cannot be found") from error
    for address in addresses:
        found = ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        if is_own and found.is_loopback:
            continue
        if not is_tls:
            raise Refused("webhook: https expected; plain http is for the agency's own programs on this machine")
        if found.is_loopback or (not allows_private and (not found.is_global or found.is_multicast)):
            raise Refused(
                "webhook: its host has an address that is not public (settings, `webhooks.private_addresses`)"
            )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(addresses[0], port, host, is_tls, path)


def make_webhook(
    cipher: FieldCipher, partner_id: str, url: str, events: tuple[WebhookEvent, ...], *, now: datetime
) -> tuple[Webhook, str]:
    """Return a new webhook and its secret, which is shown once and stored encrypted."""
    webhook_id = secrets.token_hex(16)
    secret = _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    sealed = cipher.encrypt(secret, subject_id=webhook_id, field_name=_FIELD)
    return Webhook(webhook_id, partner_id, url, events, sealed, now, None), secret


def open_secret(cipher: FieldCipher, webhook: Webhook) -> str:
    """Return a webhook's secret.

    Raises:
        FleetError: if it was stored under another key.
    """
    return cipher.decrypt(webhook.secret_sealed, subject_id=webhook.webhook_id, field_name=_FIELD)


def signed_headers(secret: str, message_id: str, payload: str, *, now: datetime) -> dict[str, str]:
    """Return the headers that say who sends a message and when: a receiver takes none that is older than minutes."""
    timestamp = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    mac = hmac.new(key, f"{message_id}.{timestamp}.{payload}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused("webhook: not a URL") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0 or len(url) > MAX_URL:
        raise Refused(f"webhook: a URL https://... of at most {MAX_URL} characters expected")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused("webhook: a URL without credentials and fragment expected; messages are signed")
    if any(ord(sign) <= 0x20 or ord(sign) >= 0x7F for sign in url):
        raise Refused("webhook: a URL in ASCII without spaces expected")
    return parts
