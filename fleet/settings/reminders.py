"""Reminders, and the gateways by which they go."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from fleet.settings.part import Part, is_loopback


class ReminderSettings(Part):
    """Reminders: who is told how long before, and when nobody is."""

    channels: tuple[Literal["sms", "wechat", "email"], ...] = ("sms", "wechat", "email")
    """By which messages are tried, in this order, as far as they are set up and the person has an address; a short message reaches
    telephones without any application."""
    language: Literal["zh", "en", "both"] = "zh"
    """Of messages; `both` doubles what a short message costs."""
    is_name_told: bool = True
    """Whether a message begins with the person's name, the only personal datum in it."""
    lead_days: int = Field(default=7, ge=0, le=90)
    """A due reminder comes so long before the person is asked to come: a week to plan the way."""
    early_days: int = Field(default=30, ge=0, le=180)
    """And so long before to people with no data (R9-2): they must be enrolled first, at an office or at home."""
    call_after_days: int = Field(default=7, ge=1, le=90)
    """From a message that arrived until somebody calls."""
    visit_after_days: int = Field(default=7, ge=1, le=90)
    """From a call that reached somebody until a visit."""
    rest_days: int = Field(default=3, ge=0, le=30)
    """Least days between two messages about one period, so that nobody takes them for a nuisance."""
    failed_days: int = Field(default=30, ge=1, le=180)
    """So long after it a failed attempt or the answer to an appeal is worth a reminder."""
    receipt_days: int = Field(default=3, ge=1, le=30)
    """A message that no gateway has called delivered after so many days counts as not delivered, and the call comes next; gateways keep
    trying a telephone that is switched off for one to three days."""
    quiet_from: time = time(20, 0)
    """From this time of day on no message is sent; old people go to bed early."""
    quiet_until: time = time(8, 0)
    """Until this one; the same as `quiet_from` for no quiet hours."""
    max_tries: int = Field(default=8, ge=1, le=50)
    """After so many tries of one message a gateway that does not answer counts as failed: with the waits between, after two hours."""
    first_wait_s: float = Field(default=60, gt=0, le=86400)
    """Wait after the first try that failed for now; doubled after each other."""
    longest_wait_s: float = Field(default=14400, gt=0, le=86400)
    """No wait is longer."""


class _WebhookSettings(Part):
    url: str | None = None
    """Where messages are posted as JSON; without it this channel is not used. https, unless it is on this machine."""
    key_file: Path | None = None
    """Secret shared with the gateway, 16 bytes or more: signs what is sent and proves who calls back (HMAC-SHA-256). Needed with `url`."""
    token_file: Path | None = None
    """Secret that is sent as `Authorization: Bearer`, where the gateway asks for one."""
    ca_file: Path | None = None
    """CA certificates that vouch for the gateway; default: those of the operating system's kind."""
    timeout_s: float = Field(default=10, gt=0, le=60)
    """Longest wait for an answer."""
    body: dict[str, Any] = Field(default={"to": "{to}", "text": "{text}", "id": "{message_id}"})
    """The JSON that is posted; `{to}`, `{text}`, `{title}` and `{message_id}` stand for what they say, wherever they are in a text."""
    ok_key: str | None = None
    """Key of the answer that says whether the message was taken, where an answer 200 alone does not; `a.b` for a key within another."""
    ok_values: tuple[str, ...] = ("0", "200", "OK", "ok", "success", "true")
    """What it says then."""
    id_key: str | None = None
    """Key of the answer with the gateway's own id of the message."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.url is None:
            return self
        found = urlsplit(self.url)
        if found.scheme not in ("https", "http") or not found.hostname or found.username is not None:
            raise ValueError("url: https://host/path expected, without a user name or password in it")
        if found.scheme == "http" and not is_loopback(found.hostname):
            raise ValueError("a gateway on another machine gets telephone numbers: https expected")
        if self.key_file is None:
            raise ValueError("url needs key_file")
        if "{text}" not in str(self.body) or "{to}" not in str(self.body):
            raise ValueError("body: needs {to} and {text}")
        return self


class SmsSettings(_WebhookSettings):
    """Gateway for short messages, as a webhook."""

    cost_per_part: int = Field(default=0, ge=0, le=100000)
    """Price of one part of a short message, in hundredths of the currency (fen, cents); for the report only."""


class WechatSettings(_WebhookSettings):
    """Gateway for messages of a WeChat account, as a webhook."""


class EmailSettings(Part):
    """Server for electronic mail."""

    host: str | None = None
    """Name of the server; without it this channel is not used."""
    port: int = Field(default=587, ge=1, le=65535)
    """587 with `starttls`, 465 with `tls` are usual."""
    security: Literal["starttls", "tls"] = "starttls"
    """`starttls` begins in the open and goes over to TLS before anything is said; `tls` from the start. There is no way without."""
    ca_file: Path | None = None
    """CA certificates that vouch for the server; default: those of the operating system's kind."""
    sender: str | None = Field(default=None, pattern=r"^[^@\s<>]+@[^@\s<>]+$")
    """Address that messages come from. Needed with `host`."""
    user: str | None = None
    """For sign-in."""
    password_file: Path | None = None
    """Goes with `user`."""
    timeout_s: float = Field(default=20, gt=0, le=120)
    """Longest wait for an answer."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.host is not None and self.sender is None:
            raise ValueError("host needs sender")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        return self
