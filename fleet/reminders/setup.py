"""Makes the channels that the settings name. A new kind of channel is one class with the methods of `channels.Channel` and a line here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fleet.clock import Clock
from fleet.errors import Refused
from fleet.reminders.channels import MIN_KEY_BYTES, Channel, Channels, read_secret
from fleet.reminders.mail import EmailChannel
from fleet.reminders.webhook import WebhookChannel
from fleet.settings import Settings

_NEEDED = {"sms": "url", "wechat": "url", "email": "host"}
"""By channel the setting without which it is not used."""


@contextmanager
def open_channels(settings: Settings, *, clock: Clock) -> Iterator[Channels]:
    """Give the channels that are set up, by name, and close them at the end.

    Raises:
        SettingsInvalid: if a file they name cannot be used.
    """
    with ExitStack() as stack:
        made: list[Channel] = []
        if settings.sms.url is not None:
            made.append(WebhookChannel("sms", settings.sms, clock=clock))
        if settings.wechat.url is not None:
            made.append(WebhookChannel("wechat", settings.wechat, clock=clock))
        if settings.email.host is not None:
            made.append(EmailChannel(settings.email, domain=f"{settings.fleet_id}.lifecert"))
        for channel in made:
            stack.callback(channel.close)
        yield {channel.name: channel for channel in made}


def set_up(settings: Settings) -> dict[str, bool]:
    """Return which of the channels that reminders go by have what they need."""
    return {name: getattr(getattr(settings, name), _NEEDED[name]) is not None for name in settings.reminders.channels}


def demand_channel(settings: Settings) -> None:
    """Refuse to send where there is no channel: every message would count as failed.

    Raises:
        Refused: with the settings of which one is needed.
    """
    if not any(set_up(settings).values()):
        needed = ", ".join(f"{name}.{_NEEDED[name]}" for name in settings.reminders.channels)
        raise Refused(f"no channel is set up: one of {needed} is needed", code="no_way_to_send", needed=needed)


def callback_keys(settings: Settings) -> dict[str, bytes]:
    """Return the secrets by which gateways prove who calls back, by channel.

    Raises:
        SettingsInvalid: if a file cannot be used.
    """
    return {
        name: read_secret(part.key_file, f"{name}.key_file", least=MIN_KEY_BYTES)
        for name, part in (("sms", settings.sms), ("wechat", settings.wechat))
        if part.url is not None and part.key_file is not None
    }
